// What can be wrong with the descriptors of a process: one table of codes, and the check for each. Decides, looks at
// nothing but the report.
import { isBoundTo } from '../receive/choose.js';
import { type Description, isTcp } from '../receive/descriptor.js';
import { fs } from '../system/builtins.js';
import { formatAddress } from '../text/address.js';
import type { Holder } from './proc.js';
import type { Properties, UnitFacts } from './systemctl.js';

/** Every code, when it is given and what to do. docs/inspect.md says the same. */
export const findingTable = {
  'malformed-environment': {
    when: 'A LISTEN_* variable cannot be read, or LISTEN_FDNAMES does not name as many as LISTEN_FDS announces.',
    remedy: 'look at what starts the program: a service manager never sends this, a hand-written wrapper may',
  },
  'foreign-pid': {
    when: 'The descriptors arrived, but LISTEN_PID names another process, so the program must ignore them.',
    remedy:
      "start the program without a wrapper, or with exec in it (`sh -c 'exec node app.js'`); npm start and npx cannot pass descriptors on",
  },
  'pidfd-mismatch': {
    when: 'LISTEN_PID is right, but LISTEN_PIDFDID is that of another process: a left-over that newer receivers refuse.',
    remedy: 'remove LISTEN_PIDFDID wherever LISTEN_PID is set anew',
  },
  'stale-variables': {
    when: 'LISTEN_* variables were left behind by another process; no descriptors came with them.',
    remedy: 'have the process that was activated remove them before it starts others: listenFds() does',
  },
  'missing-descriptor': {
    when: 'LISTEN_FDS announces a descriptor that is not there, or whose number is something else by now.',
    remedy:
      'find who closes it: a wrapper (npm, npx, sudo), or the program itself, whose server.close() frees the number',
  },
  'port-differs': {
    when: 'The program is configured for a port (PORT, --port) that none of its sockets has: the socket unit decides, not the program.',
    remedy:
      'change ListenStream= in the socket unit, then: systemctl daemon-reload, stop the service, restart the socket',
  },
  unused: {
    when: 'A listener was passed, and the program does not wait for connections on it: they queue up and hang.',
    remedy: 'adopt it (listen(app) finds it by name or address), or take it out of the socket unit',
  },
  'queue-full': {
    when: 'The accept queue of a listener is full: further connections are dropped or hang.',
    remedy: 'the program accepts too slowly or not at all; a larger Backlog= only helps against short bursts',
  },
  'backlog-shrunk': {
    when: "The backlog in force is smaller than the socket unit's: the program called listen(2) again with less, as Node does (511).",
    remedy: 'adopt the socket with listen() of listenfds, which keeps it',
  },
  'backlog-capped': {
    when: 'Backlog= is more than net.core.somaxconn allows.',
    remedy: 'sysctl -w net.core.somaxconn=… (and /etc/sysctl.d), then restart the socket',
  },
  'path-missing': {
    when: 'The path of a unix listener is gone: nobody can connect any more, while everything looks well from inside.',
    remedy:
      'restart the socket, and find who removed the file (tmpwatch, a deploy script, RemoveOnStop= of another unit)',
  },
  'path-replaced': {
    when: 'The path of a unix listener belongs to something else by now: clients reach another program.',
    remedy: 'give each program a path of its own, then restart the socket',
  },
  inheritable: {
    when: 'A passed descriptor is not close-on-exec: every program this one starts gets it and holds it open.',
    remedy: 'set FD_CLOEXEC on it at the start: listenFds() does',
  },
  'held-elsewhere': {
    when: 'Another program has the listener too: it may take connections, and keeps the port when this one ends.',
    remedy: 'end that process; if this program started it, its descriptors leaked: see inheritable',
  },
  'socket-failed': {
    when: 'The socket unit has failed: nothing listens, clients get ECONNREFUSED.',
    remedy:
      'systemctl reset-failed the socket and the service, then start the socket; raise TriggerLimitBurst= or StartLimitBurst=',
  },
  'socket-stopped': {
    when: 'The socket unit is not active: the sockets go when the service stops.',
    remedy: 'systemctl enable --now the socket unit',
  },
  'unit-differs': {
    when: 'The socket unit says another address than the sockets have that were passed: it was changed after they were opened.',
    remedy: 'stop the service, restart the socket',
  },
  'reload-needed': {
    when: 'A unit file was changed since systemd has read it.',
    remedy: 'systemctl daemon-reload, then restart the socket if it was the one changed',
  },
  'store-full': {
    when: 'The file descriptor store is full: what is sent next is dropped, and nothing tells the sender.',
    remedy: 'raise FileDescriptorStoreMax=, or remove what is not needed (FDSTOREREMOVE=1)',
  },
} as const satisfies Record<string, { when: string; remedy: string }>;

