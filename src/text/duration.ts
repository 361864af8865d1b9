// Time spans as people write them in unit files, systemd.time(7): "10min", "1h 30min", "500ms". Pure.
import { ListenFdsError } from '../system/errors.js';

const units: Record<string, number> = {
  ms: 1,
  msec: 1,
  '': 1000,
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

// The longest that setTimeout() takes.
const most = 0x7fffffff;

/**
 * A number is milliseconds; a string is a time span in which a bare number is seconds, as in a unit file.
 *
 * @returns milliseconds, above 0
 * @throws ListenFdsError LISTENFDS_BAD_OPTION
 */
export function parseDuration(option: string, value: unknown): number {
  const bad = (): ListenFdsError =>
    new ListenFdsError(
      'LISTENFDS_BAD_OPTION',
      `${option} is ${typeof value === 'string' ? JSON.stringify(value) : String(value)}, but must be milliseconds or a time span such as "10min", above 0 and at most 24 days`,
    );
  let total = 0;
  if (typeof value === 'number') total = value;
  else if (typeof value === 'string') {
    // One part after the other: a single expression for all of them tries every way to cut a long number up.
    const part = /\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*/y;
    while (part.lastIndex < value.length) {
      const [, amount, unit] = part.exec(value) ?? [];
      if (unit === undefined || !Object.hasOwn(units, unit)) throw bad();
      total += Number(amount) * units[unit]!;
    }
  } else throw bad();
  if (!(total > 0 && total <= most)) throw bad();
  return total;
}
