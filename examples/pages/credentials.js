// The lines of docs/credentials.md: node credentials.js CASE
/* oxlint-disable no-unused-vars -- they show what there is */
import { createServer, get } from 'node:http';
import { listen } from 'listenfds';
import { authorizeDatagrams, listenDatagram } from 'listenfds/sockets';
import { peerCredentials } from 'listenfds';
import { isSocket, isSocketInet, isSocketSockaddr, isSocketUnix } from 'listenfds/sd';

const app = createServer((request, response) => {
  const { pid, uid, gid, groups, label } = peerCredentials(request);
  response.end(JSON.stringify({ pid, uid, gid, groups, label }));
});

const cases = {
  async rule() {
    await listen(app, { path: '/run/app/control.sock', mode: 0o666, authorize: { uids: [0], groups: ['operators'] } });
    await new Promise((resolve) => get({ socketPath: '/run/app/control.sock' }, resolve));
  },
  async datagrams() {
    const { socket } = await listenDatagram({ path: '/run/app/log.sock', passCredentials: true });
    authorizeDatagrams(socket, { users: ['alice'] });
    socket.on('message', (data, { credentials }) => {});
  },
  async predicates() {
    const { server } = await listen(app, 8080); // whatever is on fd 3 is none of these
    isSocket(3, 'unix', 'stream', true); // a listening unix stream socket
    isSocketInet(3, 'inet6', 'stream', true, 8080);
    isSocketUnix(3, 'dgram', null, '/run/app/log.sock');
    isSocketSockaddr(3, 'stream', { address: '::1', port: 8080 });
    server.close();
  },
};

await cases[process.argv[2]]();
console.log('done');
process.exit();
