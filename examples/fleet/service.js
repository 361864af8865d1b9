// One of a fleet behind a load balancer. Told to stop, it says "not ready" on /health and serves on for two seconds: time
// for the load balancer to ask twice and to send requests elsewhere. Only then it drains.
import { createServer } from 'node:http';
import { serve } from 'listenfds';

let service;

function answer(request, response) {
  const [, path, ms] = request.url.split('/');
  if (path === 'health') {
    response.writeHead(service?.ready ? 200 : 503, { 'Cache-Control': 'no-store' });
    response.end(service?.ready ? 'ready\n' : 'not ready\n');
  } else if (path === 'slow') {
    setTimeout(() => response.end('slow'), Number(ms)); // work that takes its time
  } else if (request.method === 'POST') {
    request.pipe(response);
  } else {
    response.end('hello');
  }
}

// Longer than HAProxy keeps a connection idle (timeout http-keep-alive): it is the one to close it, so that none of its
// requests meets a connection that has just been closed here.
const server = createServer({ keepAliveTimeout: 75_000 }, answer);

// By the time of the drain nothing is on its way any more: idle connections need no more than a second.
service = await serve(server, { name: 'web', port: 3000, drainDelay: '2s', drain: { grace: 1_000 } });
