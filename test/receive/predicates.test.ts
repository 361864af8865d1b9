import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import * as predicates from 'listenfds/sd';
import { counting, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { unless } from '../support/tools.ts';

const source = join(root, 'test/fixtures/sd-is.c');

const compiles = (): boolean =>
  spawnSync('cc', ['-E', '-'], { input: '#include <systemd/sd-daemon.h>\n', stdio: ['pipe', 'ignore', 'ignore'] })
    .status === 0;

interface Opened {
  readonly label: string;
  readonly fd: number;
  readonly port: number;
}

const hex = (path: string | null): string => (path === null ? '-' : `=${Buffer.from(path).toString('hex')}`);

/** Every list against every other. */
function* product(...lists: (string | number)[][]): Generator<string> {
  const [first = [], ...rest] = lists;
  for (const one of first) {
    if (rest.length === 0) yield String(one);
    else for (const other of product(...rest)) yield `${one} ${other}`;
  }
}

function casesFor(opened: Opened[], directory: string, pid: number): string[] {
  const fds = [...opened.map(({ fd }) => fd), -1, 900, 2147483647];
  const portOf = (label: string): number => opened.find((one) => one.label === label)?.port ?? 0;
  const listening = [-1, 0, 1, 7, -7];
  const types = [0, 1, 2, 3, 5, -1, 77];
  const ports = [0, 1, ...new Set(opened.map(({ port }) => port))];
  const unixPaths = [
    null,
    '',
    's',
    'with-nul',
    'with-nul\0',
    `${directory}/stream`,
    `${directory}/strea`,
    `${directory}/streams`,
    'packets',
    `\0listenfds-test-${pid}`,
    `\0listenfds-test-${pid}\0`,
    '\0listenfds-test-',
    '\0',
    '/'.repeat(300),
  ];
  const sockaddrs = [
    '2 - 0 0 0',
    `1 ${hex('/a/path')} 0 0 0`,
    ...product([2], ['127.0.0.1', '0.0.0.0', '127.0.0.2'].map(hex), ports, [0], [0]),
    ...product(
      [10],
      ['::1', '::', 'fe80::fc:ff:fe00:1'].map(hex),
      [0, portOf('tcp6'), portOf('tcp6-link')],
      [0, 5],
      [0],
    ),
    ...product([10], [hex('fe80::fc:ff:fe00:1')], [0, portOf('tcp6-link')], [0], [0, 1, 2, 3, 4]),
  ];
  const files = [
    null,
    '',
    'fifo',
    'other-fifo',
    'link',
    'loop',
    'none',
    'file/none',
    'file',
    'other-file',
    '.',
    'x'.repeat(300),
  ];
  const devices = ['/dev/null', '/dev/zero', '/dev/nul2'];
  const queues = [null, '', 'a', '/none', `/listenfds-test-${pid}`, `listenfds-test-${pid}`, `/../null`];
  return [
    ...product(['socket'], fds, [0, 1, 2, 10, 16, 17, 40, -1, 99], types, listening),
    ...product(['inet'], fds, [0, 1, 2, 10, -1], [0, 1, 2, -1], [-1, 0, 1], ports),
    ...product(['unix'], fds, types, listening, unixPaths.map(hex)),
    ...product(['sockaddr'], fds, [0, 1, 2, -1], [-1, 0, 1], sockaddrs),
    ...product(['fifo', 'special'], fds, [...files, ...devices].map(hex)),
    ...product(['mq'], fds, queues.map(hex)),
  ];
}

t.test(
  'every answer is the one that libsystemd gives, wrong arguments included',
  { skip: unless(compiles(), 'needs a C compiler and the header and library of libsystemd (libsystemd-dev)') },
  async (t) => {
    const directory = temporaryFolder(t);
    const program = join(directory, 'sd-is');
    const flags = ['-Wall', '-Wextra', '-Werror', '-O1', '-o', program];
    const built = spawnSync('cc', [...flags, source, '-lsystemd', '-lrt'], { encoding: 'utf8' });
    if (built.status !== 0) throw new Error(built.stderr);
    symlinkSync('fifo', join(directory, 'link'));
    symlinkSync('loop', join(directory, 'loop'));
    const fixture = join(root, 'test/fixtures/sd-is.js');
    const script = 'cat > cases && "$0" answer < cases > c.txt && "$1" "$2" < cases > ours.txt';
    const child = spawn(program, ['open', directory, 'sh', '-c', script, program, process.execPath, fixture], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], ...counting() },
    });
    const closed = once(child, 'close');
    let listed = '';
    let complaints = '';
    child.stderr.on('data', (data) => (complaints += data));
    for await (const data of child.stdout) {
      listed += data;
      if (/^pid .*\n/m.test(listed)) break;
    }
    const lines = listed
      .trim()
      .split('\n')
      .map((line) => line.split(' '));
    const opened = lines.map(([label, fd, port]) => ({ label: label!, fd: Number(fd), port: Number(port) }));
    const pid = opened.pop()!.fd;
    const cases = casesFor(opened, directory, pid);
    child.stdin.end(`${cases.join('\n')}\n`);
    t.equal((await closed)[0], 0, complaints);

    const read = (file: string): string[] => readFileSync(join(directory, file), 'utf8').trim().split('\n');
    const theirs = read('c.txt');
    const ours = read('ours.txt');
    t.equal(theirs.length, cases.length);
    const label = (fd: string): string => opened.find((one) => one.fd === Number(fd))?.label ?? 'not open';
    const different = cases
      .map((one, i) => ({ case: one, on: label(one.split(' ')[1]!), theirs: theirs[i], ours: ours[i] }))
      .filter((one) => one.theirs !== one.ours);
    t.equal(different.length, 0, `${different.length} of ${cases.length} differ`);
    t.strictSame(different.slice(0, 20), []);
    const answers = new Set(theirs);
    t.comment(`${opened.length} descriptors (${complaints.trim() || 'all kinds'}), ${cases.length} cases`);
    for (const expected of ['1', '0', '-9', '-22', '-96', '-2', '-40'])
      t.ok(answers.has(expected), `${expected} occurs`);
  },
);

