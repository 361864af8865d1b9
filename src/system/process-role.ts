// The role of this process: the first thread or a worker's, a cluster's primary or its worker.

import type { Cluster, Worker } from 'node:cluster';
import { bindingIfAny } from './addon.js';

export const nodeCluster = (): Cluster => process.getBuiltinModule('node:cluster') as unknown as Cluster;

/**
 * What this process is to its primary, which may be gone by now; null if it is not a cluster worker. node:cluster is not
 * loaded to find that out if nobody forked us.
 */
export function ownWorker(): Worker | null {
  return process.connected === undefined ? null : (nodeCluster().worker ?? null);
}

/** Whether this is a cluster worker whose primary can be asked. */
export const isClusterWorker = (): boolean => process.connected === true && ownWorker() !== null;

/** Whether the program may fork workers: it has loaded node:cluster. Loading that to ask would take 4 ms. */
export function mayBePrimary(): boolean {
  const { moduleLoadList } = process as { moduleLoadList?: string[] };
  return moduleLoadList?.includes('NativeModule internal/cluster/primary') !== false;
}

/**
 * Whether this is a worker thread. Loading node:worker_threads to ask costs half a millisecond. The process's first
 * thread, whose id is the process's, is not a worker; and if nothing is announced the mark that Node leaves on
 * process.chdir() in workers tells without the addon.
 */
export function isWorkerThread(env: NodeJS.ProcessEnv = process.env): boolean {
  const marked = (process.chdir as { disabled?: boolean }).disabled === true;
  if (!marked && (env['LISTEN_FDS'] === undefined || bindingIfAny()?.threadId() === process.pid)) return false;
  return !process.getBuiltinModule('node:worker_threads').isMainThread;
}
