// The way a running service can be asked for an upgrade and answer with the outcome: `listenfds upgrade PID`, made for
// ExecReload=. The socket is where only this user, and root, can reach it; both ends look at who the other one is.
import type { Socket } from 'node:net';
import { peerCredentials } from '../admit/peer.js';
import { privatePath } from '../open/private-place.js';
import { isAnswered } from '../open/unix-path.js';
import { fs, net, path as paths } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { isKnownUser } from '../system/users.js';
import { isOurs } from './successor.js';
import type { UpgradeResult } from './upgrade.js';

/** What comes back at once, so that nobody waits for a process whose event loop stands still. */
const heard = 'heard\n';

/** A process that has said nothing by then does not hear. Milliseconds. */
const hearingTime = 5_000;

/** What comes back in the end: one line of JSON. */
export type Answer = ({ ok: true } & UpgradeResult) | { ok: false; code: string; message: string };

/** So many of those who ended without cleaning up are cleaned up after. */
const mostStale = 32;

async function removeStale(own: string): Promise<void> {
  const folder = paths.dirname(own);
  const names = fs.readdirSync(folder).filter((name) => name.startsWith('control-'));
  for (const name of names.slice(0, mostStale)) {
    const path = paths.join(folder, name);
    try {
      if (path !== own && !(await isAnswered(path))) fs.unlinkSync(path);
    } catch {
      // another did it
    }
  }
}

async function obey(service: { upgrade(): Promise<UpgradeResult> }): Promise<Answer> {
  try {
    return { ok: true, ...(await service.upgrade()) };
  } catch (error) {
    const { code = 'ERROR', message } = error as NodeJS.ErrnoException;
    return { ok: false, code, message };
  }
}

/** @returns stops listening */
export function listenForCommands(service: { upgrade(): Promise<UpgradeResult> }): () => void {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    if (!isOurs(socket)) {
      socket.destroy();
      return;
    }
    // Who starts beside us looks whether we are there, and leaves without a word.
    const leave = (): void => void socket.destroy();
    socket.once('end', leave);
    socket.setEncoding('utf8').once('data', (command: unknown) => {
      if (command !== 'upgrade\n') {
        socket.destroy();
        return;
      }
      socket.off('end', leave);
      socket.write(heard);
      void obey(service).then((answer) => socket.end(`${JSON.stringify(answer)}\n`));
    });
  });
  server.on('error', (error) => {
    process.emitWarning(`listenfds upgrade will not reach this process: ${error.message}`, 'ListenFdsWarning');
  });
  try {
    const path = privatePath(`control-${process.pid}`);
    server.once('listening', () => void removeStale(path)).listen({ path, exclusive: true });
    server.unref();
  } catch (error) {
    server.emit('error', error);
  }
  return () => void server.close();
}

/** Where a process may listen for commands, in its own view of the file system: its network namespace lists the sockets. */
function pathsOf(pid: number): string[] {
  const name = new RegExp(` (/.*/listenfds-[^/ ]*/control-${pid}-[0-9a-f]+)$`, 'gm');
  try {
    return [...fs.readFileSync(`/proc/${pid}/net/unix`, 'utf8').matchAll(name)].map(([, path]) => path!);
  } catch {
    return []; // it is gone
  }
}

function connected(path: string): Promise<Socket | null> {
  return new Promise((resolve) => {
    const socket = net.connect({ path });
    socket.once('error', () => resolve(null));
    socket.once('connect', () => resolve(socket));
  });
}

function refused(why: string): ListenFdsError {
  return new ListenFdsError('LISTENFDS_UPGRADE_REFUSED', why);
}

/** Who answers must be that process, and not have been started by another user: except for root, who may ask them all. */
function check(socket: Socket, pid: number): void {
  const us = process.geteuid!();
  const peer = peerCredentials(socket);
  if (peer.pid !== pid) throw refused(`Process ${peer.pid} answers in the place of ${pid}`);
  const { uid } = fs.statSync(`/proc/${pid}`);
  const isAllowed = isKnownUser(peer.uid, pid) && peer.uid === uid && (us === 0 || peer.uid === us || peer.uid === 0);
  if (!isAllowed) throw refused(`Process ${pid} is user ${peer.uid}'s, who is not trusted with the answer`);
}

/** @throws ListenFdsError LISTENFDS_UPGRADE_FAILED for an answer that no service gives */
function parseAnswer(pid: number, text: string): Answer {
  try {
    const answer = JSON.parse(text) as Record<string, unknown>;
    if (answer['ok'] === true && Number.isInteger(answer['pid']) && typeof answer['durationMs'] === 'number') {
      return answer as Answer;
    }
    if (answer['ok'] === false && typeof answer['message'] === 'string') return answer as Answer;
  } catch {
    // no JSON
  }
  const shown = JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
  throw new ListenFdsError('LISTENFDS_UPGRADE_FAILED', `Process ${pid} answers ${shown}, which is not a known answer`);
}

/** An answer is one line; anything longer is refused. */
const mostBytes = 64 * 1024;

/**
 * Asks a process for an upgrade and waits for the outcome.
 *
 * @throws ListenFdsError LISTENFDS_UPGRADE_REFUSED if nobody of that pid and of our rights is there to answer;
 * LISTENFDS_UPGRADE_FAILED if the answer makes no sense, or the process does not react
 */
export async function askForUpgrade(pid: number): Promise<Answer> {
  let socket: Socket | null = null;
  // Its /tmp may be its own (PrivateTmp=).
  for (const path of pathsOf(pid)) socket ??= (await connected(`/proc/${pid}/root${path}`)) ?? (await connected(path));
  if (socket === null) {
    throw refused(
      `Process ${pid} does not take upgrades from user ${process.geteuid!()}: it is gone or another user's, or its serve() has no upgrade option`,
    );
  }
  let text = '';
  const deaf = (): void => {
    const found = `Process ${pid} does not react: it is stopped, or its event loop stands still`;
    socket.destroy(new ListenFdsError('LISTENFDS_UPGRADE_FAILED', found));
  };
  const late = setTimeout(deaf, hearingTime);
  try {
    check(socket, pid);
    socket.write('upgrade\n');
    for await (const chunk of socket.setEncoding('utf8') as AsyncIterable<string>) {
      clearTimeout(late);
      text += chunk;
      if (text.length > mostBytes) break;
    }
    if (text.startsWith(heard)) text = text.slice(heard.length);
  } catch (error) {
    socket.destroy();
    if (error instanceof ListenFdsError) throw error;
    // EPIPE or ECONNRESET: it has hung up, as it does on whom it does not obey
  } finally {
    clearTimeout(late);
  }
  if (!text.endsWith('\n')) {
    throw new ListenFdsError(
      'LISTENFDS_UPGRADE_FAILED',
      `Process ${pid} ended, or refused to answer, before it was done`,
    );
  }
  return parseAnswer(pid, text);
}
