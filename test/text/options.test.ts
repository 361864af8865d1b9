// One table for each call: what is refused and how the error reads, and that types, TSDoc and docs/options.md agree with it.
import { readFileSync } from 'node:fs';
import { Server, createServer } from 'node:http';
import { join } from 'node:path';
import {
  ListenFdsError,
  authorize,
  drain,
  listen,
  listenFds,
  notify,
  notifyBarrier,
  peerCredentials,
  removeStoredFds,
  serve,
  startWatchdog,
  storeFds,
  watchdogEnabled,
} from 'listenfds';
import * as sockets from 'listenfds/sockets';
import t, { type Test } from 'tap';
import { nearest, readOptions, span } from '../../src/text/options.ts';
import { readVariable, variables, warnOfMisspelt } from '../../src/text/variables.ts';
import { root } from '../support/activate.ts';
import { calls, documentation } from '../support/option-tables.ts';
import { checkTable } from '../support/table.ts';

const app = (): void => {};
const spans = `milliseconds or a time span with a unit, such as '300ms', '5s' or '10min'`;

/** Makes the call, which may be one that throws or one that rejects. */
async function said(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (error instanceof ListenFdsError && error.code === 'LISTENFDS_BAD_OPTION') return error.message;
    throw error;
  }
  return 'accepted';
}

/** A call with wrong options, and how the error begins. */
type Wrong = readonly [options: unknown, says: string];

async function refuses(t: Test, call: (options: never) => unknown, table: readonly Wrong[]): Promise<void> {
  for (const [options, says] of table) {
    const message = await said(() => call(options as never));
    t.ok(message.startsWith(says), `${JSON.stringify(options)}: ${message}`);
    t.match(message, /docs\/options\.md/, 'the error says where the options are listed');
  }
}

t.test('serve() refuses at the call what it would stumble over at the end', async (t) => {
  const signals = [process.listenerCount('SIGTERM'), process.listenerCount('SIGINT')];
  await refuses(t, (options: object) => serve(app, { port: 0, ...options }), [
    [{ drain: { timeout: '5x' } }, `drain.timeout is "5x", but must be ${spans}, 0 or more and at most 24 days. `],
    [{ drain: { timout: 5 } }, 'There is no option drain.timout: did you mean drain.timeout? '],
    [{ drain: 5 }, 'drain is 5, but must be an object. '],
    [{ drain: { grace: -1 } }, 'drain.grace is -1, but must be '],
    [{ drainTimeout: 5 }, 'There is no option drainTimeout: did you mean drain.timeout? '],
    [{ crashTimeout: 'soon' }, 'crashTimeout is "soon", but must be '],
    [{ crashTimeout: -1 }, 'crashTimeout is -1, but must be '],
    [{ crashTimeout: NaN }, 'crashTimeout is NaN, but must be '],
    [{ onReload: 5 }, 'onReload is 5, but must be a function. '],
    [{ onStop: 'x' }, 'onStop is "x", but must be a function. '],
    [{ healthy: true }, 'healthy is true, but must be a function. '],
    [{ upgrade: 'SIGUSR1' }, "upgrade is \"SIGUSR1\", but must be true, false, 'SIGHUP', 'SIGUSR2' or an object. "],
    [{ upgrade: { signal: 'SIGUSR1' } }, "upgrade.signal is \"SIGUSR1\", but must be 'SIGHUP' or 'SIGUSR2'. "],
    [{ upgrade: { timeout: '300' } }, 'upgrade.timeout is "300", but must be '],
    [{ upgrade: { command: 'node' } }, 'upgrade.command is "node", but must be an array of strings'],
    [{ upgrade: { comand: ['x'] } }, 'There is no option upgrade.comand: did you mean upgrade.command? '],
    [{ exit: 'no' }, 'exit is "no", but must be true or false. '],
    [{ idleTimeout: '300' }, `idleTimeout is "300", but must be ${spans}, above 0 and at most 24 days. `],
    [{ idleTimeout: '1h 30' }, 'idleTimeout is "1h 30", but must be '],
    [{ idleTimeout: 0 }, 'idleTimeout is 0, but must be '],
    [{ idleTimout: '5s' }, 'There is no option idleTimout: did you mean idleTimeout? '],
    [{ drainDelay: '-1s' }, 'drainDelay is "-1s", but must be '],
    [{ signals: ['SIGKILL'] }, "signals is [ 'SIGKILL' ], but must be an array of 'SIGTERM' and 'SIGINT'. "],
    [{ log: 'file' }, 'log is "file", but must be a function. '],
    [{ fd: '3' }, 'fd is "3", but must be '],
    [{ Port: 1 }, 'There is no option Port: did you mean port? '],
    [{ watch: true }, 'There is no option watch: the options are drain, drain.timeout, '],
    [{ mode: 0o1777 }, 'mode is 1023, but must be an access mode'],
    [{ removeOnStop: 1 }, 'removeOnStop is 1, but must be true or false. '],
    [{ inetd: 'yes' }, 'inetd is "yes", but must be true or false. '],
    [{ authorize: 5 }, 'authorize is 5, but must be '],
    [{ authorize: { user: ['root'] } }, 'There is no option authorize.user: did you mean authorize.users? '],
  ]);
  t.same([process.listenerCount('SIGTERM'), process.listenerCount('SIGINT')], signals, 'no signal is caught');
});

