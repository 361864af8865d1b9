// The options of a call are a table: for each its name, its allowed values and the default. Reading it checks everything at the
// call, nested tables included. Pure.
import { ListenFdsError } from '../system/errors.js';
import { longestTimeout, parseSpan, spanText } from './duration.js';

/** One option. Its documentation is that of the property it is read into. */
export interface Option<T = unknown> {
  /** Type, unit and range, as errors and docs/options.md say it. */
  readonly allowed: string;
  /** The checked value, or undefined if it is not allowed. */
  read(value: unknown, name: string): T | undefined;
  /** The value if nothing is given. Absent if the call, the environment or the server decides. */
  readonly default?: T;
  /** The options inside it. */
  readonly table?: Table;
}

/** The options of a call, by name. */
export type Table = Readonly<Record<string, Option>>;

/** A table that has all options of an interface and no other. */
export type TableOf<T> = { readonly [name in keyof Required<T>]: Option };

type Read<T extends Option> = Exclude<ReturnType<T['read']>, undefined>;

/** The result of reading a table. */
export type Values<T extends Table> = {
  -readonly [name in keyof T as T[name] extends { default: unknown } ? name : never]: Read<T[name]>;
} & {
  -readonly [name in keyof T as T[name] extends { default: unknown } ? never : name]?: Read<T[name]>;
};

/** A value as it was written, shortened if it is long. */
function show(value: unknown): string {
  const text =
    typeof value === 'string'
      ? JSON.stringify(value)
      : typeof value === 'function'
        ? 'a function'
        : process.getBuiltinModule('node:util').inspect(value, { depth: 1, breakLength: Infinity, maxArrayLength: 5 });
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}

export function badOption(found: string): ListenFdsError {
  return new ListenFdsError('LISTENFDS_BAD_OPTION', found);
}

/** Option, value, and the allowed values. */
export function badValue(name: string, value: unknown, allowed: string): ListenFdsError {
  return badOption(`${name} is ${show(value)}, but must be ${allowed}`);
}

/** How many letters have to be changed, swapped with the next, put in or left out to make one word of another. */
function distance(from: string, to: string): number {
  const rows = [Array.from({ length: to.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= from.length; i++) {
    const above = rows[i - 1]!;
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const changed = above[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      row.push(Math.min(changed, above[j]! + 1, row[j - 1]! + 1, isSwap ? rows[i - 2]![j - 2]! + 1 : Infinity));
    }
    rows.push(row);
  }
  return rows[from.length]![to.length]!;
}

/** The known name that a misspelt one most likely stands for, or null. */
export function nearest(name: string, known: readonly string[]): string | null {
  const letters = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  const wanted = letters(name);
  const ranked = known.map((one) => ({ one, far: distance(wanted, letters(one)) }));
  const [best] = ranked.toSorted((a, b) => a.far - b.far);
  return best && best.far <= Math.max(1, wanted.length / 3) ? best.one : null;
}

/** `drain`, `drain.timeout`, … */
function namesIn(table: Table, prefix = ''): string[] {
  return Object.entries(table).flatMap(([name, option]) => [
    prefix + name,
    ...(option.table ? namesIn(option.table, `${prefix}${name}.`) : []),
  ]);
}

/** @throws ListenFdsError LISTENFDS_BAD_OPTION for a name that no option has, with the one that may be meant */
export function refuseUnknown(given: object, table: Table, prefix = ''): void {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || Object.hasOwn(table, name)) continue;
    const known = namesIn(table, prefix);
    const meant = nearest(prefix + name, known);
    const help = meant === null ? `the options are ${known.join(', ')}` : `did you mean ${meant}?`;
    throw badOption(`There is no option ${prefix}${name}: ${help}`);
  }
}

/**
 * Reads the options of a call. An option that is undefined counts as absent.
 *
 * @param prefix of the names in errors, with its dot
 * @throws ListenFdsError LISTENFDS_BAD_OPTION, naming the option
 */
export function readOptions<T extends Table>(table: T, given: unknown, prefix = ''): Values<T> {
  const name = prefix === '' ? 'options' : prefix.slice(0, -1);
  if (given === null || (typeof given !== 'object' && given !== undefined) || Array.isArray(given)) {
    throw badValue(name, given, 'an object');
  }
  const values: Record<string, unknown> = {};
  if (given !== undefined) refuseUnknown(given, table, prefix);
  for (const name of Object.keys(table)) {
    const option = table[name]!;
    const value = (given as Record<string, unknown> | undefined)?.[name];
    if (value !== undefined) values[name] = readOption(option, value, prefix + name);
    else if (option.default !== undefined) values[name] = option.default;
  }
  return values as Values<T>;
}

/** @throws ListenFdsError LISTENFDS_BAD_OPTION */
export function readOption<T>(option: Option<T>, value: unknown, name: string): T {
  const read = option.read(value, name);
  if (read === undefined) throw badValue(name, value, option.allowed);
  return read;
}

/** An option of which a condition says everything. */
export function given<T>(allowed: string, holds: (value: unknown) => boolean): Option<T> {
  return { allowed, read: (value) => (holds(value) ? (value as T) : undefined) };
}

export const boolean = given<boolean>('true or false', (value) => typeof value === 'boolean');
export const callback = given<(...args: never[]) => unknown>('a function', (value) => typeof value === 'function');
export const environment = given<NodeJS.ProcessEnv>(
  'an object of environment variables',
  (value) => typeof value === 'object' && value !== null,
);
/** For a value that is checked elsewhere, or by nobody: it is passed on. */
export const anything = given<unknown>('any value', () => true);

export function oneOf<const T extends string>(...words: readonly T[]): Option<T> {
  const quoted = words.map((word) => `'${word}'`);
  return given(`${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`, (value) => words.includes(value as T));
}

/** Text that matches a pattern. */
export function text(allowed: string, pattern: RegExp): Option<string> {
  return given(allowed, (value) => typeof value === 'string' && pattern.test(value));
}

/** A whole number; without `most` any that is safe. */
export function whole(least: number, most = Number.MAX_SAFE_INTEGER, unit = ''): Option<number> {
  const kind = `a whole number${unit && ` of ${unit}`}`;
  const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `from ${least} to ${most}`;
  return given(
    `${kind}, ${range}`,
    (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most,
  );
}

export const processId = whole(1, 2 ** 31 - 1);

/** A duration, read as milliseconds: a number of them, or a time span with a unit. */
export function span(range: { zero?: boolean; endless?: boolean } = {}): Option<number> {
  const { zero = false, endless = false } = range;
  return {
    allowed: `milliseconds or ${spanText}, ${zero ? '0 or more' : 'above 0'} and at most 24 days${endless ? ', or Infinity' : ''}`,
    read(value) {
      const found = typeof value === 'string' ? parseSpan(value) : value;
      if (endless && found === Infinity) return found;
      if (typeof found !== 'number' || !(found >= 0 && found <= longestTimeout) || (found === 0 && !zero))
        return undefined;
      return found;
    },
  };
}

/** A table inside a table. */
export function nested<T extends Table>(table: T): Option<Values<T>> & { readonly table: T } {
  return { allowed: 'an object', table, read: (value, name) => readOptions(table, value, `${name}.`) };
}
