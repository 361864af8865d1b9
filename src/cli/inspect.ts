// listenfds inspect: looks at a process from outside, and shows what it was given and what is wrong with it.
import { describeFacts, wordsFor } from '../receive/descriptor.js';
import { binding, systemError } from '../system/addon.js';
import { fs } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { formatAddress } from '../text/address.js';
import { visible, visibleJson } from '../text/visible.js';
import { firstFd, parseEnvironment } from '../text/environment.js';
import { CommandError, type CommandLine, UsageError } from './command-line.js';
import type { Finding } from './finding-table.js';
import { type Report, type Row, findingsOf } from './findings.js';
import {
  ancestorsOf,
  awaitedInodes,
  commandOf,
  descendantsOf,
  descriptorsOf,
  environmentOf,
  exists,
  holdersOf,
  isCloseOnExec,
  linkOf,
  mostBacklog,
  nameOf,
  ownPidOf,
  parentOf,
  pidsOf,
  programOf,
  unitOf,
} from './proc.js';
import { type UnitFacts, storedDescriptors, unitFacts } from './systemctl.js';
import { styleFor, table, write } from './terminal.js';

/** Cannot be looked at: the status of a command line that makes no sense. */
function impossible(message: string, hint: string): CommandError {
  return new CommandError(message, hint, 2);
}

function announcedIn(environment: NodeJS.ProcessEnv, pid: number): Report['announced'] {
  if (environment['LISTEN_PID'] === undefined && environment['LISTENFDS_PID'] !== 'any') {
    return { count: 0, names: [], error: null };
  }
  try {
    // Whose it is decides a check later; here all that were announced count.
    parseEnvironment(environment, 'self', { pid, ppid: 0, pidfdInode: () => null });
    const { count, names } = parseEnvironment(environment, 'any', { pid, ppid: 0, pidfdInode: () => null });
    return { count, names, error: null };
  } catch (error) {
    if (!(error instanceof ListenFdsError)) throw error;
    return { count: 0, names: [], error: error.message.replace(/; no descriptor was touched\..*$/s, '') };
  }
}

/** Reads one descriptor of another process through a copy of our own, pidfd_getfd(2). */
function look(pid: number, fd: number): Omit<Row, 'name' | 'source' | 'holders'> {
  const self = pid === process.pid;
  const own = self ? fd : binding().borrowFd(pid, fd);
  if (own < 0) {
    const { code } = systemError(own, 'pidfd_getfd', `fd ${fd}`);
    throw impossible(`fd ${fd} of process ${pid} cannot be looked at: ${code}`, 'run it as root');
  }
  try {
    const facts = binding().facts(own);
    if (typeof facts === 'number') throw systemError(facts, 'describe', `fd ${fd}`);
    const cloexec = self ? facts.cloexec : isCloseOnExec(pid, fd);
    const description = { ...describeFacts(facts), fd, cloexec };
    const owner = description.family === 'unix' && description.listening ? binding().listenerOwner(own) : null;
    return { fd, description, owner: typeof owner === 'number' ? null : owner };
  } finally {
    if (!self) fs.closeSync(own);
  }
}

type Seen = Omit<Row, 'holders'>;

function passedRows(pid: number, announced: Report['announced']): { rows: Seen[]; missing: Report['missing'] } {
  const open = new Set(descriptorsOf(pid));
  const rows: Seen[] = [];
  const missing: { fd: number; name: string; instead: string | null }[] = [];
  for (let i = 0; i < announced.count; i++) {
    const fd = firstFd + i;
    const name = announced.names[i] ?? 'unknown';
    const what = open.has(fd) ? linkOf(pid, fd) : null;
    if (what === null) missing.push({ fd, name, instead: null });
    else if (/^anon_inode:|^pipe:/.test(what)) missing.push({ fd, name, instead: what });
    else rows.push({ ...look(pid, fd), name, source: 'passed' });
    if (missing.length > 1000) break; // LISTEN_FDS=2000000000
  }
  return { rows, missing };
}

/** Listeners that were not passed, and a listening standard input (StandardInput=socket). */
function ownRows(pid: number, passed: readonly Seen[]): Seen[] {
  // A server has a duplicate of the descriptor that was passed.
  const known = new Set(passed.map(({ description }) => description.inode.number));
  return descriptorsOf(pid)
    .filter((fd) => linkOf(pid, fd)?.startsWith('socket:'))
    .map((fd) => ({ ...look(pid, fd), name: null, source: fd === 0 ? ('stdin' as const) : ('own' as const) }))
    .filter(({ description }) => description.listening && !known.has(description.inode.number));
}

