// The lines of docs/sockets.md: node sockets.js CASE
/* oxlint-disable no-unused-vars -- they show what there is */
import { createServer } from 'node:net';
import { listen } from 'listenfds';
import {
  listenDatagram,
  listenFifo,
  listenMessageQueue,
  listenNetlink,
  listenSequentialPacket,
  listenSpecial,
} from 'listenfds/sockets';

const app = createServer();
const server = createServer();
const work = () => {};

const cases = {
  async datagram() {
    const { socket } = await listenDatagram({ path: '/run/app/log.sock', passCredentials: true });
    socket.on('message', (message, { path, credentials }) => console.log(credentials.uid, String(message)));
  },
  async packets() {
    const { server } = await listenSequentialPacket('/run/app/control');
    server.on('connection', (socket) => {
      socket.on('data', (packet) => socket.write(packet));
    });
  },
  async fifo() {
    const { writeFile } = await import('node:fs/promises');
    const run = (text) => {
      console.log(`done ${text}`);
      process.exit();
    };
    setTimeout(() => writeFile('/run/app/commands', 'now'), 200);
    const { socket } = await listenFifo('/run/app/commands');
    for await (const chunk of socket) run(String(chunk));
  },
  async special() {
    const { socket: log } = await listenSpecial('/dev/kmsg');
    log.destroy();
  },
  async netlink() {
    const { socket: devices } = await listenNetlink('kobject-uevent 1');
    devices.on('message', (message, { portId, uevent }) => {
      if (portId === 0) console.log(uevent.action, uevent.devpath);
    });
  },
  async queue() {
    const { socket: jobs } = await listenMessageQueue({ address: '/jobs', maxMessages: 10, messageSize: 1024 });
    jobs.on('message', (message, priority) => work(message));
    await jobs.send('do this', 3);
  },
  async vsock() {
    await listen(app, 'vsock::1234');
  },
  async connection() {
    const { remote } = await listen(server, 3005);
    if (remote) console.error(`for ${remote.address} port ${remote.port}`);
  },
};

await cases[process.argv[2]]();
console.log('done');
process.exit();
