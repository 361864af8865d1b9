/**
 * State, status and signs of life for systemd and other managers. serve() sends these messages by itself.
 *
 * ```ts
 * import { notify, notifyBarrier, watchdogEnabled, startWatchdog, booted } from 'listenfds';
 * ```
 *
 * @module notify
 */
export {
  notify,
  notifyBarrier,
  watchdogEnabled,
  startWatchdog,
  booted,
  type NotifyState,
  type NotifyOptions,
  type NotifyBarrierOptions,
  type WatchdogOptions,
  type StartWatchdogOptions,
} from '../../src/index.js';