export type FindingCode = keyof typeof findingTable;

export interface Finding {
  readonly code: FindingCode;
  /** What was found. */
  readonly message: string;
  readonly remedy: string;
  readonly fd?: number;
}

export interface Row {
  readonly fd: number;
  /** Null for what was not passed. */
  readonly name: string | null;
  readonly source: 'passed' | 'own' | 'stdin';
  readonly description: Description;
  /** Who called listen(2) on a unix listener: what its clients see as their peer. */
  readonly owner: { readonly pid: number; readonly uid: number; readonly gid: number } | null;
  readonly holders: readonly Holder[];
}

/** Everything that was found out about one process. */
export interface Report {
  /** Null where a unit has no process. */
  readonly pid: number | null;
  /** It is the process that looks: what it does to descriptors itself says nothing. */
  readonly self: boolean;
  readonly command: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly announced: { readonly count: number; readonly names: readonly string[]; readonly error: string | null };
  /** Whether pidfds can be told apart here, and what this one's number is. */
  readonly pidfdInode: bigint | null;
  readonly ancestors: readonly number[];
  readonly rows: readonly Row[];
  /** Numbers that were announced, and what is there instead; null: nothing. */
  readonly missing: readonly { readonly fd: number; readonly name: string; readonly instead: string | null }[];
  readonly awaited: ReadonlySet<number> | null;
  readonly somaxconn: number | null;
  /** Where its paths start: its root directory, seen from here. */
  readonly root: string;
  /** Those of the holders that are neither its service manager, nor above it, nor the same program. */
  readonly strangers: ReadonlySet<number>;
  readonly unit: UnitFacts | null;
}

type Check = (report: Report) => Omit<Finding, 'code' | 'remedy'>[];

const label = ({ fd, name }: { fd: number; name: string | null }): string =>
  name === null ? `fd ${fd}` : `fd ${fd} (${name})`;
const where = ({ description }: Row): string => formatAddress(description.address);
const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

const listening = ({ rows }: Report): Row[] => rows.filter(({ description }) => description.listening);
const passed = ({ rows }: Report): Row[] => rows.filter(({ source }) => source !== 'own');

function pidSituation({ environment, pid, announced, rows }: Report): 'none' | 'ours' | 'wrapped' | 'stale' {
  const named = environment['LISTEN_PID'];
  if (named === undefined || announced.count === 0 || pid === null) return 'none';
  if (Number(named) === pid) return 'ours';
  return rows.some(({ source }) => source === 'passed') ? 'wrapped' : 'stale';
}

/** The port the program was told to use, and by what. */
function configuredPort({ environment, command }: Report): { readonly port: number; readonly by: string } | null {
  const valid = (text: string | undefined): number | null => {
    const port = /^[0-9]+$/.test(text ?? '') ? Number(text) : 0;
    return port > 0 && port < 65536 ? port : null;
  };
  for (const [i, word] of command.entries()) {
    const value = /^--port=(.*)$/.exec(word)?.[1] ?? (word === '--port' || word === '-p' ? command[i + 1] : undefined);
    const port = valid(value);
    if (port !== null) return { port, by: word.includes('=') ? word : `${word} ${value}` };
  }
  const port = valid(environment['PORT']);
  return port === null ? null : { port, by: `PORT=${port}` };
}

const portOf = ({ description: { address } }: Row): number | null =>
  typeof address === 'object' && address !== null ? address.port : null;

