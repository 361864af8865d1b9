// The signals that ask a service for something while it runs: a reload, an upgrade. together.ts has those that end it.
import type { OwnOptions } from './options.js';

/** What is done about them. */
export interface SignalActions {
  upgrade(): void;
  reload(): void;
}

/** @returns stops catching them */
export function catchSignals(options: OwnOptions, actions: SignalActions): () => void {
  const caught: [NodeJS.Signals, () => void][] = [];
  const upgradesBy = options.upgrade?.signal;
  if (upgradesBy) caught.push([upgradesBy, () => actions.upgrade()]);
  // By hand and without a hook, SIGHUP means that the terminal is gone.
  if (upgradesBy !== 'SIGHUP' && (options.onReload || process.env['NOTIFY_SOCKET'])) {
    caught.push(['SIGHUP', () => actions.reload()]);
  }
  for (const [signal, handler] of caught) process.on(signal, handler);
  return () => {
    for (const [signal, handler] of caught) process.off(signal, handler);
  };
}
