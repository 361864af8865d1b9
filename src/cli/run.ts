import type { CommandLine } from './command-line.js';
export function run(_: CommandLine): number {
  return 0;
}