t.test('serve() of several apps says where an option belongs', async (t) => {
  const several = serve as (apps: unknown, options?: unknown) => Promise<unknown>;
  await refuses(t, (options) => several([{ app, port: 0 }], options), [
    [{ port: 0 }, 'port is for one app: with several it stands beside the app, serve([{ app, port }]). '],
    [{ drainTimeout: 5 }, 'There is no option drainTimeout: did you mean drain.timeout? '],
  ]);
  await refuses(t, (one) => several([{ app, port: 0 }, one]), [
    [{ app, port: 0, drain: {} }, 'drain is for the whole service: '],
    [{ app, prot: 0 }, 'There is no option prot: did you mean port? '],
    [null, 'Number 2 of the apps is null, but must be an object with app. '],
  ]);
});

t.test('every other call reads its options, too', async (t) => {
  const server = createServer();
  await refuses(t, (options) => listen(app, options), [
    [{ port: 0, idleTimeout: '5s' }, 'There is no option idleTimeout: the options are '],
    [{ port: 0, backlog: '5' }, 'backlog is "5", but must be a whole number, from 1 to 2147483647. '],
    [{ port: 0, path: '/x' }, 'The target has path and port, but only one of them can count. '],
    [{ port: 0, signal: 'SIGTERM' }, 'signal is "SIGTERM", but must be an AbortSignal. '],
  ]);
  await refuses(t, (options) => listenFds(options), [
    [{ pids: 'any' }, 'There is no option pids: did you mean pid? '],
    [{ pid: 5 }, "pid is 5, but must be 'self', 'parent' or 'any'. "],
    [5, 'options is 5, but must be an object. '],
    [[], 'options is [], but must be an object. '],
  ]);
  await refuses(t, (options) => drain(server, options), [
    [{ timeout: '10' }, 'timeout is "10", but must be '],
    [{ grase: 5 }, 'There is no option grase: did you mean grace? '],
  ]);
  await refuses(t, (wrong) => drain(wrong), [
    [{}, 'The server is {}, but must be a net, tls, http, https or http2 server'],
  ]);
  await refuses(t, (options) => notify({ ready: true }, options), [
    [{ fd: [3] }, 'There is no option fd: did you mean fds? '],
    [{ fds: 3 }, 'fds is 3, but must be an array of at most 253 descriptors. '],
    [{ pid: -1 }, 'pid is -1, but must be '],
  ]);
  await refuses(t, (state) => notify(state), [
    [{ redy: true }, 'The state has no field "redy": did you mean ready? '],
    [{ extendTimeout: '15' }, 'extendTimeout is "15", but must be '],
  ]);
  await refuses(t, (options) => notifyBarrier(options), [
    [{ timeout: 0 }, `timeout is 0, but must be ${spans}, above 0 and at most 24 days, or Infinity. `],
  ]);
  await refuses(t, (options) => watchdogEnabled(options), [[{ pid: 'self' }, 'pid is "self", but must be ']]);
  await refuses(t, (options) => startWatchdog(options), [
    [{ health: app }, 'There is no option health: did you mean healthy? '],
    [{ interval: '5' }, 'interval is "5", but must be '],
    [{ interval: '30s', env: { WATCHDOG_USEC: '3000000' } }, 'interval is "30s", but must be below the manager'],
  ]);
  await refuses(t, (options) => storeFds('x', [0], options), [
    [{ pol: false }, 'There is no option pol: did you mean poll? '],
    [{ timeout: 'x' }, 'timeout is "x", but must be '],
  ]);
  await refuses(t, (fds) => storeFds('x', fds), [[3, 'fds is 3, but must be an array of descriptors. ']]);
  await refuses(t, (options) => removeStoredFds('x', options), [[{ poll: true }, 'There is no option poll: ']]);
  await refuses(t, (options) => peerCredentials(0, options), [
    [{ pidFd: true }, 'There is no option pidFd: did you mean pidfd? '],
    [{ pidfd: 1 }, 'pidfd is 1, but must be true or false. '],
  ]);
  await refuses(t, (rule) => authorize(new Server(), rule), [
    [{ uid: [0] }, 'There is no option authorize.uid: did you mean authorize.uids? '],
    [{ uids: 0 }, 'authorize.uids is 0, but must be an array of whole numbers'],
    [{ users: [] }, 'The rule is empty: nobody could ever get in. '],
  ]);
});

