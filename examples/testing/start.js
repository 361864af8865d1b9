// What a test needs of a service: a port of its own, no signals, and a process that goes on when the service has ended.
import { serve } from 'listenfds';

/** @param {import('listenfds').App} app */
export async function start(app) {
  const service = await serve(app, { port: 0, host: '127.0.0.1', activation: 'never', signals: [], exit: false });
  return { url: service.listening[0].url, close: () => service.close() };
}
