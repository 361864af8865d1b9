// What a successor does with the sockets of its predecessor that no listen() has wanted: the program's configuration has
// changed. Left open, they would take connections that nobody accepts.
import { isOpenOn } from '../receive/descriptor.js';
import { keptBy } from '../receive/origin.js';
import { inodeKey } from '../receive/told-origins.js';
import { fs } from '../system/builtins.js';
import { listenFds } from '../take/listen-fds.js';

/** @returns the sockets that stay open, by inode */
export function closeUnwanted(): string[] {
  const kept: string[] = [];
  for (const one of listenFds()) {
    if (!isOpenOn(one.fd, one.description)) continue;
    // A connection that was handed over waits for whoever asks for it by name.
    if (keptBy(one.origin) === null && !one.taken && !one.connected) fs.closeSync(one.take());
    else kept.push(inodeKey(one.description.inode));
  }
  return kept;
}
