/**
 * UDP and unix datagram sockets (ListenDatagram=).
 *
 * ```ts
 * import { listenDatagram, authorizeDatagrams } from 'listenfds/sockets';
 * ```
 *
 * @module datagrams
 */
export {
  listenDatagram,
  authorizeDatagrams,
  type DatagramTarget,
  type DatagramEndpoint,
  type UnixDatagram,
  type UnixDatagramEvents,
  type DatagramInfo,
  type DatagramSendOptions,
  type DatagramAuthorizationRule,
  type MessageCredentials,
  type SenderCredentials,
  type SendCallback,
  type SocketEndpoint,
} from '../../src/sockets.js';
