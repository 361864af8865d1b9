// Counts the unix datagrams that come to PATH; after every COUNT of them says how long they took and what they cost.
import { listenDatagram } from 'listenfds/sockets';
import { counter } from './datagram-counter.js';

const [path, count] = process.argv.slice(2);
const { socket } = await listenDatagram({ path, activation: 'never' });
socket.on('message', counter(Number(count)));
console.log('ready');
