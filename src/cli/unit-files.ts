// The text of unit files. Pure.
import { visible } from '../text/visible.js';
import type { SocketWish } from './socket-options.js';

export interface UnitPlan {
  readonly name: string;
  readonly command: readonly string[];
  readonly directory: string;
  /** A symbolic link leads to the directory. */
  readonly isLinked: boolean;
  readonly sockets: readonly SocketWish[];
  /** NODE_OPTIONS, which bring the preload. */
  readonly nodeOptions: string | null;
  /** The command of ExecReload= that upgrades, without the pid; null for a reload by SIGHUP. */
  readonly upgrade: readonly string[] | null;
  readonly type: 'notify' | 'notify-reload' | 'exec';
  readonly user: boolean;
  readonly template: boolean;
  /** The image of a quadlet; null for a service. */
  readonly image: string | null;
  readonly runAs: string | null;
  /** SocketMode= and SocketGroup= */
  readonly mode: string | null;
  readonly group: string | null;
  readonly privateNetwork: boolean;
  /** The program is in somebody's home directory: ProtectHome= must let it read there. */
  readonly inHome: boolean;
  readonly idleTimeout: string | null;
  readonly watchdog: string | null;
  readonly compileCache: boolean;
  /** The first line of every file. */
  readonly origin: string;
}

