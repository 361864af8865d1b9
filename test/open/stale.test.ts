// A socket file that nobody answers on: what replaces it must not replace anything else that has come up meanwhile.
import { once } from 'node:events';
import { closeSync, lstatSync, openSync, readdirSync, rmSync, unlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activateModule, type Activated } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { inject } from '../support/inject.ts';
import { without } from '../support/tools.ts';
import * as insides from '../../dist/insides.js';

const calls = {
  stream: 'listen(createServer(), path).then(({ server }) => [server, server._handle.fd])',
  dgram: 'listenDatagram(path).then(({ socket }) => [socket, fdAt(path)])',
  seqpacket: 'listenSequentialPacket(path).then(({ server }) => [server, fdAt(path)])',
};

type Kind = keyof typeof calls;

/** Binds the paths that it reads, and says which inode it is bound to. */
function racer(t: Test, kind: Kind, delay: number): Activated {
  const changes = '?unlink,?unlinkat,?rename,?renameat,?renameat2';
  const through = inject(changes, `delay_enter=${delay}`);
  const source = `
    import fs from 'node:fs';
    import { createServer } from 'node:net';
    import { createInterface } from 'node:readline';
    import { describe, listen } from 'listenfds';
    import { listenDatagram, listenSequentialPacket } from 'listenfds/sockets';
    const fdAt = (path) => fs.readdirSync('/proc/self/fd').map(Number).find((fd) => {
      try { return describe(fd).address === path; } catch { return false; }
    });
    const sockets = [];
    console.log('"ready"');
    for await (const path of createInterface(process.stdin)) {
      try {
        const [socket, fd] = await ${calls[kind]};
        sockets.push(socket);
        console.log(describe(fd).boundInode.number);
      } catch ({ code }) {
        console.log(JSON.stringify(code));
      }
    }`;
  return activateModule(t, source, { stdin: 'pipe', through });
}

/** A file that was bound by somebody who is gone. */
async function leaveStale(kind: Kind, path: string): Promise<void> {
  rmSync(path, { force: true });
  const { openSocket, bindUnix, closeFd } = insides.binding();
  const fd = openSocket(1, { stream: 1, dgram: 2, seqpacket: 5 }[kind], 0);
  bindUnix(fd, Buffer.from(path));
  closeFd(fd);
}

for (const kind of Object.keys(calls) as Kind[]) {
  t.test(`${kind}: of two that find a stale path one gets it, 20 times`, { skip: without('strace') }, async (t) => {
    const folder = temporaryFolder(t);
    const racers = [racer(t, kind, 4_000), racer(t, kind, 9_000)];
    for (const one of racers) t.equal(await one.json(), 'ready');
    for (let round = 0; round < 20; round++) {
      const path = join(folder, `s${round}`);
      await leaveStale(kind, path);
      for (const one of racers) one.child.stdin!.write(`${path}\n`);
      const results = await Promise.all(racers.map((one) => one.json<number | string>()));
      const winners = results.filter((result) => typeof result === 'number');
      t.equal(winners.length, 1, `round ${round}: ${results}`);
      t.ok(winners.includes(lstatSync(path).ino), 'and its socket is the one at the path');
    }
    t.equal(readdirSync(folder).length, 20, 'nothing else is left');
  });
}

t.test('a held file’s inode is no other’s, although the file system gives numbers away again', async (t) => {
  const path = join(temporaryFolder(t), 's');
  let reused = 0;
  for (let i = 0; i < 200; i++) {
    const server = createServer().listen(path);
    await once(server, 'listening');
    const held = insides.HeldFile.open(path)!;
    t.ok(held.isAt(path));
    unlinkSync(path);
    server.close();
    await once(server, 'close');
    closeSync(openSync(path, 'wx'));
    if (held.isAt(path)) reused += 1;
    held.removeAt(path);
    unlinkSync(path);
    held.release();
  }
  t.equal(reused, 0);
});
