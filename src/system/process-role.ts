// What this process is: the first thread or a worker's, a cluster's primary or its worker.

import type { Cluster } from 'node:cluster';
import { bindingIfAny } from './addon.js';

/** The cluster this process is a worker of; node:cluster is not loaded to find out that it is none. */
export function workersCluster(): Cluster | null {
  if (!process.connected) return null;
  const cluster = process.getBuiltinModule('node:cluster') as unknown as Cluster;
  return cluster.isWorker ? cluster : null;
}

/**
 * Whether this is a worker thread. Loading node:worker_threads to ask costs half a millisecond. The process's first
 * thread, whose id is the process's, is no worker; and where nothing is announced the mark that Node leaves on
 * process.chdir() in workers tells without the addon.
 */
export function isWorkerThread(env: NodeJS.ProcessEnv = process.env): boolean {
  const marked = (process.chdir as { disabled?: boolean }).disabled === true;
  if (!marked && (env['LISTEN_FDS'] === undefined || bindingIfAny()?.threadId() === process.pid)) return false;
  return !process.getBuiltinModule('node:worker_threads').isMainThread;
}
