#!/usr/bin/env node
// The command `listenfds`: hands over to the subcommand, and puts errors into words.
import { fs } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { beside } from '../system/here.js';
import { visible } from '../text/visible.js';
import { CommandError, type CommandLine, UsageError, parseCommandLine } from './command-line.js';
import { type CommandName, commands } from './commands.js';
import { completion } from './completion.js';
import { explain } from './explain.js';
import { commandHelp, generalHelp } from './help.js';
import { inspect } from './inspect.js';
import { run } from './run.js';
import { styleFor, write } from './terminal.js';
import { unit } from './unit.js';
import { upgrade } from './upgrade.js';

// Exit status, see the table in commands.ts.
const actions: Record<CommandName, (line: CommandLine) => number | Promise<number>> = {
  run,
  inspect,
  upgrade,
  unit,
  explain,
  completion,
};

async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === '--version' || name === '-V') {
    const { version } = JSON.parse(fs.readFileSync(beside('../package.json'), 'utf8')) as {
      version: string;
    };
    write(1, `listenfds ${version}\n`);
    return 0;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    write(
      1,
      args[0] !== undefined && Object.hasOwn(commands, args[0]) ? commandHelp(args[0] as CommandName) : generalHelp(),
    );
    return 0;
  }
  if (name === undefined || !Object.hasOwn(commands, name)) {
    throw new UsageError(
      name === undefined ? 'no command given' : `there is no command ${JSON.stringify(name)}`,
      `one of ${Object.keys(commands).join(', ')}; listenfds --help says more`,
    );
  }
  const command = name as CommandName;
  try {
    const line = parseCommandLine(commands[command], args);
    if (line.flag('help')) {
      write(1, commandHelp(command));
      return 0;
    }
    return await actions[command](line);
  } catch (error) {
    if (error instanceof UsageError && error.hint === null) {
      throw new UsageError(error.message, `listenfds ${name} --help shows the options`);
    }
    throw error;
  }
}

function report(error: unknown): number {
  const { red, dim } = styleFor(2);
  const known = error instanceof UsageError || error instanceof CommandError;
  const { message, code } = error as NodeJS.ErrnoException;
  const expected = known || error instanceof ListenFdsError || typeof code === 'string';
  const lines = ((error as Error).stack ?? String(error)).split('\n');
  write(2, `${red('listenfds:')} ${expected ? visible(message) : lines.map(visible).join('\n')}\n`);
  if (known && error.hint !== null) write(2, `${dim('hint:')} ${visible(error.hint)}\n`);
  return error instanceof UsageError ? 2 : error instanceof CommandError ? error.status : 1;
}

process.exitCode = await main(process.argv.slice(2)).catch(report);
