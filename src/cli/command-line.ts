// Reading a command line by the table in commands.ts.
import * as util from 'node:util';
import type { CommandTable } from './commands.js';

/** The command line cannot be understood: exit status 2. */
export class UsageError extends Error {
  /** The remedy. */
  readonly hint: string | null;
  constructor(message: string, hint: string | null = null) {
    super(message);
    this.hint = hint;
  }
}

/** It was understood, but cannot be done. */
export class CommandError extends Error {
  readonly hint: string | null;
  readonly status: number;
  constructor(message: string, hint: string | null = null, status = 1) {
    super(message);
    this.hint = hint;
    this.status = status;
  }
}

export interface CommandLine {
  flag(name: string): boolean;
  value(name: string): string | null;
  /** Every use of the options named, in the order of the command line. */
  all(...names: string[]): { readonly option: string; readonly value: string }[];
  /** The words after the options: from the first that is not an option, or behind `--`. */
  readonly operands: readonly string[];
}

/** @throws UsageError */
export function parseCommandLine(command: CommandTable, args: readonly string[]): CommandLine {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string; multiple: true }> = {};
  for (const [name, { value, short }] of Object.entries(command.options)) {
    options[name] = { type: value ? 'string' : 'boolean', multiple: true, ...(short ? { short } : {}) };
  }
  // Everything from the first operand on belongs to the command to start, options included, as in env(1) and nohup(1).
  const loose = util.parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true });
  const end = loose.tokens.find((token) => token.kind !== 'option');
  const own = end ? args.slice(0, end.index) : args;
  const operands = end ? args.slice(end.kind === 'positional' ? end.index : end.index + 1) : [];

  let parsed;
  try {
    parsed = util.parseArgs({ args: [...own], options, strict: true, tokens: true });
  } catch (error) {
    throw new UsageError((error as Error).message.replace(/\. To specify a positional.*$/s, ''));
  }
  const used = parsed.tokens.filter((token) => token.kind === 'option');
  const all: CommandLine['all'] = (...names) =>
    used
      .filter((token) => names.includes(token.name))
      .map((token) => ({ option: token.name, value: token.value ?? '' }));
  return {
    operands,
    all,
    flag: (name) => used.some((token) => token.name === name),
    value(name) {
      const found = all(name);
      if (found.length > 1) throw new UsageError(`--${name} was given ${found.length} times`);
      return found[0]?.value ?? null;
    },
  };
}
