// Who has which of the inherited sockets, in a program that asks for addresses and knows nothing of descriptors.
import { isTwin, reportMismatch } from '../receive/choose.js';
import type { Description } from '../receive/descriptor.js';
import type { InheritedFd } from '../receive/inherited.js';
import { type Loan, lend } from '../receive/lent.js';
import { binding } from '../system/addon.js';
import { type Address, formatAddress } from '../text/address.js';
import { pick } from './pick.js';

/** What is remembered about one who asked: it gets the same again. */
const keyOf = (wanted: Address): string => (wanted.kind === 'inet' ? String(wanted.port) : formatAddress(wanted));

export class Lender {
  readonly passed: readonly InheritedFd[];
  readonly #mismatch: string;
  readonly #lentToWorkers = new Set<InheritedFd>();
  readonly #borrowers = new Map<InheritedFd, string>();

  /** The descriptors are those that the primary was passed, and so are the numbers. */
  readonly isWorker: boolean;

  constructor(passed: readonly InheritedFd[], mismatch = 'warn', isWorker = false) {
    this.passed = passed;
    this.isWorker = isWorker;
    this.#mismatch = mismatch;
  }

  /** @throws ListenFdsError LISTENFDS_ADDRESS_MISMATCH, if a mismatch is an error */
  borrow(wanted: Address, suits: (found: Description) => boolean): Loan | null {
    const key = keyOf(wanted);
    // Who has looked whether a port is free, and was told the socket's own, may ask for that next.
    const isNext = ({ address }: InheritedFd): boolean =>
      wanted.kind === 'inet' && typeof address === 'object' && address?.port === wanted.port;
    const free = this.passed.filter(
      (one) => !one.taken && suits(one.description) && ((this.#borrowers.get(one) ?? key) === key || isNext(one)),
    );
    const before = free.find((one) => this.#borrowers.get(one) === key);
    // The same port again, but perhaps for this machine alone now.
    if (before && pick([before], wanted)) return this.#lend(before);
    const found = pick(free, wanted);
    if (!found) return null;
    const { inherited } = found;
    if (found.mismatch) {
      reportMismatch(
        this.#mismatch,
        inherited,
        `The program listens on ${formatAddress(wanted)} and gets the inherited fd ${inherited.fd} ` +
          `(FileDescriptorName '${inherited.name}'), which is bound to ${formatAddress(inherited.address)}`,
      );
    }
    if (!this.#borrowers.has(inherited)) this.#borrowers.set(inherited, key);
    return this.#lend(inherited);
  }

  /** The ReusePort= twins of a lent one: each must be accepted from. */
  borrowTwins({ inherited }: Loan): Loan[] {
    const twins = this.passed.filter((one) => !one.taken && isTwin(one, inherited));
    const key = this.#borrowers.get(inherited);
    if (key !== undefined) for (const twin of twins) this.#borrowers.set(twin, key);
    return twins.map((twin) => this.#lend(twin));
  }

  /** For who asks by number: cluster workers, whose numbers are the primary's. */
  borrowFd(fd: number): Loan | null {
    const inherited = this.passed.find((one) => one.fd === fd && !one.taken);
    return inherited ? this.#lend(inherited) : null;
  }

  /** One that workers have stays theirs: who comes later gets it as well. Null for one on which this process itself listens. */
  lendToWorkers(fd: number): InheritedFd | null {
    const inherited = this.passed.find((one) => one.fd === fd);
    if (!inherited || (inherited.taken && !this.#lentToWorkers.has(inherited))) return null;
    if (!inherited.taken) inherited.take();
    this.#lentToWorkers.add(inherited);
    return inherited;
  }

  restoreBacklogs(): void {
    for (const { fd, backlog } of this.passed) if (backlog !== null) binding().listenSocket(fd, backlog);
  }

  #lend(inherited: InheritedFd): Loan {
    const loan = lend(inherited);
    inherited.take();
    return loan;
  }
}