t.test('the verbs of listenfds/sockets', async (t) => {
  const verbs: [verb: (options: never) => unknown, address: string, wrong: Wrong][] = [
    [
      sockets.listenDatagram,
      '/x',
      [{ maxMessageSize: 0 }, 'maxMessageSize is 0, but must be a whole number of bytes, from 1 to '],
    ],
    [sockets.listenDatagram, '/x', [{ broadcast: 1 }, 'broadcast is 1, but must be true or false. ']],
    [sockets.listenSequentialPacket, '/x', [{ allowHalfOpen: 0 }, 'allowHalfOpen is 0, but must be true or false. ']],
    [sockets.listenSequentialPacket, '/x', [{ allow: [] }, 'There is no option allow: ']],
    [sockets.listenFifo, '/x', [{ writable: true }, 'There is no option writable: ']],
    [sockets.listenSpecial, '/x', [{ writeable: true }, 'There is no option writeable: did you mean writable? ']],
    [sockets.listenSpecial, '/x', [{ writable: 'yes' }, 'writable is "yes", but must be true or false. ']],
    [
      sockets.listenNetlink,
      'route',
      [{ receiveBuffer: -1 }, 'receiveBuffer is -1, but must be a whole number of bytes'],
    ],
    [
      sockets.listenMessageQueue,
      '/x',
      [{ messageSize: 1.5 }, 'messageSize is 1.5, but must be a whole number of bytes'],
    ],
  ];
  for (const [verb, address, wrong] of verbs) {
    await refuses(t, (options: object) => verb({ address, ...options } as never), [wrong]);
    await refuses(t, (options) => verb(options), [[{ store: 'x' }, 'There is no option store: ']]);
  }
  await refuses(t, (options) => sockets.connectSequentialPacket('/x', options), [
    [{ allowHalfOpn: true }, 'There is no option allowHalfOpn: did you mean allowHalfOpen? '],
  ]);
});

t.test('a duration is milliseconds or has a unit', (t) => {
  const read = (given: unknown) => readOptions({ time: span({ zero: true, endless: true }) }, { time: given }).time;
  for (const [given, milliseconds] of [
    [300, 300],
    [0.5, 0.5],
    [0, 0],
    ['0s', 0],
    ['300ms', 300],
    ['5s', 5000],
    ['1.5 min', 90_000],
    ['1h 30min', 5_400_000],
    [Infinity, Infinity],
  ] as const) {
    t.equal(read(given), milliseconds, String(given));
  }
  for (const given of [
    '300',
    '0',
    '',
    ' ',
    '5 parsecs',
    '1h 30',
    '-5s',
    'infinity',
    -1,
    NaN,
    2 ** 31,
    '25days',
    null,
    [5],
    {},
  ]) {
    t.throws(() => read(given), { code: 'LISTENFDS_BAD_OPTION' }, String(given));
  }
  t.end();
});

t.test('the nearest name', (t) => {
  const known = ['timeout', 'grace', 'drain.timeout'];
  t.equal(nearest('timout', known), 'timeout');
  t.equal(nearest('TimeOut', known), 'timeout');
  t.equal(nearest('drainTimeout', known), 'drain.timeout');
  t.equal(nearest('colour', known), null);
  t.equal(nearest('x', []), null);
  t.end();
});

