// What test-daemon.c does, with this package.
import { setTimeout } from 'node:timers/promises';

const { listenFds, notify } = await import(process.env.LISTENFDS_DIST);
for (const { fd, name } of listenFds()) console.log(`fd=${fd} name=${name}`);
const states = [
  { status: 'Starting up' },
  { status: 'Running', ready: true },
  { status: 'Reloading', reloading: true },
  { status: 'Running', ready: true },
  { status: 'Quitting', stopping: true },
];
for (const state of states) {
  await notify(state);
  await setTimeout(100);
}
