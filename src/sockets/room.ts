// Everything that is loaded when a program first asks for a socket that Node core lacks: dist/sockets.js.
export { listenDatagram } from './datagram.js';
