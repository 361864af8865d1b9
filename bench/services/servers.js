// What every side of the restart and upgrade benchmarks serves: two http servers and two of HTTP/2 without TLS, each once
// on TCP and once on a unix socket, in the order of ListenStream= in the unit. mixed-load.js asks for what is answered here.
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';

// What has to be known before a drain: `Keep-Alive: timeout=1` is what clients are told, and half a second more is theirs.
const keepAliveTimeout = 1500;

function answer(request, response) {
  const slow = /^\/slow\/(\d+)$/.exec(request.url);
  if (slow) setTimeout(() => response.end('slow'), Number(slow[1]));
  else if (request.method === 'POST') request.pipe(response);
  else response.end('hello');
}

export function makeServers() {
  return [
    createServer({ keepAliveTimeout }, answer),
    createServer({ keepAliveTimeout }, answer),
    createHttp2Server(answer),
    createHttp2Server(answer),
  ];
}

/** Where the bench wants them: TCP, unix, TCP, unix. */
export const addresses = process.env.ADDRESSES?.split(' ') ?? [];
