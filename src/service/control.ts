// The way a running service can be asked for an upgrade and answer with what came of it: `listenfds upgrade PID`, made for
// ExecReload=. An abstract socket, so that nothing is left behind; both ends look at who the other one is.
import type { Socket } from 'node:net';
import { peerCredentials } from '../admit/peer.js';
import { net } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { isOurs } from './successor.js';
import type { UpgradeResult } from './upgrade.js';

/** What comes back: one line of JSON. */
export type Answer = ({ ok: true } & UpgradeResult) | { ok: false; code: string; message: string };

/** Filled up to the end of sun_path, since Node 20 does so with NULs and other versions do not. */
const nameOf = (pid: number): string => `\0${`listenfds/control/${pid}/`.padEnd(107, '.')}`;

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
    socket.setEncoding('utf8').once('data', (command: unknown) => {
      if (command !== 'upgrade\n') {
        socket.destroy();
        return;
      }
      void obey(service).then((answer) => socket.end(`${JSON.stringify(answer)}\n`));
    });
  });
  server.on('error', (error) => {
    process.emitWarning(`listenfds upgrade will not reach this process: ${error.message}`, 'ListenFdsWarning');
  });
  server.listen({ path: nameOf(process.pid), exclusive: true }).unref();
  return () => void server.close();
}

function connected(pid: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path: nameOf(pid) });
    socket.once('error', () =>
      reject(
        new ListenFdsError(
          'LISTENFDS_UPGRADE_REFUSED',
          `Process ${pid} does not take upgrades: it is gone, or its serve() has no upgrade option`,
        ),
      ),
    );
    socket.once('connect', () => resolve(socket));
  });
}

/**
 * Asks a process for an upgrade and waits for the outcome.
 *
 * @throws ListenFdsError LISTENFDS_UPGRADE_REFUSED where nobody of that pid and of our rights is there to answer
 */
export async function askForUpgrade(pid: number): Promise<Answer> {
  const socket = await connected(pid);
  const peer = peerCredentials(socket);
  // Anybody may bind an abstract name; only the process itself has its pid.
  if (peer.pid !== pid) {
    socket.destroy();
    throw new ListenFdsError('LISTENFDS_UPGRADE_REFUSED', `Process ${peer.pid} answers in the place of ${pid}`);
  }
  let text = '';
  try {
    socket.write('upgrade\n');
    for await (const chunk of socket.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
  } catch {
    // EPIPE or ECONNRESET: it has hung up, as it does on whom it does not obey
  }
  if (!text.endsWith('\n')) {
    throw new ListenFdsError(
      'LISTENFDS_UPGRADE_FAILED',
      `Process ${pid} ended, or refused to answer, before it was done`,
    );
  }
  return JSON.parse(text) as Answer;
}
