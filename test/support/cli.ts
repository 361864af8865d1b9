// The command `listenfds`, run as a person does.
import { join } from 'node:path';
import { activate, root, type Activated, type Activation, type Outcome } from './activate.ts';

interface Test {
  teardown(action: () => unknown): unknown;
}

export const command = join(root, 'dist/cli.js');

/** Starts it; standard input is /dev/null. */
export function startCli(t: Test, args: readonly string[], activation: Activation = {}): Activated {
  return activate(t, [process.execPath, command, ...args], activation);
}

/** Runs it to its end. */
export function cli(t: Test, args: readonly string[], activation: Activation = {}): Promise<Outcome> {
  return startCli(t, args, activation).ended;
}