t.test('an error has the keys that say something, and no other', async (t) => {
  const error = await serve(app, { exit: 'no' as never }).catch((error: unknown) => error as Error);
  t.strictSame(Object.keys(error).toSorted(), ['code', 'name']);
  const withFd = new ListenFdsError('LISTENFDS_TAKEN', 'fd 3 was taken', { fd: 3 });
  t.strictSame(Object.keys(withFd).toSorted(), ['code', 'fd', 'name']);
});

t.test('environment variables', async (t) => {
  t.equal(readVariable('LISTENFDS_IDLE_TIMEOUT', { LISTENFDS_IDLE_TIMEOUT: '10min' }), 600_000);
  t.equal(readVariable('LISTENFDS_IDLE_TIMEOUT', { LISTENFDS_IDLE_TIMEOUT: '' }), null);
  t.equal(readVariable('LISTENFDS_DRAIN_TIMEOUT', {}), 30_000);
  t.equal(readVariable('LISTENFDS', {}), 'auto');
  for (const [name, value] of Object.entries({
    LISTENFDS: 'always',
    LISTENFDS_IDLE_TIMEOUT: '300',
    LISTENFDS_DRAIN_TIMEOUT: '0s',
    LISTENFDS_DRAIN: 'last',
    LISTENFDS_MISMATCH: 'fail',
  })) {
    const message = `${name} is "${value}", but must be `;
    t.throws(() => readVariable(name as keyof typeof variables, { [name]: value }), {
      code: 'LISTENFDS_BAD_ENVIRONMENT',
      variable: name,
      message: new RegExp(`^${message}`),
    });
  }
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
  warnOfMisspelt({
    LISTENFDS_DRAIN_TIMOUT: '5s',
    LISTENFDS_PRIMARY: '{}',
    LISTENFDS_OF_MY_OWN: 'x',
    LISTENFDS: 'auto',
  });
  t.equal((await warned).message, 'The environment has LISTENFDS_DRAIN_TIMOUT: did you mean LISTENFDS_DRAIN_TIMEOUT?');
});

const shown = (value: unknown): string => (typeof value === 'string' ? `'${value}'` : String(value));
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

t.test('types and TSDoc say what the tables say; docs/options.md is written from both', (t) => {
  const documented = documentation();
  for (const [heading, table, type] of calls) {
    const options = documented.get(type);
    if (!options) throw new Error(`${type} is not exported`);
    const rows = Object.entries(table).map(([name, option]) => {
      const doc = options.get(name);
      t.not(doc?.text ?? '', '', `${type}.${name} is documented`);
      const isSpan = option.allowed.includes('time span');
      t.equal(
        isSpan,
        /number/.test(doc?.type ?? '') && /time span/.test(doc?.text ?? ''),
        `${type}.${name}: a duration by table, type and TSDoc`,
      );
      if (isSpan) t.match(doc!.type, /\bstring\b/, `${type}.${name} takes a string`);
      const fallback = option.default;
      if (fallback !== undefined) {
        t.ok(
          doc?.default?.startsWith(shown(fallback)),
          `${type}.${name}: @default ${doc?.default} is ${shown(fallback)}`,
        );
      }
      return [`\`${name}\``, cell(option.allowed), cell(doc?.default ?? ''), cell(doc?.text ?? '')];
    });
    checkTable(t, 'docs/options.md', heading, ['Option', 'Allowed', 'Default', 'Meaning'], rows);
  }
  t.end();
});

t.test('the table of environment variables', (t) => {
  const source = readFileSync(join(root, 'src/text/variables.ts'), 'utf8');
  const rows = Object.entries(variables).map(([name, variable]) => {
    const option = variable.option();
    const [, comment] = new RegExp(`/\\*\\*((?:(?!\\*/)[^])*)\\*/\\s*${name}:`).exec(source)!;
    const meaning = comment!.replaceAll(/\s*\n\s*\*?\s*/g, ' ').trim();
    const fallback = variable.default ?? 'never';
    const value = typeof fallback === 'number' ? `${fallback / 1000}s` : fallback;
    return [`\`${name}\``, cell(option.allowed), `\`${value}\``, cell(meaning)];
  });
  checkTable(t, 'docs/environment.md', 'variables', ['Variable', 'Allowed', 'Default', 'Meaning'], rows);
  t.end();
});
