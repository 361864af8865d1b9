// The counts of a service, for `systemctl status` and for node:diagnostics_channel: at most once a second.
import type { ConnectionStats, Gatekeeper } from '../admit/gate.js';

/** What is published on the diagnostics channel `listenfds:stats`. */
export interface StatsMessage {
  /** One entry per listener, in the order they were given to serve(). */
  readonly listeners: readonly ConnectionStats[];
  /** All of them together. */
  readonly total: ConnectionStats;
}

const leastInterval = 1000;

export const statsOf = ({ accepted, active, refused }: ConnectionStats): ConnectionStats => ({
  accepted,
  active,
  refused,
});

export function total(keepers: readonly ConnectionStats[]): ConnectionStats {
  const sum = (pick: (stats: ConnectionStats) => number): number => keepers.reduce((all, one) => all + pick(one), 0);
  return { accepted: sum((one) => one.accepted), active: sum((one) => one.active), refused: sum((one) => one.refused) };
}

export function statusText(stats: ConnectionStats): string {
  return `${stats.active} active, ${stats.accepted} accepted, ${stats.refused} refused`;
}

/** @returns stops reporting */
export function reportStatus(keepers: readonly Gatekeeper[], tell: (status: string) => void): () => void {
  const channel = process.getBuiltinModule('node:diagnostics_channel').channel('listenfds:stats');
  let timer: NodeJS.Timeout | null = null;
  const report = (): void => {
    timer = null;
    const all = total(keepers);
    tell(statusText(all));
    if (channel.hasSubscribers) {
      channel.publish({ listeners: keepers.map(statsOf), total: all } satisfies StatsMessage);
    }
  };
  for (const keeper of keepers) keeper.onChange = () => (timer ??= setTimeout(report, leastInterval).unref());
  return () => {
    for (const keeper of keepers) keeper.onChange = null;
    if (timer) clearTimeout(timer);
  };
}
