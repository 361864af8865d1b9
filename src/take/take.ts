// Taking the inherited descriptor that is meant: the same choice, warning and errors for every verb.
import { type Choice, type Suitable, choose, reportMismatch } from '../receive/choose.js';
import { type Description, isNodeStream, isUdp, isUnix, summary, wordsFor } from '../receive/descriptor.js';
import { passedToPrimary } from '../receive/from-primary.js';
import { type InheritedFd, adoptNumber, meantForPid, registry } from '../receive/inherited.js';
import { adoptStdin } from '../receive/stdin.js';
import { net } from '../system/builtins.js';
import { ListenFdsError } from '../system/errors.js';
import { isClusterWorker, isWorkerThread } from '../system/process-role.js';
import { type Place, formatAddress } from '../text/address.js';
import { passedElsewhere, warnOfPassedElsewhere } from '../receive/not-for-us.js';
import { listenFds } from './listen-fds.js';
import type { Wanted } from './target.js';

/** Standard input that is taken without being asked for: a socket that others send to. */
function isService(found: Description): boolean {
  const receives = isUdp(found) || isUnix(found, 'dgram') || found.family === 'netlink';
  return found.listening || (!found.connected && found.address !== null && receives);
}

export function inheritedDescriptors(required: boolean, inetd: boolean): readonly InheritedFd[] {
  // A worker may bind as it likes; only the manager's descriptors are not for it.
  if (!required && process.env['LISTEN_FDS'] === undefined && isWorkerThread()) return [];
  const passed = listenFds();
  if (passed.length > 0) return passed;
  const stdin = adoptStdin((found) => isService(found) || (inetd && found.connected));
  return stdin ? [stdin] : [];
}

/** The request, as a successor will make it again. */
export function askedAs({ address }: { readonly address: Place | null }): string {
  return address === null ? '' : formatAddress(address);
}

/** Host names are resolved, so that they can be compared with the address of a socket. */
export async function comparable(address: Place | null): Promise<Place[]> {
  if (address === null) return [];
  if (address.kind !== 'inet' || address.host === null || address.host === 'localhost') return [address];
  if (net.isIP(address.host)) return [address];
  try {
    const found = await process.getBuiltinModule('node:dns/promises').lookup(address.host, { all: true });
    return found.map((one) => ({ ...address, host: one.address }));
  } catch {
    return [address]; // it matches nothing; if it comes to binding, that reports the failed lookup
  }
}

/**
 * Descriptors are the primary's, in a cluster: a worker listens on them through it, by the numbers they have there.
 *
 * @throws ListenFdsError LISTENFDS_CLUSTER_PRIMARY
 */
function primaryDescriptors(): readonly InheritedFd[] {
  if (process.env['LISTENFDS_PRIMARY'] !== undefined && isClusterWorker()) return passedToPrimary();
  if (meantForPid() === process.ppid && isClusterWorker()) {
    const found = `Descriptors were passed to the cluster's primary (LISTEN_PID=${process.ppid}), which still has to consume them`;
    throw new ListenFdsError('LISTENFDS_CLUSTER_PRIMARY', found);
  }
  return [];
}

export function refuseInactive(): never {
  const why =
    passedElsewhere() ?? 'LISTEN_FDS and LISTEN_PID are not set, and standard input is not a listening socket';
  throw new ListenFdsError('LISTENFDS_NOT_ACTIVATED', `No descriptor was passed to this process: ${why}`);
}

/**
 * Takes the inherited descriptor that is meant, or returns null if one of our own is to be opened.
 *
 * @param throughPrimary whether node:cluster can open such a socket in the primary for its workers
 * @throws ListenFdsError as choose() does, LISTENFDS_NOT_ACTIVATED, LISTENFDS_ADDRESS_MISMATCH
 */
export async function takeInherited(
  wanted: Wanted<Place>,
  suitable: Suitable,
  options: { throughPrimary?: boolean } = {},
): Promise<InheritedFd | null> {
  return (await takeChosen(wanted, suitable, options))?.inherited ?? null;
}

/** The same for a verb that can serve several at once: takes all that `inherited: 'all'` means, and ReusePort= twins. */
export function takeSeveral(wanted: Wanted<Place>, suitable: Suitable): Promise<Choice | null> {
  return takeChosen(wanted, suitable, { throughPrimary: true, several: true });
}

async function takeChosen(
  wanted: Wanted<Place>,
  suitable: Suitable,
  { throughPrimary = false, several = false }: { throughPrimary?: boolean; several?: boolean },
): Promise<Choice | null> {
  if (wanted.activation === 'never') return null;
  const required = wanted.activation === 'required';
  let passed = inheritedDescriptors(required, wanted.inetd);
  if (passed.length === 0 && throughPrimary) passed = primaryDescriptors();
  if (passed.length === 0) {
    if (required) refuseInactive();
    warnOfPassedElsewhere();
    return null;
  }
  const addresses = await comparable(wanted.address);
  // From here to take() nothing waits: two calls at once never choose the same one.
  const choice = choose(passed, {
    suitable,
    name: wanted.name,
    addresses,
    required,
    all: wanted.all,
    asked: askedAs(wanted),
    accepted: wanted.inetd || process.env['REMOTE_ADDR'] !== undefined,
  });
  if (choice === null) return null;
  const { inherited } = choice;
  if (choice.mismatch) {
    reportMismatch(
      wanted.mismatch,
      inherited,
      `The inherited fd ${inherited.fd} (FileDescriptorName '${inherited.name}', ${wordsFor(inherited.description)}) is bound to ` +
        `${formatAddress(inherited.address)}, not to ${formatAddress(wanted.address)} as asked for`,
    );
  }
  inherited.take();
  const others = several ? choice.others.filter(({ description }) => isNodeStream(description)) : [];
  for (const one of others) one.take();
  return { ...choice, others };
}

/** Whether nothing is left for anybody to take. */
export function isAllTaken(): boolean {
  const { result } = registry();
  return result === undefined ? !process.env['LISTEN_FDS'] : result.every(({ taken, connected }) => taken || connected);
}

/** The descriptor of that number, for a program that is told by `--fd N`. @throws ListenFdsError LISTENFDS_WRONG_KIND, LISTENFDS_TAKEN, LISTENFDS_NOT_OPEN */
export function takeNumbered(fd: number, suitable: Suitable): InheritedFd {
  const inherited = adoptNumber(fd);
  if (!suitable.is(inherited.description)) {
    throw new ListenFdsError('LISTENFDS_WRONG_KIND', `${summary(inherited)} is not ${suitable.what}`, { fd });
  }
  inherited.take();
  return inherited;
}