/** Processes that have no business with the sockets of this one. */
function strangersAmong(pid: number, pids: readonly number[], ancestors: readonly number[]): Set<number> {
  const program = programOf(pid);
  return new Set(
    pids.filter(
      (other) =>
        other !== pid &&
        other !== process.pid &&
        other !== 1 &&
        nameOf(other) !== 'systemd' &&
        !ancestors.includes(other) &&
        programOf(other) !== program, // a worker, or a successor that is being brought up
    ),
  );
}

function pidfdInode(pid: number): bigint | null {
  const inode = binding().pidfdInode(pid);
  return typeof inode === 'bigint' ? inode : null;
}

function reportOn(pid: number, unit: UnitFacts | null): Report {
  const self = pid === process.pid;
  const environment = self ? process.env : environmentOf(pid);
  if (environment === null) {
    if (!exists(pid)) throw impossible(`there is no process ${pid}`, 'listenfds inspect takes a PID or a unit');
    throw impossible(`process ${pid} is somebody else's`, 'run it as its owner, or as root');
  }
  const announced = announcedIn(environment, pid);
  const passed = passedRows(pid, announced);
  const seen = [
    ...passed.rows,
    ...(self ? ownRows(pid, passed.rows).filter(({ fd }) => fd === 0) : ownRows(pid, passed.rows)),
  ];
  const holders = holdersOf(
    new Set(
      seen.filter(({ description }) => description.kind !== 'other').map(({ description }) => description.inode.number),
    ),
  );
  const rows = seen.map((row) => ({
    ...row,
    holders: (holders.get(row.description.inode.number) ?? []).filter((holder) => holder.pid !== pid),
  }));
  const ancestors = ancestorsOf(pid);
  return {
    pid,
    ownPid: ownPidOf(pid),
    parentPid: ownPidOf(parentOf(pid)),
    self,
    command: commandOf(pid),
    environment,
    announced,
    pidfdInode: pidfdInode(pid),
    ancestors,
    rows,
    missing: passed.missing,
    awaited: awaitedInodes(pid),
    somaxconn: mostBacklog(),
    root: self ? '' : `/proc/${pid}/root`,
    strangers: strangersAmong(
      pid,
      [...holders.values()].flat().map((holder) => holder.pid),
      ancestors,
    ),
    unit,
  };
}

const noProcess = (unit: UnitFacts): Report => ({
  pid: null,
  ownPid: 0,
  parentPid: 0,
  self: false,
  command: [],
  environment: {},
  announced: { count: 0, names: [], error: null },
  pidfdInode: null,
  ancestors: [],
  rows: [],
  missing: [],
  awaited: null,
  somaxconn: mostBacklog(),
  root: '',
  strangers: new Set(),
  unit,
});

/** The main process of a podman service is conmon, which watches over the program and holds its sockets. */
function programOfContainer(pid: number): number | null {
  if (nameOf(pid) !== 'conmon') return null;
  return descendantsOf(pid).find((one) => parentOf(one) === pid && pidsOf(one).length > 1) ?? null;
}

function reportFor(operand: string | undefined, user: boolean): Report {
  if (operand === undefined) return reportOn(process.pid, null);
  if (/^[0-9]+$/.test(operand)) {
    const pid = programOfContainer(Number(operand)) ?? Number(operand);
    if (!exists(pid)) throw impossible(`there is no process ${pid}`, 'listenfds inspect takes a PID or a unit');
    const unit = unitOf(pid);
    const facts = unit === null ? null : unitFacts(unit, user);
    // A control group's name may be that of a unit of another manager, or of another machine's.
    const main = Number(facts?.service?.['MainPID']);
    return reportOn(pid, main === pid || ancestorsOf(pid).includes(main) ? facts : null);
  }
  const facts = unitFacts(operand, user);
  if (facts === null) {
    throw impossible(`systemctl knows no unit ${operand}`, 'is it one of your own? then say --user; else give a PID');
  }
  const pid = Number(facts.service?.['MainPID'] ?? 0);
  return pid > 0 ? reportOn(programOfContainer(pid) ?? pid, facts) : noProcess(facts);
}

function userName(uid: number): string {
  const passwd = fs.existsSync('/etc/passwd') ? fs.readFileSync('/etc/passwd', 'utf8') : '';
  return new RegExp(`^([^:]*):[^:]*:${uid}:`, 'm').exec(passwd)?.[1] ?? String(uid);
}

