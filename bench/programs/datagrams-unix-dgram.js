// datagrams-library.js with unix-dgram.
import unix from 'unix-dgram';
import { counter } from './datagram-counter.js';

const [path, count] = process.argv.slice(2);
const socket = unix.createSocket('unix_dgram');
socket.on('message', counter(Number(count)));
socket.bind(path);
console.log('ready');