t.test('names stand for numbers, and what is left out is not asked about', async (t) => {
  const path = join(temporaryFolder(t), 'named');
  const server = createServer().listen(path);
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  t.ok(predicates.isSocket(fd));
  t.ok(predicates.isSocket(fd, 'unix', 'stream', true));
  t.notOk(predicates.isSocket(fd, 'unix', 'dgram'));
  t.notOk(predicates.isSocket(fd, null, null, false));
  t.ok(predicates.isSocketUnix(fd, 'stream', true, path));
  t.notOk(predicates.isSocketInet(fd));
  t.throws(() => predicates.isSocketInet(fd, 'unix'), { code: 'EINVAL', errno: -22, syscall: 'sd_is_socket_inet' });
});

t.test('what C could not be asked is an error of its own', (t) => {
  const file = join(temporaryFolder(t), 'plain');
  writeFileSync(file, '');
  const fd = openSync(file, 'r');
  t.teardown(() => closeSync(fd));
  const code = 'LISTENFDS_BAD_OPTION';
  t.throws(() => predicates.isSocket('3' as never), { code });
  t.throws(() => predicates.isSocket(3.5), { code });
  t.throws(() => predicates.isSocket(2 ** 31), { code });
  t.throws(() => predicates.isSocket(fd, 'toString' as never), { code });
  t.throws(() => predicates.isSocketInet(fd, 'inet', 'stream', true, 70_000), { code });
  t.throws(() => predicates.isSocketUnix(fd, 'stream', 'yes' as never), { code });
  t.throws(() => predicates.isSocketSockaddr(fd, 'stream', { address: 'localhost' }), {
    code: 'LISTENFDS_BAD_ADDRESS',
  });
  t.throws(() => predicates.isSocketSockaddr(fd, 'stream', '/a/path'), { code: 'EPFNOSUPPORT', errno: -96 });
  t.ok(predicates.isSpecial(fd, file));
  t.end();
});
