import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import fc from 'fast-check';
import { ListenFdsError } from 'listenfds';
import t, { type Test } from 'tap';
import { root } from '../support/activate.ts';
import { environments } from '../support/environments.ts';
import { temporaryFolder } from '../support/folder.ts';
import * as insides from '../../dist/insides.js';
import type { ListenVariables } from '../support/insides.ts';
import { unless } from '../support/tools.ts';

const { parseEnvironment, parseInteger } = insides;

const us = { pid: 1234, ppid: 1000, pidfdInode: (pid: number) => (pid === 1234 ? 77n : pid === 1000 ? 55n : null) };

function outcome(env: ListenVariables, accept: 'self' | 'parent' | 'any' = 'self', identity = us): unknown {
  try {
    return parseEnvironment(env, accept, identity);
  } catch (error) {
    if (!(error instanceof ListenFdsError)) throw error;
    return `${error.code} ${error.variable}`;
  }
}

const nothing = { count: 0, names: [] };
const bad = (variable: string): string => `LISTENFDS_BAD_ENVIRONMENT ${variable}`;

t.test('LISTEN_FDS and LISTEN_FDNAMES are read as C reads them', (t) => {
  const table: [says: string, env: ListenVariables, expected: unknown][] = [
    ['nothing at all', {}, nothing],
    ['two descriptors without names', { LISTEN_PID: '1234', LISTEN_FDS: '2' }, { count: 2, names: [] }],
    ['names', { LISTEN_PID: '1234', LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:b' }, { count: 2, names: ['a', 'b'] }],
    ['empty names', { LISTEN_PID: '1234', LISTEN_FDS: '3', LISTEN_FDNAMES: ':b:' }, { count: 3, names: ['', 'b', ''] }],
    ['one empty name', { LISTEN_PID: '1234', LISTEN_FDS: '1', LISTEN_FDNAMES: '' }, { count: 1, names: [''] }],
    [
      'an escaped colon',
      { LISTEN_PID: '1234', LISTEN_FDS: '1', LISTEN_FDNAMES: 'a\\:b' },
      { count: 1, names: ['a:b'] },
    ],
    ['too few names', { LISTEN_PID: '1234', LISTEN_FDS: '2', LISTEN_FDNAMES: 'a' }, bad('LISTEN_FDNAMES')],
    ['too many names', { LISTEN_PID: '1234', LISTEN_FDS: '1', LISTEN_FDNAMES: 'a:b' }, bad('LISTEN_FDNAMES')],
    ['a name cut short', { LISTEN_PID: '1234', LISTEN_FDS: '1', LISTEN_FDNAMES: 'a\\' }, bad('LISTEN_FDNAMES')],
    ['no LISTEN_PID', { LISTEN_FDS: '2' }, nothing],
    ['no LISTEN_FDS', { LISTEN_PID: '1234' }, nothing],
    ['somebody else', { LISTEN_PID: '99', LISTEN_FDS: '2' }, { ...nothing, meantFor: 99 }],
    ['somebody else, with nonsense behind', { LISTEN_PID: '99', LISTEN_FDS: 'x' }, { ...nothing, meantFor: 99 }],
    ['an empty pid', { LISTEN_PID: '', LISTEN_FDS: '1' }, nothing],
    ['an empty number', { LISTEN_PID: '1234', LISTEN_FDS: '' }, nothing],
    ['pid 0', { LISTEN_PID: '0', LISTEN_FDS: '1' }, bad('LISTEN_PID')],
    ['a negative pid', { LISTEN_PID: '-1', LISTEN_FDS: '1' }, bad('LISTEN_PID')],
    ['a pid beyond an int', { LISTEN_PID: '2147483648', LISTEN_FDS: '1' }, bad('LISTEN_PID')],
    ['no descriptors', { LISTEN_PID: '1234', LISTEN_FDS: '0' }, bad('LISTEN_FDS')],
    ['fewer than none', { LISTEN_PID: '1234', LISTEN_FDS: '-1' }, bad('LISTEN_FDS')],
    ['the most', { LISTEN_PID: '1234', LISTEN_FDS: '2147483644' }, { count: 2147483644, names: [] }],
    ['one more', { LISTEN_PID: '1234', LISTEN_FDS: '2147483645' }, bad('LISTEN_FDS')],
    ['far more', { LISTEN_PID: '1234', LISTEN_FDS: '9'.repeat(400) }, bad('LISTEN_FDS')],
    ['our pidfd', { LISTEN_PID: '1234', LISTEN_PIDFDID: '77', LISTEN_FDS: '1' }, { count: 1, names: [] }],
    [
      'an earlier process with our pid',
      { LISTEN_PID: '1234', LISTEN_PIDFDID: '78', LISTEN_FDS: '1' },
      { ...nothing, meantFor: 1234 },
    ],
    [
      'the largest inode',
      { LISTEN_PID: '1234', LISTEN_PIDFDID: '18446744073709551615', LISTEN_FDS: '1' },
      { ...nothing, meantFor: 1234 },
    ],
    [
      'no inode',
      { LISTEN_PID: '1234', LISTEN_PIDFDID: '18446744073709551616', LISTEN_FDS: '1' },
      bad('LISTEN_PIDFDID'),
    ],
    ['an empty inode', { LISTEN_PID: '1234', LISTEN_PIDFDID: '', LISTEN_FDS: '1' }, { count: 1, names: [] }],
    [
      'an inode of nobody',
      { LISTEN_PID: '1234', LISTEN_PIDFDID: '0', LISTEN_FDS: '1' },
      { ...nothing, meantFor: 1234 },
    ],
    ['a negative inode', { LISTEN_PID: '1234', LISTEN_PIDFDID: '-77', LISTEN_FDS: '1' }, bad('LISTEN_PIDFDID')],
    [
      'somebody else and no inode',
      { LISTEN_PID: '99', LISTEN_PIDFDID: 'x', LISTEN_FDS: '1' },
      { ...nothing, meantFor: 99 },
    ],
  ];
  for (const [says, env, expected] of table) t.same(outcome(env), expected, says);
  const noPidfs = { ...us, pidfdInode: () => null };
  t.same(
    outcome({ LISTEN_PID: '1234', LISTEN_PIDFDID: '78', LISTEN_FDS: '1' }, 'self', noPidfs),
    { count: 1, names: [] },
    'a kernel without pidfs cannot tell, so the pid decides',
  );
  t.end();
});

t.test('pid decides whose LISTEN_PID counts', (t) => {
  const one = { count: 1, names: [] };
  const forParent = { LISTEN_PID: '1000', LISTEN_FDS: '1' };
  t.same(outcome(forParent, 'self'), { ...nothing, meantFor: 1000 });
  t.same(outcome(forParent, 'parent'), one);
  t.same(outcome({ LISTEN_PID: '1234', LISTEN_FDS: '1' }, 'parent'), one, "'parent' also takes our own");
  t.same(outcome({ LISTEN_PID: '99', LISTEN_FDS: '1' }, 'parent'), { ...nothing, meantFor: 99 });
  t.same(outcome({ ...forParent, LISTEN_PIDFDID: '55' }, 'parent'), one, "the parent's pidfd");
  t.same(outcome({ ...forParent, LISTEN_PIDFDID: '77' }, 'parent'), { ...nothing, meantFor: 1000 }, 'ours is not it');
  t.same(outcome({ LISTEN_PID: 'x', LISTEN_PIDFDID: 'x', LISTEN_FDS: '1' }, 'any'), one);
  t.same(outcome({ LISTEN_FDS: '1' }, 'any'), one);
  t.same(outcome({ LISTEN_FDS: 'x' }, 'any'), bad('LISTEN_FDS'));
  t.end();
});

t.test('numbers are spelt as in C', (t) => {
  const table: [text: string, value: bigint | null][] = [
    ['3', 3n],
    ['+3', 3n],
    ['-3', -3n],
    ['-0', 0n],
    [' 3', 3n],
    ['\t\n\v\f\r 3', 3n],
    ['0x10', 16n],
    ['0XfF', 255n],
    ['-0x10', -16n],
    ['010', 8n],
    ['0o10', 8n],
    ['0b1', 1n],
    ['0B101', 5n],
    ['0', 0n],
    ['00', 0n],
    ['', null],
    [' ', null],
    ['3 ', null],
    ['3x', null],
    ['08', null],
    ['0x', null],
    ['0b', null],
    ['0b2', null],
    ['0xg', null],
    ['--3', null],
    ['1e3', null],
    ['3.0', null],
    ['3n', null],
    ['1_0', null],
    ['٣', null],
    ['Infinity', null],
  ];
  for (const [text, value] of table) t.equal(parseInteger(text), value, JSON.stringify(text));
  t.end();
});

t.test('no environment makes it throw anything but an error that names the variable', (t) => {
  const anything = fc.record(
    {
      LISTEN_PID: fc.string({ unit: 'binary' }),
      LISTEN_PIDFDID: fc.oneof(fc.constantFrom('77', '0x4d', '78', ''), fc.string()),
      LISTEN_FDS: fc.string({ unit: 'binary' }),
      LISTEN_FDNAMES: fc.string({ unit: 'binary' }),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(environments(1234), anything), fc.constantFrom('self', 'parent', 'any'), (env, accept) => {
      const before = JSON.stringify(env);
      try {
        const { count, names } = parseEnvironment(env, accept, us);
        return count >= 0 && (names.length === 0 || names.length === count) && JSON.stringify(env) === before;
      } catch (error) {
        return error instanceof ListenFdsError && error.code === 'LISTENFDS_BAD_ENVIRONMENT' && error.variable! in env;
      }
    }),
    { numRuns: 2000 },
  );
  t.end();
});

/** Builds the fixture and asks it about one environment at a time. */
async function systemLibrary(t: Test, open: number) {
  const program = join(temporaryFolder(t), 'sd-listen-fds');
  const source = join(root, 'test/fixtures/sd-listen-fds.c');
  const built = spawnSync('cc', ['-O1', '-o', program, source, '-lsystemd'], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(built.stderr);
  const child = spawn(program, [String(open)], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => child.stdin.end());
  const lines = createInterface(child.stdout);
  const [pid] = (await once(lines, 'line')) as [string];
  const field = (value: string | undefined): string => `${value === undefined ? '-' : `=${value}`}\0`;
  return {
    pid: Number(pid),
    async ask({ LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES }: ListenVariables) {
      child.stdin.write(field(LISTEN_PID) + field(LISTEN_FDS) + field(LISTEN_FDNAMES));
      const [line] = (await once(lines, 'line')) as [string];
      const [result, left, ...names] = line.split(' ');
      return {
        result: Number(result),
        left: Number(left),
        names: names.map((name) => Buffer.from(name.slice(1), 'hex').toString()),
      };
    },
  };
}

const compiles = (): boolean =>
  spawnSync('cc', ['-E', '-'], { input: '#include <systemd/sd-daemon.h>\n', stdio: ['pipe', 'ignore', 'ignore'] })
    .status === 0;

const openDescriptors = 40;

t.test(
  'the C library decides the same',
  { skip: unless(compiles(), 'needs a C compiler and the header and library of libsystemd (libsystemd-dev)') },
  async (t) => {
    const library = await systemLibrary(t, openDescriptors);
    const identity = { pid: library.pid, ppid: 1, pidfdInode: () => null };
    const EBADF = -9;
    let activated = 0;
    let refused = 0;

    async function compare(env: ListenVariables): Promise<void> {
      // For us an empty number is an absent one.
      const asked = { ...env };
      for (const name of ['LISTEN_PID', 'LISTEN_FDS'] as const) if (asked[name] === '') delete asked[name];
      const theirs = await library.ask(asked);
      const shown = `${JSON.stringify(env)}: C says ${JSON.stringify(theirs)}`;
      if (theirs.left !== 0) throw new Error(`${shown}, and leaves variables behind`);
      let ours: ReturnType<typeof parseEnvironment> | ListenFdsError;
      try {
        ours = parseEnvironment(env, 'self', identity);
      } catch (error) {
        if (!(error instanceof ListenFdsError)) throw error;
        ours = error;
      }
      const said = ours instanceof ListenFdsError ? ours.message : `${ours.count} ${ours.names.join(':')}`;
      const agreed = (): boolean => {
        // It looks at the descriptors before it counts the names; with us that is another step.
        if (theirs.result === EBADF) {
          return ours instanceof ListenFdsError ? ours.variable === 'LISTEN_FDNAMES' : ours.count > openDescriptors;
        }
        if (ours instanceof ListenFdsError) return theirs.result < 0;
        if (theirs.result !== ours.count) return false;
        const names = ours.names.length > 0 ? ours.names : theirs.names.map(() => 'unknown');
        return JSON.stringify(names) === JSON.stringify(theirs.names);
      };
      if (theirs.result > 0) activated += 1;
      if (theirs.result < 0) refused += 1;
      if (!agreed()) throw new Error(`${shown}, we say ${said}`);
    }

    const spellings = [
      '0x10',
      '0X10',
      '0b1',
      '0B11',
      '010',
      '0o7',
      '+3',
      ' 3',
      '3 ',
      '-0',
      '\v3',
      '0b 1',
      '0b+1',
      '0o-1',
      '0b-0',
    ];
    spellings.push(
      '-0x1',
      '0x',
      '0b',
      '0o',
      '0x0x1',
      '0b0b1',
      '0o0x1',
      '0x 1',
      '08',
      '0o8',
      '0b2',
      '3\n',
      '\n3',
      '',
      ' ',
      '4294967297',
    );
    for (const LISTEN_FDS of spellings) await compare({ LISTEN_PID: String(library.pid), LISTEN_FDS });
    const names = [
      '',
      ':',
      '::',
      'a',
      'a:b',
      'a\\:b',
      'a\\',
      '\\',
      '\\\\',
      'a\\\\:b',
      '\\a',
      '"a:b"',
      "'a'",
      ' a : b ',
      'ü:ß',
      'a\\\\',
    ];
    for (const LISTEN_FDNAMES of names) {
      for (const LISTEN_FDS of ['1', '2', '3', '41', '0', 'x']) {
        await compare({ LISTEN_PID: String(library.pid), LISTEN_FDS, LISTEN_FDNAMES });
        await compare({ LISTEN_PID: '1', LISTEN_FDS, LISTEN_FDNAMES });
      }
    }
    await fc.assert(fc.asyncProperty(environments(library.pid), compare), { numRuns: 3000 });
    t.ok(activated > 300 && refused > 300, `of the environments, ${activated} activate and ${refused} are refused`);
  },
);
