// Who watches over this process, and whether that one follows when another process becomes the service. If it does not,
// the end of this process is the end of the service for it, and an upgrade an outage.
import { fs } from '../system/builtins.js';
import { isClusterWorker } from '../system/process-role.js';
import { ListenFdsError } from '../system/errors.js';

/** comm of a process, at most 15 bytes; null if there is no telling. */
function nameOf(pid: number): string | null {
  try {
    return fs.readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd();
  } catch {
    return null;
  }
}

/** Supervisors that watch the process they have started and no other, by the name of their process. */
const watchers: Readonly<Record<string, string>> = {
  supervisord: 'supervisord',
  runsv: 'runit',
  's6-supervise': 's6',
  supervise: 'daemontools',
  circusd: 'circus',
};

/** What runs as process 1 of a container and ends with the program it has started. */
const inits = new Set(['tini', 'docker-init', 'dumb-init', 'catatonit', 'podman-init']);

const underRun = 'start the program with `listenfds run -- …`, which follows';

/** What it is that does not follow, and what to do; null if somebody follows, or nobody watches. */
function notFollowing(env: NodeJS.ProcessEnv, pid: number, ppid: number): { who: string; remedy: string } | null {
  if (isClusterWorker()) {
    return {
      who: 'this is a cluster worker, and its primary is the service',
      remedy: 'have the primary replace its workers one after the other',
    };
  }
  if (pid === 1) return { who: 'it is process 1, and a container ends with it', remedy: underRun };
  // Whoever gave that is told who the service is from now on.
  if (env['NOTIFY_SOCKET']) return null;
  if (env['SYSTEMD_EXEC_PID'] === String(pid)) {
    return {
      who: 'systemd cannot be told of the new process: NOTIFY_SOCKET is not set',
      remedy: 'say Type=notify or Type=notify-reload in the unit',
    };
  }
  const parent = nameOf(ppid);
  if (ppid === 1 && parent !== null && inits.has(parent)) {
    return { who: `${parent} ends with the process it has started, and the container with it`, remedy: underRun };
  }
  if (parent !== null && watchers[parent] !== undefined) {
    return { who: `${watchers[parent]} watches this process and no other`, remedy: underRun };
  }
  // Its process has a title of its own.
  if (env['pm_id'] !== undefined && parent?.startsWith('PM2')) {
    return { who: 'pm2 watches this process and no other', remedy: underRun };
  }
  return null;
}

/** @throws ListenFdsError LISTENFDS_UPGRADE_UNFOLLOWED */
export function refuseUnfollowed(): void {
  const found = notFollowing(process.env, process.pid, process.ppid);
  if (found === null) return;
  throw new ListenFdsError(
    'LISTENFDS_UPGRADE_UNFOLLOWED',
    `Nobody would follow an upgrade: ${found.who}; ${found.remedy}`,
  );
}
