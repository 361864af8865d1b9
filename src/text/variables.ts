// The environment variables of this package, a table as for the options of a call. Pure.
import { ListenFdsError } from '../system/errors.js';
import { longestTimeout, parseSpan, spanText } from './duration.js';
import { type Option, nearest, oneOf } from './options.js';

const span = (): Option<number> => ({
  allowed: `${spanText}, above 0 and at most 24 days`,
  read(value) {
    const found = parseSpan(value as string);
    return found !== null && found > 0 && found <= longestTimeout ? found : undefined;
  },
});

/** A variable: its default, and how it is read. Hardly any is set, so that this is made when it is. */
interface Variable {
  readonly default: string | number | null;
  option(): Option;
}

/** The variables that people set for a program. An empty one counts as absent. */
export const variables = {
  /** Whether inherited sockets are used: `required` fails if nothing was passed, `never` does not look. */
  LISTENFDS: { default: 'auto', option: () => oneOf('auto', 'required', 'never') },
  /** Whose LISTEN_PID counts: `parent` also that of the process that started this one, `any` whatever it says. */
  LISTENFDS_PID: { default: 'self', option: () => oneOf('self', 'parent', 'any') },
  /** End the service with status 0 when nothing has been going on for so long. */
  LISTENFDS_IDLE_TIMEOUT: { default: null, option: span },
  /** With the preload, and for a cluster primary that speaks for its workers: how long a drain may take. */
  LISTENFDS_DRAIN_TIMEOUT: { default: 30_000, option: span },
  /** With the preload: `first` drains before the program's own handlers of SIGTERM run, too. */
  LISTENFDS_DRAIN: { default: 'auto', option: () => oneOf('auto', 'first') },
  /** With the preload: what happens when the socket is bound elsewhere than the program asks; `error` makes its server emit an error. */
  LISTENFDS_MISMATCH: { default: 'warn', option: () => oneOf('warn', 'error', 'ignore') },
} as const satisfies Record<string, Variable>;

type Variables = typeof variables;
type Value<V extends keyof Variables> =
  Exclude<ReturnType<ReturnType<Variables[V]['option']>['read']>, undefined> | Extract<Variables[V]['default'], null>;

/** Those that processes of this package set for each other. */
const privateVariables = ['LISTENFDS_ORIGINS', 'LISTENFDS_PRIMARY', 'LISTENFDS_UPGRADE'];

/**
 * Reads one variable.
 *
 * @throws ListenFdsError LISTENFDS_BAD_ENVIRONMENT
 */
export function readVariable<V extends keyof Variables>(name: V, env: NodeJS.ProcessEnv): Value<V> {
  const variable: Variable = variables[name];
  const value = env[name];
  if (value === undefined || value === '') return variable.default as Value<V>;
  const option = variable.option();
  const read = option.read(value, name);
  if (read !== undefined) return read as Value<V>;
  throw new ListenFdsError(
    'LISTENFDS_BAD_ENVIRONMENT',
    `${name} is ${JSON.stringify(value)}, but must be ${option.allowed}`,
    { variable: name },
  );
}

/** A misspelt variable has no effect, and nothing else would say so. */
export function warnOfMisspelt(env: NodeJS.ProcessEnv): void {
  const prefix = 'LISTENFDS_';
  const known = Object.keys(variables).filter((name) => name.startsWith(prefix));
  for (const name of Object.keys(env)) {
    if (!name.startsWith(prefix) || known.includes(name) || privateVariables.includes(name)) continue;
    // All of them begin alike: what follows must be like something that follows.
    const rest = (one: string): string => one.slice(prefix.length);
    const meant = nearest(rest(name), known.map(rest));
    if (meant === null) continue;
    process.emitWarning(`The environment has ${name}: did you mean ${prefix}${meant}?`, 'ListenFdsWarning');
  }
}