/** A backlog that somebody asked for: 252 says INT_MAX, newer ones UINT_MAX for "as much as there is". */
function wantedBacklog({ unit }: Report): number | null {
  const wanted = (unit?.sockets ?? []).map((socket) => Number(socket['Backlog'])).filter((one) => one > 0);
  return wanted.length === 0 ? null : Math.min(...wanted);
}

/** ListenStream=, ListenDatagram=, … as systemctl shows them: `[::]:80 (Stream)`. */
function unitAddresses(sockets: readonly Properties[]): string[] {
  return sockets
    .flatMap((socket) => (socket['Listen'] ?? '').split('\n'))
    .filter((line) => /\((Stream|Datagram|SequentialPacket)\)$/.test(line))
    .map((line) => line.replace(/ \(\w+\)$/, ''));
}

function pathState(row: Row, root: string): 'right' | 'missing' | 'replaced' {
  const { address, boundInode, family } = row.description;
  if (typeof address !== 'string' || !address.startsWith('/') || family !== 'unix') return 'right';
  const file = fs.statSync(root + address, { throwIfNoEntry: false });
  if (!file) return 'missing';
  if (!file.isSocket()) return 'replaced';
  return boundInode === null || isBoundTo(root + address, boundInode) ? 'right' : 'replaced';
}

const failed = (unit: Properties): boolean => unit['ActiveState'] === 'failed';

