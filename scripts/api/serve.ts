/**
 * serve() listens, reports to the service manager, drains, reloads and upgrades until the process exits.
 *
 * ```ts
 * import { serve, drain, upgradeState } from 'listenfds';
 * ```
 *
 * @module serve
 */
export {
  serve,
  drain,
  upgradeState,
  type Service,
  type ServeOptions,
  type ServedApp,
  type StopContext,
  type StopReason,
  type UpgradeTrigger,
  type UpgradeOptions,
  type UpgradeResult,
  type DrainOptions,
  type DrainResult,
  type DrainingEvent,
  type ConnectionStats,
  type RefusedMessage,
  type StatsMessage,
} from '../../src/index.js';
