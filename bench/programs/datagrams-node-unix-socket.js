// datagrams-library.js with node-unix-socket.
import { DgramSocket } from 'node-unix-socket';
import { counter } from './datagram-counter.js';

const [path, count] = process.argv.slice(2);
const socket = new DgramSocket();
socket.on('data', counter(Number(count)));
socket.bind(path);
console.log('ready');
