// Programs that start another one and stay: the manager's descriptors are theirs then, and most close them. Pure.

/** A launcher in front of a program, and the command to use in its place. */
export interface Launcher {
  readonly name: string;
  /** A sentence without its full stop. */
  readonly instead: string;
}

const direct = 'start the program itself: node app.js, or node with the script that it runs';
const withTsx = 'write node --import tsx app.ts';
const withRun = 'write listenfds run --watch app.js -- node app.js';
const withEnv = 'set variables with env(1), env NAME=value node app.js, or in the unit';

const launchers: Readonly<Record<string, string>> = {
  npm: direct,
  npx: direct,
  pnpm: direct,
  pnpx: direct,
  yarn: direct,
  yarnpkg: direct,
  corepack: direct,
  bunx: direct,
  concurrently: direct,
  tsx: withTsx,
  'ts-node-dev': withTsx,
  tsnd: withTsx,
  nodemon: withRun,
  'cross-env': withEnv,
  'cross-env-shell': withEnv,
  'env-cmd': withEnv,
  dotenv: withEnv,
  dotenvx: withEnv,
};

/** By the path of a program or of its script: /usr/bin/npm, …/npm/bin/npm-cli.js, …/tsx/dist/cli.mjs. */
function nameOf(path: string): string {
  const [, folder, file = ''] = /(?:([^/]+)\/(?:dist|bin|lib)\/)?([^/]*)$/.exec(path) ?? [];
  const name = file.replace(/\.[cm]?js$/, '').replace(/-cli$/, '');
  return name === 'cli' && folder !== undefined ? folder : name;
}

/** The launcher that a script is, or null: `process.argv[1]` of its process. */
export function launcherScript(path: string): Launcher | null {
  const name = nameOf(path);
  return Object.hasOwn(launchers, name) ? { name, instead: launchers[name]! } : null;
}

/** Options of Node whose value is a word of its own. */
const takesValue = /^(?:-[rCe]|--(?:import|require|loader|experimental-loader|conditions|eval))$/;

/** Programs that become another one, or stay and hand everything on: the launcher may stand behind them. */
const passers = ['env', 'exec', 'nice', 'nohup', 'setsid', 'stdbuf', 'time', 'timeout', 'tini', 'dumb-init'];
const shells = ['sh', 'bash', 'dash', 'zsh', 'ash'];

/** The words before the command in those: options, variables, a time. */
const isOperand = /^(?:-.*|[A-Za-z_]\w*=.*|\d+(?:\.\d+)?[smhd]?)$/s;

function behind(args: readonly string[]): Launcher | null {
  const start = args.findIndex((word) => !isOperand.test(word));
  return start < 0 ? null : launcherOf(args.slice(start));
}

/** The commands of `sh -c`, as far as blanks tell. */
function inScript(script: string): Launcher | null {
  for (const part of script.split(/[;&|\n]+/)) {
    const found = behind(part.trim().split(/\s+/));
    if (found) return found;
  }
  return null;
}

/** The launcher that a command line begins with, or null; behind `env A=1`, `timeout 5`, `tini --` and in `sh -c '…'`, too. */
export function launcherOf(command: readonly string[]): Launcher | null {
  const [program = '', ...args] = command;
  const name = nameOf(program);
  if (passers.includes(name)) return behind(args);
  const script = shells.includes(name) ? args.findIndex((word) => /^-[a-z]*c$/.test(word)) : -1;
  if (script >= 0) return inScript(args[script + 1] ?? '');
  return nodeLauncherOf(program, args);
}

function nodeLauncherOf(program: string, args: readonly string[]): Launcher | null {
  if (nameOf(program) !== 'node') return launcherScript(program);
  const script = args.findIndex((word, i) => !word.startsWith('-') && !takesValue.test(args[i - 1] ?? ''));
  const options = script < 0 ? args : args.slice(0, script);
  const watch = options.find((word) => /^--watch(?:-path|$)/.test(word));
  if (watch) return { name: `node ${watch}`, instead: withRun };
  if (options.some((word) => /^--run(?:=|$)/.test(word))) return { name: 'node --run', instead: direct };
  return script < 0 ? null : launcherScript(args[script]!);
}
