// The terminal: colours if they are wanted, and writing that leaves the descriptors as they were.
import * as util from 'node:util';
import { fs } from '../system/builtins.js';

type Paint = (text: string) => string;

export interface Style {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly green: Paint;
  readonly yellow: Paint;
  readonly cyan: Paint;
}

/** NO_COLOR (no-color.org) and FORCE_COLOR decide; else colours go to terminals only. */
function wantsColour(fd: number, env: NodeJS.ProcessEnv = process.env): boolean {
  if (env['NO_COLOR']) return false;
  if (env['FORCE_COLOR'] !== undefined) return env['FORCE_COLOR'] !== '0';
  return env['TERM'] !== 'dumb' && process.getBuiltinModule('node:tty').isatty(fd);
}

export function styleFor(fd: number, env: NodeJS.ProcessEnv = process.env): Style {
  const colour = wantsColour(fd, env);
  // Newer Nodes ask the default output themselves unless told not to; ours may be another descriptor.
  const styleText = util.styleText as (format: string, text: string, options: object) => string;
  const paint =
    (format: string): Paint =>
    (text) =>
      colour ? styleText(format, text, { validateStream: false }) : text;
  return {
    bold: paint('bold'),
    dim: paint('gray'),
    red: paint('red'),
    green: paint('green'),
    yellow: paint('yellow'),
    cyan: paint('cyan'),
  };
}

/**
 * Writes all of it, at once. Not through process.stdout: that would make a shared pipe non-blocking for the command
 * which has it as well. A reader that has gone away is not an error.
 */
export function write(fd: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(fd, rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPIPE' || code === 'EIO') return;
      if (code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5); // somebody else made it non-blocking
    }
  }
}

const escape = String.fromCharCode(27);
const colours = new RegExp(`${escape}\\[[0-9;]*m`, 'g');

/** Columns as wide as they need to be; the last one is not padded. */
export function table(rows: readonly (readonly string[])[]): string {
  const width = (text: string): number => text.replace(colours, '').length;
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, width(cell))));
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat(widths[i]! - width(cell)))).join('  ');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}