const checks: Record<FindingCode, Check> = {
  'malformed-environment': ({ announced }) => (announced.error === null ? [] : [{ message: announced.error }]),

  'foreign-pid': (report) => {
    if (pidSituation(report) !== 'wrapped') return [];
    const named = Number(report.environment['LISTEN_PID']);
    const who = report.ancestors.includes(named) ? 'what started it' : 'another process';
    const those = plural(passed(report).length, 'descriptor');
    return [{ message: `LISTEN_PID is ${named}, ${who}, not ${report.pid}: the program must ignore its ${those}` }];
  },

  'pidfd-mismatch': ({ environment, pid, pidfdInode }) => {
    const named = environment['LISTEN_PIDFDID'];
    if (named === undefined || pidfdInode === null || Number(environment['LISTEN_PID']) !== pid) return [];
    if (named === String(pidfdInode)) return [];
    return [{ message: `LISTEN_PIDFDID is ${named}, but the process's own is ${pidfdInode}` }];
  },

  'stale-variables': (report) => {
    if (pidSituation(report) !== 'stale') return [];
    const { LISTEN_PID: pid, LISTEN_FDS: count } = report.environment;
    return [{ message: `LISTEN_PID=${pid} LISTEN_FDS=${count} are left over from process ${pid}` }];
  },

  'missing-descriptor': (report) =>
    pidSituation(report) === 'stale'
      ? []
      : report.missing.map((one) => ({
          fd: one.fd,
          message: `${label(one)} was announced, but ${one.instead === null ? 'it is not open' : `the number belongs to ${one.instead}`}`,
        })),

  'port-differs': (report) => {
    const configured = configuredPort(report);
    const tcp = passed(report).filter(({ description }) => isTcp(description) && description.listening);
    if (configured === null || tcp.length === 0) return [];
    if (listening(report).some((row) => portOf(row) === configured.port)) return [];
    const [first] = tcp;
    const places = tcp.map((row) => `${label(row)} on ${where(row)}`).join(', ');
    return [
      { fd: first!.fd, message: `${configured.by} asks for port ${configured.port}, but it was passed ${places}` },
    ];
  },

  unused: (report) => {
    const { awaited, self } = report;
    if (self || awaited === null || pidSituation(report) === 'wrapped') return [];
    return passed(report)
      .filter(({ description }) => description.listening && !awaited.has(description.inode.number))
      .map((row) => ({
        fd: row.fd,
        message: `${label(row)} at ${where(row)} was passed, but nothing waits for its connections${row.description.queued ? `: ${row.description.queued} queued` : ''}`,
      }));
  },

  'queue-full': (report) =>
    listening(report)
      // The kernel lets one more in than the backlog says.
      .filter(
        ({ description: { queued, backlog } }) =>
          backlog !== null && queued !== null && backlog > 0 && queued >= backlog,
      )
      .map((row) => ({
        fd: row.fd,
        message: `${label(row)} at ${where(row)}: ${row.description.queued} connections wait in a queue for ${row.description.backlog}`,
      })),

  'backlog-shrunk': (report) => {
    const wanted = wantedBacklog(report);
    if (wanted === null) return [];
    const possible = Math.min(wanted, report.somaxconn ?? wanted);
    return passed(report)
      .filter(({ description: { listening: open, backlog } }) => open && backlog !== null && backlog < possible)
      .map((row) => ({
        fd: row.fd,
        message: `${label(row)} at ${where(row)}: the backlog in force is ${row.description.backlog} instead of ${possible}`,
      }));
  },

  'backlog-capped': ({ unit, somaxconn }) =>
    (unit?.sockets ?? [])
      .filter(({ Backlog }) => somaxconn !== null && Number(Backlog) > somaxconn && Number(Backlog) < 0x7fffffff)
      .map(({ Id, Backlog }) => ({ message: `${Id}: Backlog=${Backlog}, but net.core.somaxconn is ${somaxconn}` })),

  'path-missing': (report) =>
    listening(report)
      .filter((row) => pathState(row, report.root) === 'missing')
      .map((row) => ({ fd: row.fd, message: `${label(row)}: ${where(row)} does not exist any more` })),

  'path-replaced': (report) =>
    listening(report)
      .filter((row) => pathState(row, report.root) === 'replaced')
      .map((row) => ({ fd: row.fd, message: `${label(row)}: ${where(row)} is not its socket any more` })),

  inheritable: (report) =>
    report.self || pidSituation(report) === 'wrapped'
      ? []
      : passed(report)
          .filter(({ description: { cloexec }, source }) => !cloexec && source === 'passed')
          .map((row) => ({ fd: row.fd, message: `${label(row)} is passed on to every program this one starts` })),

  'held-elsewhere': (report) =>
    listening(report).flatMap((row) =>
      row.holders
        .filter(({ pid }) => report.strangers.has(pid))
        .map(({ pid, name, fds }) => ({
          fd: row.fd,
          message: `${label(row)} at ${where(row)} is also fd ${fds.join(', ')} of process ${pid} (${name})`,
        })),
    ),

  'socket-failed': ({ unit }) =>
    (unit?.sockets ?? []).filter(failed).map(({ Id, Result }) => ({ message: `${Id} has failed: ${Result}` })),

  'socket-stopped': ({ unit }) =>
    (unit?.sockets ?? [])
      .filter(({ ActiveState }) => ActiveState === 'inactive' || ActiveState === 'deactivating')
      .map(({ Id, ActiveState }) => ({ message: `${Id} is ${ActiveState}` })),

  'unit-differs': (report) => {
    const { unit } = report;
    if (!unit || report.pid === null || report.unit?.sockets.some(({ Accept }) => Accept === 'yes')) return [];
    const open = passed(report).map(where);
    const wanted = unitAddresses(unit.sockets);
    if (open.length === 0) return [];
    return wanted
      .filter((address) => !open.includes(address))
      .map((address) => ({ message: `the socket unit says ${address}, but what was passed is at ${open.join(', ')}` }));
  },

  'reload-needed': ({ unit }) =>
    [...(unit?.sockets ?? []), ...(unit?.service ? [unit.service] : [])]
      .filter(({ NeedDaemonReload }) => NeedDaemonReload === 'yes')
      .map(({ Id }) => ({ message: `the file of ${Id} was changed` })),

  'store-full': ({ unit }) => {
    const { Id, NFileDescriptorStore: used, FileDescriptorStoreMax: most } = unit?.service ?? {};
    if (used === undefined || Number(most) === 0 || Number(used) < Number(most)) return [];
    return [{ message: `${Id}: ${used} of FileDescriptorStoreMax=${most} descriptors are stored` }];
  },
};

export function findingsOf(report: Report): Finding[] {
  return (Object.keys(checks) as FindingCode[]).flatMap((code) =>
    checks[code](report).map((found) => ({ code, ...found, remedy: findingTable[code].remedy })),
  );
}
