// A control socket: root, its own user and the members of one group may use it, and it knows who each caller is.
//   node authorized.js /run/app/control.sock operators
import { createServer } from 'node:http';
import { subscribe } from 'node:diagnostics_channel';
import { listen, peerCredentials } from 'listenfds';

const [, , path = '/run/app/control.sock', ...groups] = process.argv;

const server = createServer((request, response) => {
  const { uid, gid, groups } = peerCredentials(request);
  response.end(`user ${uid}, group ${gid}, also in ${groups.join(' ') || 'no other'}\n`);
});

// Published for each refusal, whoever listens.
subscribe('listenfds:refused', ({ reason }) => console.error(reason));

const authorize = { uids: [0, process.geteuid()], groups };
const { address } = await listen(server, { path, mode: 0o666, authorize });
console.log(`listening on ${address}`);
