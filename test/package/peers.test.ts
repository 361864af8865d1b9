// docs/comparison.md: what other ways to receive sockets, and to speak to the manager, do in the same cases as this package.
// Each runs for real, as its own documentation says to use it. Their cells are what was seen, ours are what must be.
import { spawnSync } from 'node:child_process';
import { closeSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { describe } from 'listenfds';
import { activate, root, type Activated, type Activation } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { getJson } from '../support/http.js';
import * as insides from '../../dist/insides.js';
import { freePort } from '../support/port.ts';
import { installed, noRuntimes, runtimes } from '../support/programs.ts';
import { receive } from '../support/receiver.ts';
import { checkTable } from '../support/table.ts';
import { unless } from '../support/tools.ts';

const hasLibrary = spawnSync('pkg-config', ['--exists', 'libsystemd']).status === 0;
const skip = noRuntimes || unless(hasLibrary, 'needs libsystemd-dev and pkg-config, to build the peers');
const env = { LISTENFDS_MODULE: join(root, 'dist/index.js') };
const ours = 'listenfds';

interface Peer {
  readonly name: string;
  readonly version: string;
  readonly command: readonly string[];
  readonly cwd: string;
}

const versionIn = (folder: string, name: string): string =>
  JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8')).version;

async function receivers(): Promise<readonly Peer[]> {
  const peers = await installed('peers');
  const probe = join(peers, 'probe.js');
  const { node } = await runtimes();
  const svelte = await installed('sveltekit', node);
  const names = [ours, 'written by hand', 'socket-activation', 'systemd', 'systemd-socket', 'sd-daemon'];
  return [
    ...names.map((name) => ({
      name,
      version: name === ours || name === 'written by hand' ? '' : versionIn(peers, name),
      command: [process.execPath, '--import', probe, 'sockets.js', name],
      cwd: peers,
    })),
    {
      name: 'adapter-node',
      version: versionIn(svelte, '@sveltejs/adapter-node'),
      command: [process.execPath, '--import', probe, 'build/index.js'],
      cwd: svelte,
    },
  ];
}

/** A listener of the test, as a manager holds one. */
async function listener(t: Test): Promise<{ fd: number; where: number }> {
  const server = createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1000 });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const copy = insides.binding().duplicate((server as unknown as { _handle: { fd: number } })._handle.fd);
  server.close();
  t.teardown(() => closeSync(copy));
  return { fd: copy, where: port };
}

interface Seen {
  readonly address: unknown;
  readonly variables: readonly string[];
}

/** What came of starting a program: it answers on one of the sockets, on a port of its own, or ends. */
type Came = { on: number; seen: Seen } | { on: 'own'; seen: Seen } | { on: null; error: string };

const probe = (where: number | string): Promise<Seen> =>
  getJson(
    typeof where === 'number'
      ? { host: '127.0.0.1', port: where, path: '/probe' }
      : { socketPath: where, path: '/probe' },
  );

/** The line that says why, without what differs from run to run. */
function reason({ stderr, code, signal }: Awaited<Activated['ended']>): string {
  const error = /^.*?(?:code: '([A-Z_]+)'|(?:Uncaught )?\w*Error(?: \[(\w+)\])?: (.*))/m.exec(stderr);
  const named = /code: '([A-Z_]+)'/.exec(stderr)?.[1] ?? error?.[2];
  return (named ?? error?.[3] ?? `exit ${code ?? signal}`).replaceAll(/\d{2,}/g, 'N');
}

async function start(t: Test, peer: Peer, wheres: readonly (number | string)[], activation: Activation): Promise<Came> {
  const port = await freePort();
  const running = activate(t, peer.command, {
    ...activation,
    cwd: peer.cwd,
    env: { ...env, PORT: String(port), HOST: '127.0.0.1', ...activation.env },
  });
  const done = new AbortController();
  const own = async (): Promise<Came> => {
    for (;;) {
      const seen = await probe(port).catch(() => null);
      if (seen) return { on: 'own', seen };
      if (done.signal.aborted) return { on: null, error: '' };
      await pause(20);
    }
  };
  // A connection to a socket that was passed waits in its queue until the program accepts it.
  const passed = wheres.map(async (where, on): Promise<Came> => {
    for (;;) {
      const seen = await probe(where).catch(() => null);
      if (seen) return { on, seen };
      if (done.signal.aborted) return { on: null, error: '' };
      await pause(20); // a unix socket is opened by the program's own start
    }
  });
  const ended = running.ended.then((outcome): Came => ({ on: null, error: reason(outcome) }));
  const late = new Promise<Came>((resolve) => setTimeout(resolve, 5_000, { on: null, error: 'no answer' }).unref());
  const came = await Promise.race([own(), ended, late, ...passed]);
  done.abort();
  await running.kill();
  return came;
}

interface Case {
  readonly title: string;
  /** What must be for this package. */
  readonly wanted: string | RegExp;
  readonly try: (t: Test, peer: Peer) => Promise<string>;
}

