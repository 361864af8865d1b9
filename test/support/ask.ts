// One question to a server, in each of the protocols that an app may speak.
import { connect as http2Connect } from 'node:http2';
import { connect as netConnect } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { text } from 'node:stream/consumers';
import { get } from './http.js';

export type Protocol = 'tcp' | 'tls' | 'http' | 'https' | 'http2' | 'http2-tls';

/** Where a server is: a port of 127.0.0.1 or the path of a unix socket. */
export type Place = { readonly host: string; readonly port: number } | { readonly path: string };

// Tests sign their own certificates.
const trust = { rejectUnauthorized: false, servername: 'localhost' };

function askHttp(protocol: 'http' | 'https', place: Place): Promise<string> {
  const where = 'path' in place ? { socketPath: place.path } : place;
  return get({ ...where, ...trust, protocol: `${protocol}:` });
}

async function askHttp2(protocol: 'http2' | 'http2-tls', place: Place): Promise<string> {
  const createConnection = () =>
    protocol === 'http2' ? netConnect(place) : tlsConnect({ ...place, ...trust, ALPNProtocols: ['h2'] });
  const session = http2Connect(`http${protocol === 'http2' ? '' : 's'}://localhost`, { createConnection });
  const failed = new Promise<never>((_resolve, reject) => session.on('error', reject));
  try {
    return await Promise.race([text(session.request({ ':path': '/' })), failed]);
  } finally {
    session.destroy();
  }
}

/** What the server answers: to GET / in HTTP, without being asked in the others. */
export function ask(protocol: Protocol, place: Place): Promise<string> {
  switch (protocol) {
    case 'tcp':
      return text(netConnect(place));
    case 'tls':
      return text(tlsConnect({ ...place, ...trust }));
    case 'http':
    case 'https':
      return askHttp(protocol, place);
    case 'http2':
    case 'http2-tls':
      return askHttp2(protocol, place);
  }
}
