import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { listenNetlink, type NetlinkInfo, type NetlinkSocket, type NetlinkTarget } from 'listenfds/sockets';
import { activateModule, resultOf } from '../support/activate.ts';
import { unless, without } from '../support/tools.ts';

async function open(t: { teardown(action: () => unknown): unknown }, target: NetlinkTarget): Promise<NetlinkSocket> {
  const { socket } = await listenNetlink({ activation: 'never', ...target });
  t.teardown(() => socket.close());
  return socket;
}

const next = (socket: NetlinkSocket): Promise<[Buffer, NetlinkInfo]> =>
  once(socket, 'message') as Promise<[Buffer, NetlinkInfo]>;
/** Whether this kernel can make interfaces to watch. */
const canMake =
  spawnSync('ip', ['link', 'add', 'lfdprobe0', 'type', 'veth']).status === 0 &&
  spawnSync('ip', ['link', 'del', 'lfdprobe0']).status === 0;
const root = unless(process.getuid!() === 0, 'needs root');

// RTM_GETLINK for interface 1: who asks the kernel is answered.
function getLoopback(): Buffer {
  const request = Buffer.alloc(32);
  request.writeUInt32LE(32, 0);
  request.writeUInt16LE(18, 4);
  request.writeUInt16LE(1, 6); // NLM_F_REQUEST
  request.writeInt32LE(1, 20);
  return request;
}

t.test('the kernel answers over a netlink socket', async (t) => {
  const socket = await open(t, { address: 'route' });
  t.equal(socket.address(), 'route 0');
  const answer = next(socket);
  await socket.send(getLoopback());
  const [message, info] = await answer;
  t.equal(message.readUInt16LE(4), 16, 'RTM_NEWLINK');
  t.match(info, { portId: 0, group: 0, size: message.length, truncated: false, uevent: null });
});

t.test('uevents of the kernel and of udev are read', { skip: root }, async (t) => {
  const socket = await open(t, { address: 'kobject-uevent 3', passCredentials: true });
  const kernel = Buffer.from(
    'add@/devices/virtual/x\0ACTION=add\0DEVPATH=/devices/virtual/x\0SUBSYSTEM=x=y\0SEQNUM=7\0',
  );
  const properties = Buffer.from('ACTION=change\0DEVPATH=/devices/z\0');
  const udev = Buffer.concat([Buffer.from('libudev\0'), Buffer.alloc(32), properties]);
  udev.writeUInt32BE(0xfeedcafe, 8);
  udev.writeUInt32LE(40, 12);
  udev.writeUInt32LE(40, 16);
  udev.writeUInt32LE(properties.length, 20);
  const sender = await open(t, { address: 'kobject-uevent' });
  const receive = async (message: Buffer, groups: number): Promise<NetlinkInfo> => {
    const found = new Promise<NetlinkInfo>((resolve) => {
      const look = (got: Buffer, info: NetlinkInfo): void => {
        if (!got.equals(message)) return; // the machine's own devices
        socket.off('message', look);
        resolve(info);
      };
      socket.on('message', look);
    });
    await sender.send(message, { groups });
    return found;
  };
  const first = await receive(kernel, 1);
  t.match(first, { group: 1, credentials: { uid: 0, pid: process.pid } });
  t.not(first.portId, 0, 'not from the kernel, for all it says');
  t.same(first.uevent, {
    action: 'add',
    devpath: '/devices/virtual/x',
    properties: { ACTION: 'add', DEVPATH: '/devices/virtual/x', SUBSYSTEM: 'x=y', SEQNUM: '7' },
    source: 'kernel',
  });
  const second = await receive(udev, 2);
  t.match(second, { group: 2, uevent: { action: 'change', devpath: '/devices/z', source: 'udev' } });
  t.equal((await receive(Buffer.from('nonsense'), 1)).uevent, null);
  t.equal((await receive(Buffer.from('libudev\0'), 1)).uevent, null);
});

t.test(
  'the kernel tells of a device through an inherited socket',
  { skip: root || without('ip') || unless(canMake, 'needs dummy interfaces') },
  async (t) => {
    const source = `
    import { listenNetlink } from 'listenfds/sockets';
    const { socket } = await listenNetlink('kobject-uevent 1');
    socket.on('message', (message, { portId, group, uevent }) => {
      if (uevent?.properties.INTERFACE === 'lfdtest0') console.log(JSON.stringify({ portId, group, uevent }));
    });
    console.log(JSON.stringify(socket.address()));`;
    const program = activateModule(t, source, { fds: ['netlink(15, 1)'], names: ['devices'] });
    t.equal(await program.json(), 'kobject-uevent 1');
    execFileSync('ip', ['link', 'add', 'lfdtest0', 'type', 'veth']);
    try {
      t.match(await program.json(), { portId: 0, group: 1, uevent: { action: 'add', source: 'kernel' } });
    } finally {
      execFileSync('ip', ['link', 'del', 'lfdtest0']);
    }
  },
);

t.test('messages that the kernel had to drop are reported, and it goes on', async (t) => {
  const socket = await open(t, { address: 'route', receiveBuffer: 1 });
  const dump = getLoopback();
  for (let i = 0; i < 200; i++) await socket.send(dump).catch(() => {});
  const overrun = once(socket, 'overrun');
  socket.on('message', () => {});
  await overrun;
  const answer = next(socket);
  await socket.send(dump);
  t.equal((await answer)[0].readUInt16LE(4), 16);
});

t.test('what is no family, and what is no netlink socket', async (t) => {
  for (const address of ['no-such-family', 'route x', '/run/x', 'route 99999999999']) {
    await t.rejects(open(t, { address }), { code: 'LISTENFDS_BAD_ADDRESS' });
  }
  const source = `
    import { listenNetlink } from 'listenfds/sockets';
    listenNetlink({ name: 'x' }).catch(({ code }) => console.log(JSON.stringify(code)));`;
  t.equal(await resultOf(t, source, { fds: ['udp()'], names: ['x'] }), 'LISTENFDS_WRONG_KIND');
});
