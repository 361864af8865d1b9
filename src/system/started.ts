// How this process was started. A program may change each of these before it is to be started anew, so they are noted when
// the package is imported.
import { fs, path } from './builtins.js';

function workingDirectory(): string {
  try {
    return process.cwd();
  } catch {
    return '/'; // it has been removed
  }
}

export const started = {
  folder: workingDirectory(),
  argv: [...process.argv],
  execArgv: [...process.execArgv],
} as const;

// Node has taken them out of process.env: a program that is not its parent's child any more must not see them.
const ofNode = ['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE', 'NODE_UNIQUE_ID'];

/**
 * The variables that the process was given: without those that a .env file or the program itself has set since, and with
 * those that it has removed. If the kernel does not tell, as after setuid(2), it is process.env as it is now.
 */
export function startEnvironment(): NodeJS.ProcessEnv {
  let given: string;
  try {
    given = fs.readFileSync('/proc/self/environ', 'utf8');
  } catch {
    return { ...process.env };
  }
  const env: NodeJS.ProcessEnv = {};
  for (const variable of given.split('\0')) {
    const end = variable.indexOf('=', 1);
    if (end > 0) env[variable.slice(0, end)] ??= variable.slice(end + 1);
  }
  for (const name of ofNode) delete env[name];
  return env;
}

/**
 * A working directory by the name that a shell had for it (PWD): a symbolic link in it may point to a newer release tomorrow.
 * If PWD is absent, or of another folder, it is the resolved one.
 */
export function asNamed(folder: string, env: NodeJS.ProcessEnv): string {
  const named = env['PWD'];
  try {
    if (named !== undefined && path.isAbsolute(named) && fs.realpathSync(named) === folder) return named;
  } catch {
    // PWD is stale
  }
  return folder;
}
