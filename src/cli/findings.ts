// What is wrong with the descriptors of a process: a check for each code. Decides, and looks at nothing but the report and
// the paths in it.
import { type Description, isTcp } from '../receive/descriptor.js';
import { formatAddress } from '../text/address.js';
import { type Finding, type FindingCode, findingTable } from './finding-table.js';
import type { Holder } from './proc.js';
import type { Properties, UnitFacts } from './systemctl.js';
import { leadsTo, passingFolder, pathState } from './unix-paths.js';

export interface Row {
  readonly fd: number;
  /** Null for one that was not passed. */
  readonly name: string | null;
  readonly source: 'passed' | 'own' | 'stdin';
  readonly description: Description;
  /** The process that called listen(2) on a unix listener: its clients see it as their peer. */
  readonly owner: { readonly pid: number; readonly uid: number; readonly gid: number } | null;
  readonly holders: readonly Holder[];
}

/** Everything that was found out about one process. */
export interface Report {
  /** Null if a unit has no process. */
  readonly pid: number | null;
  /** The number by which it knows itself, in a container another one. */
  readonly ownPid: number;
  /** That of its parent. */
  readonly parentPid: number;
  /** It is the process that looks: its own changes to descriptors say nothing. */
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
  /** Its root directory, seen from here. */
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

function pidSituation(report: Report): 'none' | 'ours' | 'wrapped' | 'stale' {
  const { environment, pid, ownPid, parentPid, announced, rows } = report;
  const { LISTEN_PID: named, LISTENFDS_PID: accepted } = environment;
  if (announced.count === 0 || pid === null) return 'none';
  if (accepted === 'any') return 'ours';
  if (named === undefined) return 'none';
  if (Number(named) === ownPid || (accepted === 'parent' && Number(named) === parentPid)) return 'ours';
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

const failed = (unit: Properties): boolean => unit['ActiveState'] === 'failed';

const isStopped = ({ ActiveState }: Properties): boolean =>
  ActiveState === 'inactive' || ActiveState === 'deactivating';

/** The listener of the program itself at the address of that socket unit. */
function boundItself(report: Report, socket: Properties): { readonly fd: number; readonly address: string } | null {
  if (passed(report).length > 0) return null;
  for (const address of unitAddresses([socket])) {
    const isThere = (row: Row): boolean =>
      address === where(row) || leadsTo(address, row.description, row.holders, report);
    const row = listening(report).find(isThere);
    if (row) return { fd: row.fd, address };
  }
  return null;
}

const checks: Record<FindingCode, Check> = {
  'malformed-environment': ({ announced }) => (announced.error === null ? [] : [{ message: announced.error }]),

  'foreign-pid': (report) => {
    if (pidSituation(report) !== 'wrapped') return [];
    const named = Number(report.environment['LISTEN_PID']);
    const above = [...report.ancestors, report.parentPid];
    const who = above.includes(named) ? 'what started it' : 'another process';
    const those = plural(passed(report).length, 'descriptor');
    return [{ message: `LISTEN_PID is ${named}, ${who}, not ${report.ownPid}: the program must ignore its ${those}` }];
  },

  'pidfd-mismatch': ({ environment, ownPid, pidfdInode }) => {
    const { LISTEN_PIDFDID: named, LISTENFDS_PID: accepted } = environment;
    if (named === undefined || pidfdInode === null || accepted === 'any') return [];
    if (Number(environment['LISTEN_PID']) !== ownPid) return [];
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
      .filter((row) => pathState(row.description, row.holders, report) === 'missing')
      .map((row) => ({ fd: row.fd, message: `${label(row)}: ${where(row)} does not exist any more` })),

  'runtime-directory': ({ unit }) =>
    unitAddresses(unit?.sockets ?? []).flatMap((path) => {
      const folder = passingFolder(path, unit?.service);
      return folder === null
        ? []
        : [{ message: `${path} lies in RuntimeDirectory=${folder} of ${unit!.service!['Id']}` }];
    }),

  'path-replaced': (report) =>
    listening(report)
      .filter((row) => pathState(row.description, row.holders, report) === 'replaced')
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

  'socket-stopped': (report) =>
    (report.unit?.sockets ?? [])
      .filter((unit) => isStopped(unit) && boundItself(report, unit) === null)
      .map(({ Id, ActiveState }) => ({ message: `${Id} is ${ActiveState}` })),

  'started-before-socket': (report) =>
    (report.unit?.sockets ?? []).flatMap((unit) => {
      const own = isStopped(unit) || failed(unit) ? boundItself(report, unit) : null;
      if (own === null) return [];
      return [
        { fd: own.fd, message: `${own.address} is bound by the program itself (fd ${own.fd}), not by ${unit['Id']}` },
      ];
    }),

  'not-ready': ({ unit, rows, awaited }) => {
    const { Id, Type, ActiveState, SubState } = unit?.service ?? {};
    const waits = Type?.startsWith('notify') && ActiveState === 'activating' && SubState === 'start';
    const serving = rows.find(({ description: { listening: open, inode } }) => open && awaited?.has(inode.number));
    if (!waits || !serving) return [];
    return [
      {
        fd: serving.fd,
        message: `${Id} is activating: the program listens on ${where(serving)} and has not said READY=1`,
      },
    ];
  },

  'unit-differs': (report) => {
    const { unit } = report;
    if (!unit || report.pid === null || report.unit?.sockets.some(({ Accept }) => Accept === 'yes')) return [];
    const open = passed(report).map(where);
    const wanted = unitAddresses(unit.sockets);
    if (open.length === 0) return [];
    return wanted
      .filter((address) => !open.includes(address))
      .map((address) => ({ message: `the socket unit says ${address}, but the sockets are at ${open.join(', ')}` }));
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