const told = (came: Came, right: number = 0): string =>
  came.on === null
    ? `fails: ${came.error}`
    : came.on === 'own'
      ? 'binds'
      : came.on === right
        ? 'serves'
        : 'the other one';

const cases: readonly Case[] = [
  {
    title: 'a TCP listener',
    wanted: 'serves',
    async try(t, peer) {
      const { fd, where } = await listener(t);
      return told(await start(t, peer, [where], { fds: [fd], names: ['web'] }));
    },
  },
  {
    title: 'the same without `LISTEN_FDNAMES`',
    wanted: 'serves',
    async try(t, peer) {
      const { fd, where } = await listener(t);
      return told(await start(t, peer, [where], { fds: [fd] }));
    },
  },
  {
    title: 'nothing passed',
    wanted: 'binds',
    try: async (t, peer) => told(await start(t, peer, [], {})),
  },
  {
    title: 'a unix listener: `server.address()`',
    wanted: 'its path',
    async try(t, peer) {
      const path = join(temporaryFolder(t), 's');
      const came = await start(t, peer, [path], { fds: [`unix("${path}")`], names: ['web'] });
      if (came.on !== 0) return told(came);
      return came.seen.address === path ? 'its path' : `\`${JSON.stringify(came.seen.address)}\``;
    },
  },
  {
    title: 'a backlog of 1000 is afterwards',
    wanted: '1000',
    async try(t, peer) {
      const { fd, where } = await listener(t);
      const came = await start(t, peer, [where], { fds: [fd], names: ['web'] });
      return came.on === 0 ? String(describe(fd).backlog) : told(came);
    },
  },
  {
    title: 'variables that a child process sees',
    wanted: 'none',
    async try(t, peer) {
      const { fd, where } = await listener(t);
      const came = await start(t, peer, [where], { fds: [fd], names: ['web'] });
      if (came.on !== 0) return told(came);
      return came.seen.variables.length === 0 ? 'none' : `${came.seen.variables.length}`;
    },
  },
  {
    title: '`LISTEN_PID` is another process: fd 3 is',
    wanted: 'left alone',
    async try(t, peer) {
      const { fd, where } = await listener(t);
      const came = await start(t, peer, [where], { fds: [fd], names: ['web'], pid: 1 });
      return came.on === 'own' ? 'left alone' : came.on === 0 ? 'taken' : told(came);
    },
  },
  {
    title: 'announced, but fd 3 is not open',
    wanted: /^fails: LISTENFDS_NOT_/,
    try: async (t, peer) => told(await start(t, peer, [], { count: 1, names: ['web'] })),
  },
  {
    title: 'three announced, the second is closed',
    wanted: /^fails: LISTENFDS_NOT_/,
    async try(t, peer) {
      const [one, three] = [await listener(t), await listener(t)];
      const came = await start(t, peer, [one.where], {
        fds: [one.fd, null, three.fd],
        count: 3,
        names: ['web', 'b', 'c'],
      });
      return told(came);
    },
  },
  {
    title: 'fd 3 is a UDP socket',
    wanted: 'binds',
    try: async (t, peer) => told(await start(t, peer, [], { fds: ['udp()'], names: ['web'] })),
  },
  {
    title: 'fd 3 is one connection (`Accept=yes`)',
    wanted: 'serves',
    async try(t, peer) {
      const server = createServer();
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.teardown(() => server.close());
      const client = probe((server.address() as { port: number }).port);
      const [socket] = (await once(server, 'connection')) as [{ _handle: { fd: number }; destroy(): void }];
      const fd = insides.binding().duplicate(socket._handle.fd);
      socket.destroy();
      const port = await freePort();
      const running = activate(t, peer.command, {
        fds: [fd],
        names: ['connection'],
        cwd: peer.cwd,
        env: { ...env, PORT: String(port), HOST: '127.0.0.1' },
      });
      closeSync(fd);
      const answered = client.then(
        () => 'serves',
        () => new Promise<string>(() => {}),
      );
      const ended = running.ended.then((outcome) => `fails: ${reason(outcome)}`);
      const late = new Promise<string>((resolve) => setTimeout(resolve, 5_000, 'not answered').unref());
      const came = await Promise.race([answered, ended, late]);
      await running.kill();
      return came;
    },
  },
  {
    title: 'of two, the one named `admin` is meant',
    wanted: 'serves',
    async try(t, peer) {
      const [web, admin] = [await listener(t), await listener(t)];
      const fds = [web.fd, admin.fd];
      return told(
        await start(t, peer, [web.where, admin.where], { fds, names: ['web', 'admin'], env: { NAME: 'admin' } }),
        1,
      );
    },
  },
  {
    title: 'the same, passed in the other order',
    wanted: 'serves',
    async try(t, peer) {
      const [web, admin] = [await listener(t), await listener(t)];
      const fds = [admin.fd, web.fd];
      return told(
        await start(t, peer, [admin.where, web.where], { fds, names: ['admin', 'web'], env: { NAME: 'admin' } }),
      );
    },
  },
];

