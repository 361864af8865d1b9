// The part of this folder that the core and other rooms load on demand. `listenfds/sockets` (src/sockets.ts) is the public door.
export { acceptInherited } from './accept-from.js';
export { expectConnection, remoteEnd, serveConnection } from './accepted.js';
export { listenDatagram } from './datagram.js';
export { openNotifySocket } from './notify-socket.js';
export { openVsock } from './vsock.js';
