import type { CommandLine } from './command-line.js';
export function inspect(_: CommandLine): number {
  return 0;
}