t.setTimeout(1_800_000); // they are installed at the first run
t.jobs = 3;

const cells = new Map<string, string>();
for (const { title, wanted, try: attempt } of cases) {
  t.test(title, { skip, buffered: true }, async (t) => {
    for (const peer of await receivers()) {
      const found = await attempt(t, peer);
      if (peer.name === ours) t.match(found, wanted);
      cells.set(`${title} ${peer.name}`, found);
    }
  });
}

// What others do depends on the version of Node; the page names the one it was written with.
const otherNode = process.versions.node.startsWith('20.') ? false : 'docs/comparison.md shows Node 20';

t.test('docs/comparison.md shows this', { skip: skip || otherNode, buffered: false }, async (t) => {
  const peers = await receivers();
  const header = ['Case', ...peers.map(({ name, version }) => `${name} ${version}`.trim())];
  const rows = cases.map(({ title }, i) => [
    `${String(i + 1).padStart(2)}. ${title}`,
    ...peers.map(({ name }) => cells.get(`${title} ${name}`)!),
  ]);
  checkTable(t, 'docs/comparison.md', 'receivers', header, rows);
});

const speakers = [ours, 'sd-notify', 'sd-daemon'] as const;

interface Said {
  readonly title: string;
  readonly wanted: string | RegExp;
  readonly try: (t: Test, folder: string, name: string) => Promise<string>;
}

async function say(t: Test, folder: string, args: readonly string[], own: Record<string, string>): Promise<string> {
  const { stdout, stderr, code, signal } = await activate(t, [process.execPath, 'messages.js', ...args], {
    cwd: folder,
    env: { ...env, ...own },
  }).ended;
  return stdout.trim() || `ends: ${/: (.*)/.exec(stderr)?.[1] ?? code ?? signal}`;
}

/** What arrives at a manager of its own, until the program has ended. */
async function heard(t: Test, folder: string, address: string, ...args: string[]): Promise<string> {
  const receiver = await receive(t, address);
  const came = await say(t, folder, args, { NOTIFY_SOCKET: address });
  const end = 'X_END=1';
  await say(t, folder, [ours, 'status', ''], { NOTIFY_SOCKET: address });
  const texts: string[] = [];
  for (;;) {
    const { text } = await receiver.message();
    if (text.trim() === 'STATUS=' || text === end) break;
    texts.push(text.trim());
  }
  return texts.length > 0 ? texts.map((text) => `\`${text.replaceAll('\n', ' ⏎ ')}\``).join(', ') : came;
}

const saying: readonly Said[] = [
  {
    title: 'ready',
    wanted: '`READY=1`',
    try: async (t, folder, name) => heard(t, folder, join(temporaryFolder(t), 'n'), name, 'ready'),
  },
  {
    title: 'ready, to an abstract address',
    wanted: '`READY=1`',
    try: async (t, folder, name) => heard(t, folder, `@${temporaryFolder(t)}`, name, 'ready'),
  },
  {
    title: 'ready, and `NOTIFY_SOCKET` is not set',
    wanted: 'returned false',
    try: async (t, folder, name) => say(t, folder, [name, 'ready'], {}),
  },
  {
    title: 'ready, and the manager has gone',
    wanted: 'ENOENT',
    try: async (t, folder, name) =>
      say(t, folder, [name, 'ready'], { NOTIFY_SOCKET: join(temporaryFolder(t), 'gone') }),
  },
  {
    title: 'a status with `\\nREADY=1` in it',
    wanted: 'LISTENFDS_BAD_OPTION',
    try: async (t, folder, name) => heard(t, folder, join(temporaryFolder(t), 'n'), name, 'status', 'busy\nREADY=1'),
  },
  {
    title: '`Type=notify-reload`: the reload that it accepts',
    wanted: /^`RELOADING=1 ⏎ MONOTONIC_USEC=…`$/,
    try: async (t, folder, name) =>
      (await heard(t, folder, join(temporaryFolder(t), 'n'), name, 'reloading')).replace(/USEC=\d+/, 'USEC=…'),
  },
  {
    title: 'waiting until the manager has read it (`BARRIER=1`)',
    wanted: '`BARRIER=1`',
    try: async (t, folder, name) => heard(t, folder, join(temporaryFolder(t), 'n'), name, 'barrier'),
  },
];

t.test('docs/comparison.md says what each package tells the manager', { skip, buffered: false }, async (t) => {
  const folder = await installed('peers');
  const rows: string[][] = [];
  for (const { title, wanted, try: attempt } of saying) {
    const found: string[] = [];
    for (const name of speakers) found.push(await attempt(t, folder, name));
    t.match(found[0], wanted, title);
    rows.push([`${rows.length + 1}. ${title}`, ...found]);
  }
  const header = ['Case', ...speakers.map((name) => (name === ours ? name : `${name} ${versionIn(folder, name)}`))];
  if (!otherNode) checkTable(t, 'docs/comparison.md', 'speakers', header, rows);
});
