// Time spans as people write them in unit files, systemd.time(7): "10min", "1h 30min", "500ms". Pure.

const units: Record<string, number> = {
  ms: 1,
  msec: 1,
  s: 1000,
  sec: 1000,
  second: 1000,
  seconds: 1000,
  m: 60_000,
  min: 60_000,
  minute: 60_000,
  minutes: 60_000,
  h: 3_600_000,
  hr: 3_600_000,
  hour: 3_600_000,
  hours: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  days: 86_400_000,
};

/** The longest that setTimeout() takes, in milliseconds: more than 24 days. */
export const longestTimeout = 0x7fffffff;

/** How a time span is written, for errors. */
export const spanText = "a time span with a unit, such as '300ms', '5s' or '10min'";

/**
 * Reads a time span. Every amount has a unit: `'300'` would be seconds in a unit file, and milliseconds to most programs.
 *
 * @returns milliseconds, or null if it is not a time span
 */
export function parseSpan(text: string): number | null {
  let total: number | null = null;
  // One part after the other: a single expression for all of them tries every way to cut a long number up.
  const part = /\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*/y;
  while (part.lastIndex < text.length) {
    const [, amount, unit] = part.exec(text) ?? [];
    if (unit === undefined || !Object.hasOwn(units, unit)) return null;
    total = (total ?? 0) + Number(amount) * units[unit]!;
  }
  return total;
}