/** A word of ExecStart=, systemd.service(5): specifiers, variables, quotes. A template keeps its %i. */
function word(text: string, template: boolean): string {
  let escaped = text.replaceAll('%', '%%').replaceAll('$', '$$$$');
  if (template) escaped = escaped.replaceAll('%%i', '%i');
  // A lone ";" separates commands; "#" and the rest only look odd.
  if (!/[\s"'\\;\p{Cc}]/u.test(escaped) && escaped !== '') return escaped;
  // The second set of control characters is two bytes each, which nobody takes for one.
  const control = (character: string): string => (character < '\x80' ? visible(character) : character);
  return `"${escaped.replace(/[\\"]/g, '\\$&').replace(/\p{Cc}/gu, control)}"`;
}

function path(text: string, template: boolean): string {
  const escaped = text.replaceAll('%', '%%');
  return template ? escaped.replaceAll('%%i', '%i') : escaped;
}

type Section = readonly (string | null | false)[];

function file(plan: UnitPlan, ...sections: Section[]): string {
  const text = sections.map((lines) => lines.filter((line) => line !== null && line !== false).join('\n')).join('\n\n');
  return `# ${plan.origin}\n${text}\n`;
}

const socketUnit = (plan: UnitPlan, name: string): string =>
  name === plan.name ? `${name}.socket` : `${plan.name}-${name}.socket`;

/** The name of each socket, in the order given; one unit for each name, as a unit has one name. */
function socketNames(plan: UnitPlan): string[] {
  return [...new Set(plan.sockets.map(({ name }) => name ?? plan.name))];
}

function socketFile(plan: UnitPlan, name: string): string {
  const own = plan.sockets.filter((socket) => (socket.name ?? plan.name) === name);
  const service = plan.template ? `${plan.name}@blue.service` : `${plan.name}.service`;
  const implied = service === `${plan.name}.service` && name === plan.name;
  return file(
    plan,
    [
      '[Unit]',
      `Description=${name === plan.name ? plan.name : `${plan.name} (${name})`} socket`,
      '# However often it restarts, the port stays open.',
      'StartLimitIntervalSec=0',
    ],
    [
      '[Socket]',
      ...own.map(({ directive, text }) => `${directive}=${text.replaceAll('%', '%%')}`),
      plan.mode !== null && `SocketMode=${plan.mode}`,
      plan.group !== null && `SocketGroup=${plan.group}`,
      `FileDescriptorName=${name}`,
      !implied && `Service=${service}`,
      '# By default 20 starts within 2 s fail the socket for good: every client gets ECONNREFUSED until a person resets it.',
      '# This is more than a Node.js program can be started, and still stops one that cannot even be executed.',
      'TriggerLimitIntervalSec=2s',
      'TriggerLimitBurst=200',
    ],
    ['[Install]', 'WantedBy=sockets.target'],
  );
}

// systemd.exec(5). Some are left out for a reason: MemoryDenyWriteExecute= kills V8's compiler, ProcSubset=pid
// takes os.cpus() and os.totalmem() away, PrivateUsers= makes every caller of a unix socket look like nobody,
// ~@resources takes the open file limit that Node raises at its start.
const seccomp = [
  'NoNewPrivileges=yes',
  'RestrictNamespaces=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'LockPersonality=yes',
  'SystemCallArchitectures=native',
  'SystemCallFilter=@system-service',
  'SystemCallFilter=~@privileged',
  'SystemCallErrorNumber=EPERM',
];

function hardening({ privateNetwork, inHome, user }: UnitPlan): string[] {
  const families = privateNetwork ? 'AF_UNIX AF_NETLINK' : 'AF_UNIX AF_INET AF_INET6 AF_NETLINK';
  const common = [
    '# AF_NETLINK: os.networkInterfaces(), and the queue of a unix listener.',
    `RestrictAddressFamilies=${families}`,
    ...seccomp,
    '# V8 compiles at run time: MemoryDenyWriteExecute=yes would kill it.',
    'UMask=0027',
  ];
  // A service manager without privileges has no mounts or capabilities to give.
  if (user) return common;
  return [
    'CapabilityBoundingSet=',
    'AmbientCapabilities=',
    'ProtectSystem=strict',
    inHome
      ? '# The program is in a home directory; yes once it is elsewhere.\nProtectHome=read-only'
      : 'ProtectHome=yes',
    'PrivateTmp=yes',
    'PrivateDevices=yes',
    privateNetwork ? '# The sockets that are passed go on working.\nPrivateNetwork=yes' : '',
    'ProtectClock=yes',
    'ProtectControlGroups=yes',
    'ProtectHostname=yes',
    'ProtectKernelLogs=yes',
    'ProtectKernelModules=yes',
    'ProtectKernelTunables=yes',
    'ProtectProc=invisible',
    'RemoveIPC=yes',
    'KeyringMode=private',
    ...common,
  ].filter((line) => line !== '');
}

const target = ({ user }: UnitPlan): string => (user ? 'default.target' : 'multi-user.target');

function unitSection(plan: UnitPlan, sockets: readonly string[]): Section {
  return [
    '[Unit]',
    `Description=${plan.name}${plan.template ? ' (%i)' : ''}`,
    `Requires=${sockets.join(' ')}`,
    `After=${sockets.join(' ')}`,
    '# No limit: connections wait in the queue of the socket, RestartSec= sets the pace.',
    'StartLimitIntervalSec=0',
  ];
}

const idle = ({ idleTimeout }: UnitPlan): string | false =>
  idleTimeout !== null && `Environment="LISTENFDS_IDLE_TIMEOUT=${idleTimeout}"`;

/** systemd sets no PWD, and the kernel tells only where the link leads to. */
const named = ({ isLinked, directory, template }: UnitPlan): string | false =>
  isLinked &&
  `# An upgrade starts the next version where this link leads to by then.\nEnvironment=${word(`PWD=${directory}`, template)}`;

/** A drain takes 30 s at most, and close hooks come after it. */
const stopTime = 45;
/** Both know of a stop, and the outer one has to wait for the inner one. */
const podmanMargin = 15;

const store = [
  '# systemd keeps idle connections over a restart, in one of these; the others are for storeFds().',
  'FileDescriptorStoreMax=16',
];

const restart = [
  '# An exit with status 0 is an idle exit: the next connection starts it again.',
  'Restart=on-failure',
  'RestartSec=1s',
];

function typeLines(type: UnitPlan['type']): Section {
  if (type !== 'exec') {
    return [
      '# Started when the program says READY=1: serve(), listen() and the preload of listenfds do. Else say Type=exec.',
      `Type=${type}`,
    ];
  }
  return [
    '# Started when the program runs. If it says READY=1, as serve() of listenfds does, Type=notify waits for that.',
    'Type=exec',
    '# Its messages count all the same: status, successor, more time to stop.',
    'NotifyAccess=main',
  ];
}

function reload({ upgrade, type, template }: UnitPlan): string | false {
  if (upgrade !== null) return `ExecReload=${upgrade.map((one) => word(one, template)).join(' ')} $MAINPID`;
  return type === 'notify' && 'ExecReload=kill -HUP $MAINPID';
}

function serviceFile(plan: UnitPlan, sockets: readonly string[]): string {
  const { name, type, template, runAs, user, watchdog, compileCache } = plan;
  return file(
    plan,
    unitSection(plan, sockets),
    [
      '[Service]',
      ...typeLines(type),
      // A template's instances, and every service with more than the one socket unit of its own name, name them all.
      (template || sockets.length > 1 || sockets[0] !== `${plan.name}.socket`) && `Sockets=${sockets.join(' ')}`,
      `WorkingDirectory=${path(plan.directory, template)}`,
      named(plan),
      'Environment=NODE_ENV=production',
      compileCache && `CacheDirectory=${name}\nEnvironment=NODE_COMPILE_CACHE=%C/${name}`,
      idle(plan),
      plan.nodeOptions !== null && `Environment=${word(`NODE_OPTIONS=${plan.nodeOptions}`, template)}`,
      `ExecStart=${plan.command.map((one) => word(one, template)).join(' ')}`,
      reload(plan),
      ...restart,
      '# SIGTERM goes to the main process alone: child processes can finish their part of a request. It waits for the old process',
      '# of an upgrade as well; what is left at the end is killed. A drain takes 30 s at most, and asks for more time if needed.',
      'KillMode=mixed',
      `TimeoutStopSec=${stopTime}s`,
      ...store,
      watchdog !== null && `WatchdogSec=${watchdog}`,
    ],
    [
      ...(user ? [] : [runAs === null ? 'DynamicUser=yes' : `User=${runAs}`]),
      !user && `# StateDirectory=${plan.name}   the one place it may write to, $STATE_DIRECTORY`,
      ...hardening(plan),
    ],
    ['[Install]', '# Only to start it before the first connection.', `WantedBy=${target(plan)}`],
  );
}

/** podman-systemd.unit(5), podman 4.4 and newer. */
function containerFile(plan: UnitPlan, sockets: readonly string[]): string {
  return file(
    plan,
    unitSection(plan, sockets),
    [
      '[Container]',
      `Image=${plan.image}`,
      `Exec=${plan.command.map((one) => word(one, false)).join(' ')}`,
      idle(plan),
      plan.type !== 'exec' && '# READY=1 comes from the program in the container.\nNotify=true',
      plan.privateNetwork && '# The sockets that are passed go on working.\nNetwork=none',
      '# By default podman kills after 10 s; a drain may take 30 s.',
      `PodmanArgs=--stop-timeout=${stopTime}`,
      plan.runAs !== null && `User=${plan.runAs}`,
      'ReadOnly=true',
      'NoNewPrivileges=true',
      'DropCapability=all',
    ],
    [
      '[Service]',
      ...restart,
      `TimeoutStopSec=${stopTime + podmanMargin}s`,
      sockets.length > 1 && `Sockets=${sockets.join(' ')}`,
    ],
    ['[Install]', '# Only to start it before the first connection.', `WantedBy=${target(plan)}`],
  );
}

/** File name → text; sockets first, they are what gets started. */
export function unitFiles(plan: UnitPlan): Map<string, string> {
  const names = socketNames(plan);
  const sockets = names.map((name) => socketUnit(plan, name));
  const files = new Map(names.map((name, i) => [sockets[i]!, socketFile(plan, name)]));
  if (plan.image !== null) files.set(`${plan.name}.container`, containerFile(plan, sockets));
  else files.set(`${plan.name}${plan.template ? '@' : ''}.service`, serviceFile(plan, sockets));
  return files;
}
