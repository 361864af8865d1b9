// Processes of other users, for tests that run as root.
import { readFileSync } from 'node:fs';
import { activate, type Activated } from './activate.ts';
import { unless, without } from './tools.ts';

export interface Ids {
  readonly uid: number;
  readonly gid: number;
  readonly groups?: readonly number[];
}

/** For `{ skip: withoutOtherUsers() }`. */
export function withoutOtherUsers(): string | false {
  return unless(process.getuid?.() === 0, 'needs root, to run processes of other users') || without('setpriv');
}

/** The command to put in front of a program. */
export function as({ uid, gid, groups = [] }: Ids): string[] {
  const supplementary = groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`;
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, supplementary];
}

// Says 'connected' once it is, with what it sends already in the listener's queue; acts on a line of standard input by
// changing its groups; then tells how the connection ended.
const client = `
const [path, sent, groups] = process.argv.slice(1);
const socket = require('node:net').connect({ path });
let received = '';
socket.on('connect', () => {
  socket.write(sent, () => {
    if (groups !== '') process.setgroups(JSON.parse(groups));
    console.log(JSON.stringify({ pid: process.pid, groups: process.getgroups() }));
  });
});
socket.on('data', (data) => (received += data));
socket.on('error', (error) => (received += error.code));
socket.on('close', () => console.log(JSON.stringify({ received })));
`;

export interface Connection {
  readonly program: Activated;
  /** Its pid and groups once it is connected, has sent everything and has changed its groups. */
  connected(): Promise<{ pid: number; groups: number[] }>;
  /** What it received, or the error it got: ECONNRESET says that what it sent was never read. */
  received(): Promise<string>;
}

/** Connects to a path as somebody else, says `sent`, and changes its groups afterwards, for which `ids` must be root's. */
export function connectAs(
  t: Parameters<typeof activate>[0],
  ids: Ids,
  path: string,
  { sent = 'hello', groupsAfter }: { sent?: string; groupsAfter?: readonly number[] } = {},
): Connection {
  const groups = groupsAfter === undefined ? '' : JSON.stringify(groupsAfter);
  const program = activate(t, [process.execPath, '--eval', client, '--', path, sent, groups], {
    through: as(ids),
    cwd: '/',
  });
  return {
    program,
    connected: () => program.json(),
    received: async () => (await program.json<{ received: string }>()).received,
  };
}

/** Whether a process is stopped, proc(5). */
export function isStopped(pid: number): boolean {
  return /^State:\s*T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}
