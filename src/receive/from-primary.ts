// What a cluster worker knows of the descriptors that its primary was passed: numbers that mean something there, for
// server.listen({ fd }), and the sockets behind them.
import { ListenFdsError } from '../system/errors.js';
import { isClusterWorker } from '../system/process-role.js';
import { type Description, summary } from './descriptor.js';
import type { InheritedFd } from './inherited.js';
import type { TellingWorkers } from './tell-workers.js';

export interface PrimaryFd extends InheritedFd {
  readonly isPrimarys: true;
  putBack(): void;
}

/** Whether its number means something in the primary only. */
export function isPrimaryFd(inherited: InheritedFd): inherited is PrimaryFd {
  return 'isPrimarys' in inherited;
}

function fromPrimary(name: string, description: Description): PrimaryFd {
  const { fd, kind, family, type, listening, connected, address, peer, backlog } = description;
  let taken = false;
  return {
    fd,
    name,
    origin: 'manager',
    kind,
    family,
    type,
    listening,
    connected,
    address,
    peer,
    backlog,
    description,
    get taken() {
      return taken;
    },
    take() {
      if (taken) {
        const found = `${summary({ name, description })} was already taken in this worker`;
        throw new ListenFdsError('LISTENFDS_TAKEN', found, { fd });
      }
      taken = true;
      return fd;
    },
    isPrimarys: true,
    putBack() {
      taken = false;
    },
  };
}

// The process's, not the module's, for two copies of the package.
const key = Symbol.for('listenfds.primary');

/** The descriptors of the primary; empty if this process is not a worker of one that has any. */
export function passedToPrimary(): readonly InheritedFd[] {
  const holder = globalThis as { [key]?: readonly InheritedFd[] };
  holder[key] ??= read(process.env['LISTENFDS_PRIMARY'] ?? '');
  return holder[key];
}

function read(value: string): readonly InheritedFd[] {
  if (!value.startsWith(`{"pid":${process.ppid},`) || !isClusterWorker()) return [];
  const { passed } = JSON.parse(value) as TellingWorkers;
  return passed.map(({ name, description }) => fromPrimary(name, description));
}
