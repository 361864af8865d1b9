// What a test needs and a machine may lack.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/**
 * For `{ skip: without('ss') }`: the reason to skip where a tool is missing. In CI nothing is skipped: there the test runs
 * and fails.
 */
export function without(...tools: string[]): string | false {
  return unless(
    tools.every((tool) => spawnSync('sh', ['-c', 'command -v "$1"', 'sh', tool]).status === 0),
    `needs ${tools.join(' and ')}`,
  );
}

/** The same for any other condition. */
export function unless(met: boolean, reason: string): string | false {
  return met || process.env['CI'] ? false : reason;
}

/** What a version manager puts before it in PATH is a script that takes ten times as long, at each start of hundreds. */
export const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
