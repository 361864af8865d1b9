// A program without a socket of its own, as a service with Type=notify and WatchdogSec=: ready, at work, alive, stopping.
import { notify, notifyBarrier, watchdogEnabled } from 'listenfds';

let done = 0;
const work = setInterval(() => {
  done += 1;
  notify({ status: `${done} jobs done` });
}, 100);

const timeout = watchdogEnabled();
if (timeout !== null) setInterval(() => notify({ watchdog: true }), timeout / 2).unref();

process.once('SIGTERM', async () => {
  clearInterval(work);
  notify({ stopping: true, status: `Stopping after ${done} jobs` });
  await notifyBarrier(); // the manager has read it before we are gone
});

notify({ ready: true });
