// Those of whom the kernel says nothing: users without a number in the service's user namespace, and senders without
// credentials. All of them look like nobody, 65534.
import { spawnSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activateModule, type Activated } from '../support/activate.ts';
import { as, connectAs, withoutOtherUsers, type Ids } from '../support/as.ts';
import { temporaryFolder } from '../support/folder.ts';
import { unless } from '../support/tools.ts';

const service: Ids = { uid: 2000, gid: 2000 };
const other: Ids = { uid: 1234, gid: 1234 };

const inNamespace = (...map: string[]): string[] => [...as(service), 'unshare', '--user', ...map];
const asNobody = inNamespace('--map-user=65534', '--map-group=65534');
const asRoot = inNamespace('--map-user=0', '--map-group=0');

const withoutNamespaces = (): string | false =>
  withoutOtherUsers() ||
  unless(spawnSync(asRoot[0]!, [...asRoot.slice(1), 'true']).status === 0, 'needs user namespaces');

function openFolder(t: Test): string {
  const folder = temporaryFolder(t);
  chmodSync(folder, 0o777);
  return folder;
}

/** A service that says 'served' to those it lets in. */
async function serve(t: Test, through: string[], path: string, rule: string): Promise<Activated> {
  const source = `import net from 'node:net';
    import { listen } from 'listenfds';
    await listen(net.createServer((c) => c.end('served')), { path: '${path}', mode: 0o666, authorize: ${rule} });
    console.log('listening');`;
  const program = activateModule(t, source, { through });
  await program.line();
  return program;
}

t.test('a rule that names nobody lets in no user without a number', { skip: withoutNamespaces() }, async (t) => {
  const rules = ['{ uids: [65534] }', "{ users: ['nobody'] }", '{ gids: [65534] }', '({ uid }) => uid === 65534'];
  await Promise.all(
    rules.map(async (rule) => {
      const path = join(openFolder(t), 's');
      await serve(t, asNobody, path, rule);
      t.not(await received(t, other, path), 'served', `${rule}: another user`);
      t.not(await received(t, { uid: 0, gid: 0 }, path), 'served', `${rule}: root outside`);
    }),
  );
});

async function received(t: Test, ids: Ids, path: string): Promise<string> {
  const client = connectAs(t, ids, path);
  await client.connected();
  return client.received();
}

t.test('those who have a number there are known by it', { skip: withoutNamespaces() }, async (t) => {
  const path = join(openFolder(t), 's');
  await serve(t, asRoot, path, '{ uids: [0] }');
  t.equal(await received(t, service, path), 'served');
  t.not(await received(t, { uid: 0, gid: 0 }, path), 'served', 'root outside is nobody inside');
});

t.test('nobody is a user like others where all have numbers', { skip: withoutOtherUsers() }, async (t) => {
  const path = join(openFolder(t), 's');
  await serve(t, as(service), path, '{ uids: [65534] }');
  t.equal(await received(t, { uid: 65_534, gid: 65_534 }, path), 'served');
  t.not(await received(t, other, path), 'served');
});

// Without SO_PASSCRED on either end the kernel records nobody, and says 65534 when asked later.
const sender = `
import socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s: s.sendto(b'early', sys.argv[1])
`;

t.test('a datagram that was sent without credentials is nobody’s', { skip: withoutOtherUsers() }, async (t) => {
  const path = join(openFolder(t), 's');
  const env = { PATH: '/usr/bin:/bin' };
  const source = `
    import { execFileSync } from 'node:child_process';
    import { chmodSync } from 'node:fs';
    import { authorizeDatagrams, listenDatagram } from 'listenfds/sockets';
    chmodSync('${path}', 0o666);
    const send = () =>
      execFileSync('setpriv', ['--reuid=1234', '--regid=1234', '--clear-groups', 'python3', '-c', ${JSON.stringify(sender)}, '${path}']);
    send();
    const { socket } = await listenDatagram({ address: '${path}', passCredentials: true });
    const lists = authorizeDatagrams(socket, { uids: [1234, 65534], gids: [65534] });
    const rule = authorizeDatagrams(socket, (credentials) => console.log(JSON.stringify(credentials)) ?? true);
    socket.on('message', (message) => console.log('message'));
    const wait = async (n) => { while (rule.allowed + rule.refused < n) await new Promise(setImmediate); };
    await wait(1);
    rule.change({ uids: [1234], gids: [65534] });
    send();
    await wait(2);
    console.log(JSON.stringify([rule, lists]));
    process.exit();`;
  const program = activateModule(t, source, { fds: [`unix_dgram("${path}")`], env });
  t.equal(await program.line(), 'message', 'one that comes with them is judged');
  t.strictSame(await program.json(), [
    { allowed: 1, refused: 1 },
    { allowed: 1, refused: 0 },
  ]);
  await program.ended;
});
