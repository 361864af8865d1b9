// How an HTTP/2 session is told to end without refusing requests on their way.
import type { Http2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Gatekeeper } from '../admit/gate.js';

/** How long a GOAWAY may take to a client and its last requests back, if it does not answer a PING. Milliseconds. */
const roundTrip = 1_000;
// RFC 9113, 6.8: a GOAWAY with the highest stream id announces the end and refuses nothing yet.
const highestStreamId = 2 ** 31 - 1;
const shutdownNotice = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

/**
 * After session.goaway() nghttp2 takes no notice of new streams, also of those that were on their way already: the frame
 * is written past it. Not with TLS, whose handle bears one writer only, and aborts at a second one.
 */
function announceEnd(session: Http2Session, { sockets }: Gatekeeper): void {
  // session.socket is a proxy that lets nobody write; its methods return the socket itself.
  const socket = session.socket.valueOf() as Socket;
  if (!session.encrypted && sockets.has(socket)) socket.write(shutdownNotice);
  else session.goaway(0, highestStreamId);
}

/** @param grace how long the client has at most, in milliseconds */
export function sayGoaway(session: Http2Session, keeper: Gatekeeper, grace: number): void {
  if (session.closed || session.destroyed) return;
  const close = (): void => {
    clearTimeout(fallback);
    if (!session.closed && !session.destroyed) session.close();
  };
  const fallback = setTimeout(close, Math.min(roundTrip, grace));
  const announce = (): void => {
    if (session.closed || session.destroyed) return;
    announceEnd(session, keeper);
    // Requests that were sent before the client heard of it arrive before the answer to this PING.
    if (!session.ping(close)) close();
  };
  // The SETTINGS of a new session have to go out first.
  // What the program has begun in this turn, a push, goes first.
  const later = (): void => void setImmediate(announce);
  if (session.pendingSettingsAck) session.once('localSettings', later);
  else later();
}
