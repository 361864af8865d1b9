// The first step of every drain: the listener is closed here, and nobody who was accepted is lost by that.
import type { Server } from 'node:net';
import { bindingIfAny } from '../system/addon.js';
import { net } from '../system/builtins.js';
import { descriptorOf } from '../system/node-server.js';
import { ownWorker } from '../system/process-role.js';

// More turns than a full queue of a busy server takes are not waited for: others keep coming.
const mostTurns = 1000;

/**
 * Closing a listener that nobody else holds resets the connections in its queue. They were accepted as far as their
 * clients know, so they are taken first; Node accepts one a turn.
 */
export async function acceptQueued(server: Server): Promise<void> {
  const fd = descriptorOf(server);
  const addon = bindingIfAny();
  if (fd === null || !addon) return;
  for (let turn = 0; turn < mostTurns; turn++) {
    const facts = addon.facts(fd);
    if (typeof facts === 'number' || !facts.queued) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/**
 * Closes our descriptor of the listener and nothing else: the close() of node:http and node:http2 also ends idle
 * connections, each Node version others. There is no shutdown(2): the manager goes on listening.
 */
export function stopAccepting(server: Server, closed: () => void): void {
  if (!server.listening) {
    closed();
    return;
  }
  server.once('close', closed);
  net.Server.prototype.close.call(server);
  // A server that has sent connections to a child process closes when those have closed there, which nobody here waits for.
  if ((server as { _usingWorkers?: boolean })._usingWorkers) closed();
}

/** The close() of node:http stops this timer, which otherwise keeps the server in memory for ever. */
export function stopChecking(server: Server): void {
  const name = 'http.server.connectionsCheckingInterval';
  const key = Object.getOwnPropertySymbols(server).find(({ description }) => description === name);
  if (key) clearInterval((server as unknown as Record<symbol, NodeJS.Timeout>)[key]);
}

let leaving = false;

/**
 * In a cluster worker: the loss of the primary is no longer the end of this process, and no error. It may get the same
 * signal and be gone first.
 */
export function leaveCluster(): void {
  const worker = leaving ? null : ownWorker();
  if (!worker) return;
  leaving = true;
  worker.exitedAfterDisconnect = true;
  const lost = (error: NodeJS.ErrnoException): void => {
    if (error.code !== 'EPIPE' && error.code !== 'ERR_IPC_CHANNEL_CLOSED') throw error;
  };
  // Node passes the process's 'error' on to the worker object, where one that nobody listens for is thrown.
  worker.on('error', lost);
  process.on('error' as 'beforeExit', lost as () => void);
}