function cells({ fd, name, source, description, owner, holders }: Row): string[] {
  const { address, peer, backlog, queued, cloexec } = description;
  // A program that binds all of a sockaddr_un has an abstract name of 107 bytes, most of them NUL.
  const shown = formatAddress(address).replace(/\0{4,}$/, (padding) => `\\x00 (${padding.length} times)`);
  const place = peer === null ? shown : `${shown} ← ${formatAddress(peer)}`;
  return [
    String(fd),
    name ?? (source === 'stdin' ? 'stdin' : '-'),
    wordsFor(description),
    place,
    description.listening ? `${queued ?? '?'}/${backlog ?? '?'}` : description.connected ? 'connected' : '-',
    cloexec ? 'yes' : 'no',
    owner ? `${userName(owner.uid)} pid ${owner.pid}` : '-',
    holders.map(({ pid, name: program }) => `${program} ${pid}`).join(', ') || '-',
  ];
}

function unitLines({ unit }: Report, user: boolean): string[] {
  const lines: string[] = [];
  for (const { Id, ActiveState, SubState, Listen = '', SocketMode: mode } of unit?.sockets ?? []) {
    // Its writers may connect.
    const isOpen = /^\//m.test(Listen) && /[2367]$/.test(mode ?? '');
    const who = isOpen ? `; every local user may connect to the path, SocketMode=${mode}` : '';
    lines.push(`${Id}: ${ActiveState} (${SubState}), ${Listen.split('\n').join(', ')}${who}`);
  }
  if (unit?.service) {
    const { Id, ActiveState, SubState, NFileDescriptorStore: used, FileDescriptorStoreMax: most } = unit.service;
    lines.push(`${Id}: ${ActiveState} (${SubState})`);
    if (Number(most) > 0) lines.push(`${Id}: ${used} of ${most} descriptors in the store`);
    if (Number(used) > 0) lines.push(...(storedDescriptors(Id!, user) ?? []).map((line) => `  ${line}`));
  }
  return lines;
}

function show(report: Report, findings: readonly Finding[], user: boolean): void {
  const { bold, dim, red, green } = styleFor(1);
  const { pid, ownPid, command, rows, announced } = report;
  const there = ownPid === pid ? '' : ` (pid ${ownPid} in its container)`;
  if (pid !== null) write(1, `${bold(`process ${pid}${there}`)}  ${visible(command.join(' '))}\n`);
  for (const line of unitLines(report, user)) write(1, `${dim(visible(line))}\n`);
  if (rows.length > 0) {
    const head = ['FD', 'NAME', 'TYPE', 'ADDRESS', 'QUEUE', 'CLOEXEC', 'LISTENER OF', 'ALSO HELD BY'];
    write(1, `\n${table([head.map(bold), ...rows.map((row) => cells(row).map(visible))])}`);
  } else if (pid !== null) {
    write(1, announced.count === 0 ? 'no descriptor was passed to it, and it listens on none\n' : '');
  }
  write(1, '\n');
  for (const { code, message, remedy } of findings) {
    write(1, `${red(`✗ ${code}`)}: ${visible(message)}\n  ${dim('→')} ${visible(remedy)}\n`);
  }
  if (findings.length === 0) write(1, `${green('✓')} nothing is wrong\n`);
}

function toJson(report: Report, findings: readonly Finding[], user: boolean): string {
  const { pid, command, rows, announced, unit } = report;
  const service = unit?.service;
  const store = service && {
    used: Number(service['NFileDescriptorStore']),
    most: Number(service['FileDescriptorStoreMax']),
    descriptors: Number(service['NFileDescriptorStore']) > 0 ? storedDescriptors(service['Id']!, user) : [],
  };
  const descriptors = rows.map(({ fd, name, source, description, owner, holders }) => {
    const { kind, family, type, listening, connected, address, peer, backlog, queued, cloexec } = description;
    return {
      fd,
      name,
      source,
      kind,
      family,
      type,
      listening,
      connected,
      address,
      peer,
      queued,
      backlog,
      cloexec,
      owner,
      holders,
    };
  });
  const units = unit && { service: unit.service, sockets: unit.sockets };
  const all = { pid, command, announced: announced.count, descriptors, units, store: store ?? null, findings };
  return `${visibleJson(JSON.stringify(all, null, 2))}\n`;
}

export function inspect(line: CommandLine): number {
  const [operand, ...rest] = line.operands;
  if (rest.length > 0) throw new UsageError('one process or unit at a time');
  const user = line.flag('user');
  const report = reportFor(operand, user);
  const findings = findingsOf(report);
  if (line.flag('json')) write(1, toJson(report, findings, user));
  else show(report, findings, user);
  return findings.length > 0 ? 1 : 0;
}
