// One socket unit with every Listen*= directive, one program that adopts all of it; and the same program by hand.
import { spawn, spawnSync } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { connectSequentialPacket, listenDatagram, type UnixDatagram } from 'listenfds/sockets';
import { activate, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { freePort } from '../support/port.ts';
import { execStart, fixture, withSystemd, withoutSystemd } from '../support/systemd.ts';
import { unless } from '../support/tools.ts';

/** Where a program listens, by directive. */
interface Places {
  tcp: number;
  unix: string;
  udp: string;
  unixDgram: string;
  unixSeqpacket: string;
  fifo: string;
  special: string;
  netlink: string;
  mqueue: string;
  /** Where the kernel has it. */
  vsock: string | null;
}

const hasVsock = spawnSync('python3', ['-c', 'import socket; socket.socket(socket.AF_VSOCK)']).status === 0;

async function places(folder: string): Promise<Places> {
  return {
    tcp: await freePort(),
    unix: join(folder, 'stream'),
    udp: `127.0.0.1:${await freePort()}`,
    unixDgram: join(folder, 'datagram'),
    unixSeqpacket: join(folder, 'packet'),
    fifo: join(folder, 'fifo'),
    special: '/proc/sys/kernel/ostype',
    netlink: 'kobject-uevent 1',
    vsock: hasVsock ? `vsock::${await freePort()}` : null,
    mqueue: `/lfd-every-${process.pid}-${folder.replaceAll('/', '-')}`,
  };
}

const kinds = [
  'Socket',
  'UnixDatagram',
  'SequentialPacketServer',
  'Socket',
  'DescriptorStream',
  'NetlinkSocket',
  'MessageQueue',
];

/** Puts a message into a queue: one of them may be in another IPC namespace. */
const toQueue = (name: string): string[] => [
  process.execPath,
  '--input-type=module',
  '-e',
  `import { listenMessageQueue } from ${JSON.stringify(`${root}/dist/sockets.js`)};
   const { socket: queue } = await listenMessageQueue(${JSON.stringify(name)});
   await queue.send('queue', 7);
   queue.close();`,
];

type TestCase = Pick<typeof t, 'equal'>;

interface World {
  /** What the program has written matches, sooner or later. */
  said(pattern: RegExp): Promise<unknown>;
  /** The path as the test sees it. */
  path(inside: string): string;
  run(command: string[]): Promise<unknown>;
}

async function talk(t: TestCase, at: Places, { said, path, run }: World): Promise<void> {
  t.equal(await get({ host: '127.0.0.1', port: at.tcp, path: '/tcp' }), 'hello /tcp');
  t.equal(await get({ socketPath: path(at.unix), path: '/unix' }), 'hello /unix');

  const [host, port] = at.udp.split(':');
  const udp = dgram.createSocket('udp4');
  udp.send('udp', Number(port), host);
  t.equal(String((await once(udp, 'message'))[0]), 'UDP');
  udp.close();

  const client = (await listenDatagram({ address: `@${at.mqueue}`, activation: 'never' })).socket as UnixDatagram;
  await client.send('datagram', path(at.unixDgram));
  const [answer, { path: from }] = await once(client, 'message');
  t.equal(String(answer), 'DATAGRAM');
  t.equal(from, at.unixDgram, 'it is answered under its own name');
  client.close();

  const { socket: packets } = await connectSequentialPacket(path(at.unixSeqpacket));
  packets.write('packet');
  t.equal(String((await once(packets, 'data'))[0]), 'PACKET');
  packets.destroy();

  await writeFile(path(at.fifo), 'fifo');
  await said(/{"fifo":"FIFO"}/);
  await said(/{"special":"LINUX\\n"}/);
  await writeFile('/sys/class/net/lo/uevent', 'change');
  await said(/{"netlink":"CHANGE"}/);
  await run(toQueue(at.mqueue));
  await said(/{"mqueue":"QUEUE","priority":7}/);
}

const notRoot = unless(process.getuid!() === 0, 'needs root');

t.test('one unit with all of them, adopted by one program', { skip: withoutSystemd() || notRoot }, async (t) => {
  const at = await places('/run');
  const units = {
    'every.socket': `[Socket]
ListenStream=127.0.0.1:${at.tcp}
ListenStream=${at.unix}
ListenDatagram=${at.udp}
ListenDatagram=${at.unixDgram}
ListenSequentialPacket=${at.unixSeqpacket}
ListenFIFO=${at.fifo}
ListenSpecial=${at.special}
ListenNetlink=${at.netlink}
ListenMessageQueue=${at.mqueue}
${at.vsock ? `ListenStream=${at.vsock}\n` : ''}`,
    'every.service': `[Service]\nExecStart=${execStart('every-kind.js', JSON.stringify(at))}\n`,
  };
  await withSystemd({ units }, async (lab) => {
    await talk(t, at, {
      said: (pattern) => lab.logged(pattern),
      path: (inside) => lab.path(inside),
      run: (command) => lab.run(...command),
    });
    const report = { sources: Array.from({ length: at.vsock ? 3 : 2 }, () => 'inherited'), kinds };
    t.match(lab.log(), JSON.stringify(report));
    t.notMatch(lab.log(), /Warning/);
    const pid = await lab.property('every.service', 'MainPID');
    const numbers = await lab.run(
      'sh',
      '-c',
      `cd /proc/${pid}/fdinfo && grep -L '^flags:.*2......$' 3 4 5 6 7 8 9 10 11`,
    );
    t.equal(numbers.stdout, '', 'no child of it inherits any of them');
  });
});

t.test('the same program by hand opens all of them', { skip: notRoot }, async (t) => {
  const at = await places(temporaryFolder(t));
  const program = activate(t, [process.execPath, fixture('every-kind.js'), JSON.stringify(at)]);
  let output = '';
  program.child.stdout!.on('data', (text: string) => (output += text));
  const said = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(output)) await once(program.child.stdout!, 'data');
  };
  await said(/"sources"/);
  await talk(t, at, {
    said,
    path: (inside) => inside,
    run: ([file, ...args]) => once(spawn(file!, args, { stdio: 'inherit' }), 'close'),
  });
  t.match(output, JSON.stringify({ sources: Array.from({ length: at.vsock ? 3 : 2 }, () => 'bound'), kinds }));
  t.equal(program.stderr, '');
  spawnSync('python3', ['-c', `import ctypes; ctypes.CDLL(None).mq_unlink(${JSON.stringify(at.mqueue)}.encode())`]);
});
