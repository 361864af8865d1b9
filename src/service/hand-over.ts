// The two ends of an upgrade in a running service: how it takes over from the process that started it, and how it hands
// over to a successor of its own.
import { ListenFdsError } from '../system/errors.js';
import type { Carrier } from './carrier.js';
import { Deadline } from './deadline.js';
import { readOptions } from '../text/options.js';
import { type OwnOptions, upgradeTriggerOptions } from './options.js';
import type { Phase } from './stop.js';
import { failed } from './progress.js';
import { type Succession, joinSuccession } from './successor.js';
import { type UpgradeOptions, type UpgradeResult, upgrade, upgradeOptions } from './upgrade.js';
import { refuseUnfollowed } from './supervisor.js';
import { closeUnwanted } from './unwanted.js';
import { type Voice, fallSilent, oneLine } from './voice.js';

/** Brings idle connections to the successor of this process, whichever of its services was told to upgrade. */
let toSuccessor: Carrier | null = null;
/** The successor is the service now, for all services of this process. */
let handedOver = false;
/** One upgrade at a time, of the process. */
let upgrading = false;

/** A process that hands over says so when the manager has heard of it: it allows itself less. Milliseconds. */
const takeOverTime = 60_000;

export class HandOver {
  readonly #voice: Voice;
  readonly #options: OwnOptions;
  #succession: Succession | null = null;
  #abort = new AbortController();
  #takenOver: Promise<boolean> = Promise.resolve(false);
  /** The manager takes somebody else for the service: the process that has started us. */
  #isCandidate = false;
  /** Settled when no successor is being started that would be left behind. */
  #starting: Promise<unknown> = Promise.resolve();

  constructor(voice: Voice, options: OwnOptions) {
    this.#voice = voice;
    this.#options = options;
  }

  /** The successor is the service now: the manager does not listen to us any more. */
  get done(): boolean {
    return handedOver;
  }

  /** Whether it has yet to take over: if it ends now, the process before goes on, and nobody reads the connections that the manager keeps. */
  get isCandidate(): boolean {
    return this.#isCandidate;
  }

  /** Brings idle connections to the successor; null if that one does not read them. */
  carrier(): Carrier | null {
    return toSuccessor?.isExpected ? toSuccessor.share() : null;
  }

  async join(): Promise<void> {
    this.#succession = await joinSuccession();
    this.#isCandidate = this.#succession !== null;
  }

  /**
   * As a successor: once the manager knows us, it is ours to talk to. To be called with READY=1.
   *
   * @returns whether there was somebody to take over from
   */
  takeOver(): Promise<boolean> {
    this.#takenOver = this.#takeOver();
    return this.#takenOver;
  }

  async #takeOver(): Promise<boolean> {
    if (!this.#succession) return false;
    const { hello, ours, keep } = this.#succession;
    await ours;
    this.#isCandidate = false;
    keep(closeUnwanted());
    const { env } = process;
    if (hello.notifySocket === null) delete env['NOTIFY_SOCKET'];
    else env['NOTIFY_SOCKET'] = hello.notifySocket;
    if (hello.watchdogUsec !== null) {
      env['WATCHDOG_USEC'] = hello.watchdogUsec;
      env['WATCHDOG_PID'] = String(process.pid);
    }
    return true;
  }

  /** Gives up an upgrade that is under way. Resolves when no successor is left behind. */
  abandon(): Promise<unknown> {
    this.#abort.abort();
    return this.#starting;
  }

  async upgrade(options: UpgradeOptions, phase: () => Phase): Promise<UpgradeResult> {
    if (handedOver || upgrading || phase() !== 'serving') {
      const why = upgrading
        ? 'One is under way'
        : phase() === 'starting'
          ? 'The service is starting'
          : 'The service is stopping';
      throw new ListenFdsError('LISTENFDS_UPGRADE_REFUSED', `There is no upgrade now: ${why}`);
    }
    readOptions(upgradeOptions, options); // says what is wrong before anything happens
    const { signal: _signal, prepare, ...configured } = this.#options.upgrade ?? readOptions(upgradeTriggerOptions, {});
    if (!(options.force ?? configured.force)) refuseUnfollowed();
    upgrading = true;
    const { signal } = (this.#abort = new AbortController());
    const voice = this.#voice;
    try {
      // Before that, NOTIFY_SOCKET is the old process's, which is about to leave.
      await new Deadline(takeOverTime)
        .within('The hand-over to this process', this.#takenOver)
        .catch((cause: unknown) => {
          throw failed('The process before this one has not handed over yet', cause);
        });
      voice.tell({ reloading: true, status: 'Upgrading' });
      const running = upgrade(options, { prepare, ...configured }, signal, (carrier) => {
        toSuccessor = carrier;
      });
      this.#starting = running.catch(() => {});
      const result = await running;
      handedOver = true;
      fallSilent();
      return result;
    } catch (error) {
      const status = (voice.failure = `Upgrade failed, going on as before: ${oneLine(error)}`);
      this.#options.log(status);
      if (phase() === 'serving') voice.tell({ ready: true, status });
      throw error;
    } finally {
      upgrading = false;
    }
  }
}
