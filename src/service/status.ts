// The counts of a service, for `systemctl status` and for node:diagnostics_channel: at most once a second.
import type { ConnectionStats, Gatekeeper } from '../admit/gate.js';
import { visible } from '../text/visible.js';

/** What is published on the diagnostics channel `listenfds:stats`. */
export interface StatsMessage {
  /** One entry per listener, in the order they were given to serve(). */
  readonly listeners: readonly ConnectionStats[];
  /** All of them together. */
  readonly total: ConnectionStats;
}

const leastInterval = 1000;

const statsOf = ({ accepted, active, refused, refusedBy }: ConnectionStats): ConnectionStats => ({
  accepted,
  active,
  refused,
  refusedBy: { ...refusedBy },
});

export function total(keepers: readonly ConnectionStats[]): ConnectionStats {
  const sum = (pick: (stats: ConnectionStats) => number): number => keepers.reduce((all, one) => all + pick(one), 0);
  const refusedBy: Record<string, number> = {};
  for (const one of keepers) {
    for (const [name, count] of Object.entries(one.refusedBy)) refusedBy[name] = (refusedBy[name] ?? 0) + count;
  }
  return {
    accepted: sum((one) => one.accepted),
    active: sum((one) => one.active),
    refused: sum((one) => one.refused),
    refusedBy,
  };
}

export function statusText(stats: ConnectionStats): string {
  return `${stats.active} active, ${stats.accepted} accepted, ${stats.refused} refused`;
}

/** Whoever is refused does not fill the log: between two lines about it lie so many ms at least. */
const leastLogInterval = 10_000;

/**
 * Says the first refusal at once, and those that follow together.
 *
 * @returns stops saying it
 */
export function logRefusals(keepers: readonly Gatekeeper[], log: (line: string) => void): () => void {
  let timer: NodeJS.Timeout | null = null;
  let count = 0;
  let last = '';
  const say = (): void => {
    timer = null;
    if (count === 0) return;
    const by = Object.entries(total(keepers).refusedBy).map(([name, times]) => `${name} ${times}`);
    log(
      `refused ${count} connection${count === 1 ? '' : 's'}, the last by ${visible(last)} (so far: ${by.join(', ')})`,
    );
    count = 0;
    timer = setTimeout(say, leastLogInterval).unref();
  };
  for (const keeper of keepers) {
    keeper.onRefused = (reason) => {
      count += 1;
      last = reason;
      if (timer === null) say();
    };
  }
  return () => {
    for (const keeper of keepers) keeper.onRefused = null;
    if (timer) clearTimeout(timer);
    timer = null;
    say();
    if (timer) clearTimeout(timer);
  };
}

/** @returns stops reporting */
export function reportStatus(
  keepers: readonly Gatekeeper[],
  tell: (status: string, stats: ConnectionStats) => void,
): () => void {
  const channel = process.getBuiltinModule('node:diagnostics_channel').channel('listenfds:stats');
  let timer: NodeJS.Timeout | null = null;
  const report = (): void => {
    timer = null;
    const all = total(keepers);
    tell(statusText(all), all);
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
