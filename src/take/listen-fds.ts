// listenFds(): the descriptors that were passed, and word of it for the workers of a cluster.

import { withoutCarriers } from '../receive/carriers.js';
import {
  type Consumed,
  type InheritedFd,
  adoptAnnounced,
  consume,
  refuseWorkerThread,
  registry,
} from '../receive/inherited.js';
import { isLendable, tellWorkers } from '../receive/tell-workers.js';
import { originsVariable, toldOrigins } from '../receive/told-origins.js';
import { binding } from '../system/addon.js';
import { mayBePrimary } from '../system/process-role.js';
import { type AcceptedPid, type Announcement, type Identity, parseEnvironment } from '../text/environment.js';
import { type TableOf, environment, oneOf, readOptions } from '../text/options.js';
import { readVariable } from '../text/variables.js';

function pidfdInode(pid: number): bigint | null {
  const inode = binding().pidfdInode(pid);
  return typeof inode === 'bigint' ? inode : null;
}

/** In a program that has loaded node:cluster, workers are to listen, and to speak to the manager, through this process. */
function lendToCluster(passed: readonly InheritedFd[]): void {
  if (!mayBePrimary()) return;
  if (passed.length > 0) tellWorkers(passed);
  void import('../lend/room.js').then(({ lendToWorkers, speakForWorkers }) => {
    speakForWorkers();
    if (passed.length > 0) lendToWorkers(passed.filter(isLendable));
  });
}

/** Options of {@link listenFds}. */
export interface ListenFdsOptions {
  /**
   * Whose LISTEN_PID counts: `'self'` as in C, `'parent'` also descriptors that were meant for the parent (`sh -c 'node app.js'`,
   * `timeout`), `'any'` whatever it says.
   * @default the environment variable LISTENFDS_PID, else 'self'
   */
  pid?: AcceptedPid;
  /**
   * Where the variables are read and removed.
   * @default process.env
   */
  env?: NodeJS.ProcessEnv;
}

/** The options of listenFds(). */
export const listenFdsOptions = {
  pid: oneOf('self', 'parent', 'any'),
  env: environment,
} satisfies TableOf<ListenFdsOptions>;

/**
 * The descriptors that the service manager passed, in its order; empty if there are none. Mirrors
 * sd_listen_fds_with_names(3) with `unset_environment`.
 *
 * Every descriptor is verified before anything is changed. Then all get FD_CLOEXEC, so that no child process inherits
 * them, and LISTEN_PID, LISTEN_PIDFDID, LISTEN_FDS and LISTEN_FDNAMES are removed, as in C on every path, failure
 * included. The outcome is remembered for the whole process: every later call gives the same list, or throws the same
 * error.
 *
 * @example
 * const [http, admin] = listenFds();
 * server.listen({ fd: http.take() });
 *
 * @throws ListenFdsError LISTENFDS_BAD_ENVIRONMENT, LISTENFDS_NOT_OPEN, LISTENFDS_NOT_INHERITED: no descriptor was
 * closed or changed
 * @throws ListenFdsError LISTENFDS_WORKER_THREAD, LISTENFDS_NO_ADDON
 */
export function listenFds(options?: ListenFdsOptions): readonly InheritedFd[] {
  refuseWorkerThread();
  // Reading no options gives none; most calls have none, at every start.
  const { env = process.env, pid = readVariable('LISTENFDS_PID', env) }: ListenFdsOptions =
    options === undefined ? {} : readOptions(listenFdsOptions, options);
  const identity: Identity = {
    pid: process.pid,
    get ppid() {
      return process.ppid;
    },
    pidfdInode,
  };
  const look = (variables: Consumed, announcement: Announcement): readonly InheritedFd[] =>
    adoptAnnounced(announcement, toldOrigins(variables[originsVariable]));
  if (env !== process.env) {
    const variables = consume(env);
    return look(variables, parseEnvironment(variables, pid, identity));
  }

  const state = registry();
  // Descriptors that were meant for another process may be asked for again with a more generous `pid`.
  if (state.error !== undefined) throw state.error;
  if (state.result && (state.announcement?.meantFor === undefined || pid === 'self')) return state.result;
  state.consumed ??= consume(env);
  try {
    state.announcement = parseEnvironment(state.consumed, pid, identity);
    state.result = withoutCarriers(look(state.consumed, state.announcement));
    lendToCluster(state.result);
    return state.result;
  } catch (error) {
    state.error = error;
    throw error;
  }
}
