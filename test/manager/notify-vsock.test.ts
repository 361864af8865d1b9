import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { notify } from 'listenfds';
import t from 'tap';
import * as insides from '../../dist/insides.js';
import { receive } from '../support/receiver.ts';

const { parseNotifyAddress } = insides;

t.test('the vsock addresses of a machine monitor are read', (t) => {
  t.same(parseNotifyAddress('vsock:2:1234'), { kind: 'vsock', cid: 2, port: 1234, type: 0 });
  t.same(parseNotifyAddress('vsock-stream:2:1'), { kind: 'vsock', cid: 2, port: 1, type: 1 });
  t.same(parseNotifyAddress('vsock-dgram:0:0'), { kind: 'vsock', cid: 0, port: 0, type: 2 });
  t.same(parseNotifyAddress('vsock-seqpacket:4294967294:4294967294'), {
    kind: 'vsock',
    cid: 4294967294,
    port: 4294967294,
    type: 5,
  });
  t.end();
});

const loopback = `import socket
a, b = socket.socket(socket.AF_VSOCK), socket.socket(socket.AF_VSOCK)
a.bind((1, 0xffffffff)); a.listen(); b.settimeout(2); b.connect(a.getsockname())`;
const hasLoopback = spawnSync('python3', ['-c', loopback]).status === 0;

// The kernel of the machine has it or not, no installation helps.
t.test('a message arrives over vsock', { skip: hasLoopback ? false : 'no vsock loopback' }, async (t) => {
  const address = `vsock-stream:1:${20000 + (process.pid % 20000)}`;
  const receiver = await receive(t, address);
  t.equal(notify({ ready: true }, { env: { NOTIFY_SOCKET: address } }), true);
  t.equal((await receiver.message()).text, 'READY=1');
});

t.test('where nobody answers, the caller is told soon and nothing stays open', (t) => {
  const before = readdirSync('/proc/self/fd').length;
  for (const type of ['', '-stream', '-seqpacket', '-dgram']) {
    const env = { NOTIFY_SOCKET: `vsock${type}:1:1` };
    const began = performance.now();
    t.throws(() => notify({ ready: true }, { env }), { code: /^E[A-Z]+$/, syscall: 'sendmsg', message: /vsock/ });
    const took = performance.now() - began;
    t.ok(took < 1000, `${env.NOTIFY_SOCKET} took ${took} ms`); // 50 ms on a machine that has nothing else to do
  }
  t.equal(readdirSync('/proc/self/fd').length, before);
  t.end();
});

t.test('descriptors cannot be passed over vsock', (t) => {
  t.throws(() => notify({ fdStore: true }, { fds: [0], env: { NOTIFY_SOCKET: 'vsock:2:1234' } }), {
    code: 'LISTENFDS_UNSUPPORTED',
    message: /No descriptor can be passed over NOTIFY_SOCKET=vsock:2:1234/,
  });
  t.end();
});
