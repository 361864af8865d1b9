// What ss(8) says about the accept queue of a listener: a second opinion, from outside the program.
import { execFileSync } from 'node:child_process';

export interface AcceptQueue {
  readonly queued: number;
  readonly backlog: number;
}

function queue(...filter: string[]): AcceptQueue {
  const lines = execFileSync('ss', ['-H', '-l', '-n', ...filter], { encoding: 'utf8' })
    .trim()
    .split('\n');
  const columns = lines[0]!.trim().split(/\s+/);
  if (lines.length !== 1 || columns.length < 4) throw new Error(`ss ${filter.join(' ')}: ${lines.join('; ')}`);
  const [queued, backlog] = columns.slice(columns.findIndex((column) => column === 'LISTEN') + 1);
  return { queued: Number(queued), backlog: Number(backlog) };
}

export const tcpQueue = (port: number): AcceptQueue => queue('-t', 'sport', '=', `:${port}`);
export const mptcpQueue = (port: number): AcceptQueue => queue('-M', 'sport', '=', `:${port}`);
/** By path, or by '@' and an abstract name. */
export const unixQueue = (path: string): AcceptQueue => queue('-x', 'src', path);
