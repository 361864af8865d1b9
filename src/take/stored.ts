// The room dist/stored.js: a listener that we bound ourselves and the manager keeps while we are gone. Loaded
// for listen(app, { store }).
import type { Server } from 'node:net';
import { removeStoredFds, storeFds } from '../manager/fd-store.js';
import { type Suitable, type Wish, choose, isExactly } from '../receive/choose.js';
import { isNodeStream, summary } from '../receive/descriptor.js';
import { type InheritedFd, setOrigin } from '../receive/inherited.js';
import { fs } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { descriptorOf } from '../system/node-server.js';
import { comparable, inheritedDescriptors, refuseInactive } from './take.js';
import type { Wanted } from './target.js';

const suitable: Suitable = {
  what: 'a listening stream socket',
  is: (found) => found.listening && isNodeStream(found),
};

const isListener = ({ description }: InheritedFd): boolean => suitable.is(description);

function refuseOther(name: string, one: InheritedFd): never {
  throw new ListenFdsError(
    'LISTENFDS_WRONG_KIND',
    `The descriptor stored as '${name}' is not ${suitable.what}: ${summary(one)}`,
    { fd: one.fd },
  );
}

function pick(meant: readonly InheritedFd[], passed: readonly InheritedFd[], wish: Wish): InheritedFd | null {
  if (meant.length === 0) {
    if (wish.required) choose(passed, wish); // throws, and says why none will do
    return null;
  }
  const free = meant.find((one) => !one.taken);
  if (!free) throw new ListenFdsError('LISTENFDS_TAKEN', `${meant.map(summary).join(', ')}: every one is taken`);
  free.take();
  return free;
}

/**
 * Takes the stored listener of that name, or one of a socket unit that is bound to just that address; null if the
 * caller is to bind. A stored one that is bound elsewhere is given up: it would take connections that nobody accepts.
 */
export async function takeStored(wanted: Wanted): Promise<InheritedFd | null> {
  const name = wanted.store!;
  const required = wanted.activation === 'required';
  const passed = inheritedDescriptors(required, wanted.inetd);
  if (required && passed.length === 0) refuseInactive();
  const addresses = await comparable(wanted.address);

  // From here to take() nothing waits: two calls at once never choose the same one.
  const named = passed.filter((one) => one.name === name);
  for (const one of named) {
    if (!isListener(one)) refuseOther(name, one);
    if (one.origin === 'manager') setOrigin(one, 'store');
  }
  const fits = ({ description }: InheritedFd): boolean => addresses.length === 0 || isExactly(addresses, description);
  const stale = named.filter((one) => !fits(one) && !one.taken);
  const meant = named.length > 0 ? named.filter(fits) : passed.filter((one) => isListener(one) && fits(one));
  const inherited = pick(meant, passed, { name, addresses, suitable, required, asked: '', accepted: false });
  for (const one of stale) fs.closeSync(one.take());
  if (stale.length > 0) {
    // Removes all of that name, so the one that is meant is stored again.
    await removeStoredFds(name).catch(({ message }: Error) => {
      warn(`A listener that was stored as '${name}' for another address could not be removed: ${message}`);
    });
    if (inherited) await store(name, inherited.fd);
  }
  return inherited;
}

/** What to bind if the manager is going to keep the socket: its path must not go when the server closes. */
export function lasting(wanted: Wanted): Wanted {
  return process.env['NOTIFY_SOCKET'] ? { ...wanted, removeOnStop: false } : wanted;
}

function warn(found: string): void {
  const { message, code } = new ListenFdsError('LISTENFDS_NOT_STORED', found);
  process.emitWarning(message, { type: 'ListenFdsWarning', code });
}

/** A failure is a warning: the server serves all the same. */
async function store(name: string, fd: number): Promise<void> {
  try {
    // Nothing hangs up on a listener; the manager need not watch it.
    await storeFds(name, [fd], { poll: false });
  } catch (error) {
    warn(`The listener '${name}' was not stored: ${(error as Error).message}`);
  }
}

/** Puts the socket that a server has bound into the store. */
export async function keep(server: Server, { store: name }: Wanted): Promise<void> {
  const fd = descriptorOf(server);
  if (fd !== null) await store(name!, fd);
  else warn(`The listener '${name}' was not stored: this process does not hold its descriptor (a cluster worker?)`);
}
