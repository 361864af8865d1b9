import fc from 'fast-check';
import { ListenFdsError, notify, type NotifyState } from 'listenfds';
import t from 'tap';
import * as insides from '../../dist/insides.js';

const { encodeState, monotonicUsec } = insides;

/** Encodes, or says which code was raised with which message. */
function outcome(state: NotifyState | string, fds = 0): string {
  try {
    return encodeState(state, fds);
  } catch (error) {
    if (!(error instanceof ListenFdsError)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

t.test('every field becomes its variable', (t) => {
  const table: [state: NotifyState, message: string, fds?: number][] = [
    [{ ready: true }, 'READY=1'],
    [{ stopping: true, status: 'leaving' }, 'STOPPING=1\nSTATUS=leaving'],
    [{ status: '' }, 'STATUS='],
    [{ status: 'é = "…" \t\u2028' }, 'STATUS=é = "…" \t\u2028'],
    [{ errno: 2 }, 'ERRNO=2'],
    [{ busError: 'org.freedesktop.DBus.Error.TimedOut' }, 'BUSERROR=org.freedesktop.DBus.Error.TimedOut'],
    [{ varlinkError: 'org.varlink.service.InvalidParameter' }, 'VARLINKERROR=org.varlink.service.InvalidParameter'],
    [{ exitStatus: 0 }, 'EXIT_STATUS=0'],
    [{ mainPid: 4711 }, 'MAINPID=4711'],
    [{ mainPid: 1, mainPidfdId: 2n ** 63n + 1n }, 'MAINPID=1\nMAINPIDFDID=9223372036854775809'],
    [{ mainPidfd: true }, 'MAINPIDFD=1', 1],
    [{ watchdog: true }, 'WATCHDOG=1'],
    [{ watchdog: 'trigger' }, 'WATCHDOG=trigger'],
    [{ watchdogTimeout: 1500 }, 'WATCHDOG_USEC=1500000'],
    [{ watchdogTimeout: 0 }, 'WATCHDOG_USEC=0'],
    [{ watchdogTimeout: '1min' }, 'WATCHDOG_USEC=60000000'],
    [{ extendTimeout: 0.5 }, 'EXTEND_TIMEOUT_USEC=500'],
    [{ fdStore: true, fdName: 'db', fdPoll: false }, 'FDSTORE=1\nFDNAME=db\nFDPOLL=0', 2],
    [{ fdStoreRemove: true, fdName: ' ~!;9' }, 'FDSTOREREMOVE=1\nFDNAME= ~!;9'],
    [{ notifyAccess: 'exec' }, 'NOTIFYACCESS=exec'],
    [{ restartReset: true }, 'RESTART_RESET=1'],
    [{ barrier: true }, 'BARRIER=1', 1],
    [{ X_COLOUR: 'blue', X_COUNT: 3 }, 'X_COLOUR=blue\nX_COUNT=3'],
    // What is false or undefined says nothing.
    [{ ready: true, reloading: false, status: undefined, fdPoll: true, watchdog: false }, 'READY=1'],
  ];
  for (const [state, message, fds] of table) t.equal(outcome(state, fds), message);
  t.end();
});

t.test('reloading carries the time of CLOCK_MONOTONIC in the same message', (t) => {
  const before = monotonicUsec();
  const [, usec] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(outcome({ reloading: true })) ?? [];
  t.ok(usec && BigInt(usec) >= before && BigInt(usec) <= monotonicUsec());
  t.end();
});

t.test('what cannot be said is refused, naming the field', (t) => {
  const table: [state: unknown, says: RegExp, fds?: number][] = [
    [{ status: 'a\nREADY=1' }, /^LISTENFDS_BAD_OPTION: status is "a\\nREADY=1", but must be a line of text/],
    [{ status: 'a\rREADY=1' }, /status is "a\\rREADY=1", but must be a line of text, without line break or NUL/],
    [{ status: 'a\0' }, /status is/],
    [{ status: 7 }, /status is 7, but must be a line of text/],
    [{ X_A: 'a\n' }, /X_A is "a\\n", but must be a line of text/],
    [{ X_: 'a' }, /has no field "X_": variables of your own begin with X_/],
    [{ 'X_A\nREADY': '1' }, /has no field "X_A\\nREADY"/],
    [{ readdy: true }, /has no field "readdy": did you mean ready\?/],
    [{ constructor: true }, /has no field "constructor"/],
    [{ ready: 1 }, /ready is 1, but must be true or false/],
    [{ errno: -2 }, /errno is -2, but must be a whole number from 1/],
    [{ exitStatus: 256 }, /exitStatus is 256, but must be a whole number from 0 to 255/],
    [{ mainPid: 1.5 }, /mainPid is 1.5, but must be a whole number/],
    [{ mainPid: 0 }, /mainPid is 0, but must be/],
    [{ mainPidfd: true }, /mainPidfd needs exactly one descriptor/],
    [{ watchdog: 'on' }, /watchdog is "on", but must be true, false or 'trigger'/],
    [{ watchdogTimeout: -1 }, /watchdogTimeout is -1, but must be milliseconds or a time span with a unit/],
    [{ watchdogTimeout: '30' }, /watchdogTimeout is "30", but must be/],
    [{ extendTimeout: Infinity }, /extendTimeout is Infinity, but must be milliseconds .*above 0 and at most 24 days/],
    [{ extendTimeout: 0 }, /extendTimeout is 0, but must be/],
    [{ fdStore: true }, /fdStore needs descriptors/],
    [{ fdStoreRemove: true }, /fdStoreRemove needs fdName/],
    [{ fdName: 'a:b' }, /fdName is "a:b", but must be 1 to 255 printable ASCII/],
    [{ fdName: '' }, /fdName is/],
    [{ fdName: 'x'.repeat(256) }, /fdName is "x{118}…, but must be/],
    [{ notifyAccess: 'root' }, /notifyAccess is "root", but must be 'none', 'main', 'exec' or 'all'/],
    [{ barrier: true, ready: true }, /barrier must be the only field/, 1],
    [{ barrier: true }, /barrier must be the only field and go with exactly one/, 0],
    [{ barrier: true }, /barrier must be/, 2],
    [{}, /says nothing/],
    [{ ready: false }, /says nothing/],
    ['', /says nothing/],
    ['READY=1\0', /contains a NUL/],
    [null, /The state is null, but must be an object or a string/],
    // NOTIFY_BUFFER_MAX: a manager drops longer messages without a word.
    [{ status: 'x'.repeat(4090) }, /has 4097 bytes; the manager ignores more than 4096/],
    [{ status: '…'.repeat(1364) }, /has 4099 bytes/],
  ];
  for (const [state, says, fds] of table) t.match(outcome(state as NotifyState, fds), says);
  t.equal(outcome({ status: 'x'.repeat(4089) }).length, 4096);
  // A mistake shows on the developer's machine too, where no manager listens.
  t.throws(() => notify({ status: 'a\n' }, { env: {} }), { code: 'LISTENFDS_BAD_OPTION' });
  t.end();
});

t.test('the manager reads back what was said, or the caller is told', (t) => {
  const mostly = <T>(right: fc.Arbitrary<T>, other: fc.Arbitrary<T>): fc.Arbitrary<T> =>
    fc.oneof({ weight: 9, arbitrary: right }, { weight: 1, arbitrary: other });
  const parts = fc.constantFrom('a', '=', 'READY=1', ' ', 'ü', '\t', '\u2028', '\ud800', ':', '%');
  const separators = fc.constantFrom('\n', '\r', '\0', '\r\nREADY=1');
  const value = fc
    .array(mostly(fc.oneof(parts, fc.string({ unit: 'binary', maxLength: 3 })), separators), { maxLength: 5 })
    .map((list) => list.join(''));
  const states = fc.record(
    {
      ready: fc.boolean(),
      stopping: fc.boolean(),
      status: value,
      busError: value,
      fdName: mostly(fc.string({ unit: 'grapheme-ascii', minLength: 1 }), value),
      mainPid: mostly(fc.integer({ min: 1 }), fc.integer()),
      extendTimeout: mostly(fc.integer({ min: 1 }), fc.double()),
      X_SOME: value,
    },
    { requiredKeys: [] },
  );
  const names: Record<string, string> = {
    ready: 'READY',
    stopping: 'STOPPING',
    status: 'STATUS',
    busError: 'BUSERROR',
    fdName: 'FDNAME',
    mainPid: 'MAINPID',
    extendTimeout: 'EXTEND_TIMEOUT_USEC',
    X_SOME: 'X_SOME',
  };
  let sent = 0;
  fc.assert(
    fc.property(states, (state) => {
      const message = outcome(state);
      if (message.startsWith('LISTENFDS_BAD_OPTION: ')) {
        const field = /^LISTENFDS_BAD_OPTION: (\w+)/.exec(message)![1]!;
        return field === 'The' || field in state;
      }
      sent += 1;
      // As the manager does: strv_split(message, "\n\r").
      const read = message.split(/[\n\r]/).map((line) => line.slice(0, line.indexOf('=')));
      const said = Object.entries(state).filter(([, given]) => given !== undefined && given !== false);
      return JSON.stringify(read) === JSON.stringify(said.map(([field]) => names[field]));
    }),
    { numRuns: 3000 },
  );
  t.ok(sent > 500, `not everything was refused, ${sent} were sent`);
  t.end();
});
