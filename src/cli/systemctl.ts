// The facts of a unit, asked through systemctl(1) for want of a D-Bus client.

/** A service, and the socket units that belong to it. */
export interface UnitFacts {
  readonly service: Properties | null;
  readonly sockets: readonly Properties[];
}

/** Properties by name; those that repeat, such as Listen, one a line. */
export type Properties = Readonly<Record<string, string>>;

const wanted = [
  'Id',
  'LoadState',
  'ActiveState',
  'SubState',
  'Result',
  'MainPID',
  'TriggeredBy',
  'Triggers',
  'NeedDaemonReload',
  'NFileDescriptorStore',
  'FileDescriptorStoreMax',
  'Listen',
  'Backlog',
  'FileDescriptorName',
  'Accept',
  'SocketMode',
  'Type',
  'RuntimeDirectory',
  'RuntimeDirectoryPreserve',
];

/** A manager that does not answer is as good as none. Milliseconds. */
const answerTime = 10_000;

function output(command: string, args: readonly string[]): string | null {
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const { status, stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: answerTime,
    killSignal: 'SIGKILL',
  });
  return status === 0 ? stdout : null;
}

/** Null if there is no systemd to ask, or it does not know the unit. */
function show(unit: string, user: boolean): Properties | null {
  const text = output('systemctl', [...(user ? ['--user'] : []), 'show', `--property=${wanted.join(',')}`, '--', unit]);
  if (text === null) return null;
  const properties: Record<string, string> = {};
  for (const line of text.split('\n').filter((one) => one.includes('='))) {
    const name = line.slice(0, line.indexOf('='));
    const value = line.slice(line.indexOf('=') + 1);
    properties[name] = Object.hasOwn(properties, name) ? `${properties[name]}\n${value}` : value;
  }
  return properties['LoadState'] === 'not-found' || properties['LoadState'] === undefined ? null : properties;
}

const unitsIn = (value: string | undefined, suffix: string): string[] =>
  (value ?? '').split(' ').filter((unit) => unit.endsWith(suffix));

const socketOf = (service: string): string => service.replace(/\.service$/, '.socket');

/** From the name of either the service or one of its sockets; null if systemd knows none. */
export function unitFacts(name: string, user: boolean): UnitFacts | null {
  const unit = show(/\.(service|socket)$/.test(name) ? name : `${name}.service`, user);
  if (unit === null) return null;
  if (!unit['Id']!.endsWith('.socket')) {
    const named = unitsIn(unit['TriggeredBy'], '.socket');
    // A socket unit that could not be started, since the service runs already, is not remembered: only its name tells.
    const sockets = (named.length > 0 ? named : [socketOf(unit['Id']!)]).map((one) => show(one, user));
    return { service: unit, sockets: sockets.filter((one) => one !== null) };
  }
  const [service] = unitsIn(unit['Triggers'], '.service');
  const facts = service === undefined ? null : unitFacts(service, user);
  // Accept=yes triggers instances that come and go: then there is the socket unit alone.
  return { service: facts?.service ?? null, sockets: facts?.sockets.length ? facts.sockets : [unit] };
}

/** The file descriptor store, a line for each; systemd 254 and newer tell. */
export function storedDescriptors(unit: string, user: boolean): string[] | null {
  const text = output('systemd-analyze', [...(user ? ['--user'] : []), 'fdstore', '--json=short', '--', unit]);
  if (text === null) return null;
  const rows = JSON.parse(text) as { fdname?: string; type?: string; path?: string; info?: string }[];
  return rows.map(({ fdname, type, path, info }) => [fdname, type, path ?? info].filter(Boolean).join(' '));
}
