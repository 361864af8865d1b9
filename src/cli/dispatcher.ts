// --accept: one command for each connection, as Accept=yes of systemd.socket(5).
import type { Program } from '../programs/spawn.js';
import { describe } from '../receive/descriptor.js';
import { binding } from '../system/addon.js';
import { Watcher, readable } from '../system/watcher.js';
import { formatAddress } from '../text/address.js';
import { Family } from './family.js';
import { type ManagerOptions, describeExit } from './manager.js';
import type { OpenSocket } from './open.js';
import { environmentOf } from './proc.js';

export type DispatcherOptions = Pick<
  ManagerOptions,
  'command' | 'sockets' | 'env' | 'start' | 'stopTimeout' | 'say' | 'finished'
>;

/** systemd.socket(5), MaxConnections=. */
const mostConnections = 64;

export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #watchers: Watcher[];
  readonly #programs = new Set<Program>();
  readonly #family: Family;
  #stopping = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#family = new Family(options.stopTimeout);
    this.#watchers = options.sockets.map((socket) => new Watcher(socket.fd, () => this.#accept(socket)));
  }

  begin(): void {
    const { sockets, say } = this.#options;
    say(`accepting on ${sockets.map(({ address }) => address).join(', ')}`);
    this.#want();
  }

  #want(): void {
    const open = !this.#stopping && this.#programs.size < mostConnections;
    for (const watcher of this.#watchers) watcher.want(open ? readable : 0);
  }

  /** One a turn: the watcher calls again as long as there are more. */
  #accept({ fd: listener }: OpenSocket): void {
    const fd = binding().acceptSocket(listener);
    if (fd < 0) return; // it went away, or there is a shortage that passes
    try {
      this.#start(fd);
    } catch (error) {
      this.#options.say((error as Error).message);
    } finally {
      binding().closeElsewhere(fd);
    }
    this.#want();
  }

  #start(fd: number): void {
    const { command, env, start, say } = this.#options;
    binding().setNonblock(fd, false);
    const { peer, family } = describe(fd);
    // systemd drops it, too: nobody knows whose it was, and a program would find no REMOTE_ADDR.
    if (peer === null && family !== 'unix') {
      say('connection: refused, its client was gone before it was accepted');
      return;
    }
    const remote: NodeJS.ProcessEnv = {};
    if (typeof peer === 'object' && peer !== null) {
      remote['REMOTE_ADDR'] = peer.address;
      remote['REMOTE_PORT'] = String(peer.port);
    } else if (peer) remote['REMOTE_ADDR'] = formatAddress(peer);
    const program = start(command, {
      fds: [fd],
      names: ['connection'],
      env: { ...env, ...remote },
      notifySocket: null,
    });
    this.#programs.add(program);
    this.#family.leaving.add(program.pid);
    const from = peer === null ? '' : ` from ${formatAddress(peer)}`;
    say(`connection${from}: started pid ${program.pid}`);
    void program.exited.then((exit) => this.#ended(program, exit));
  }

  #ended(program: Program, exit: NonNullable<Program['exit']>): void {
    this.#programs.delete(program);
    this.#family.leaving.delete(program.pid);
    this.#options.say(`pid ${program.pid} ${describeExit(exit)}`);
    // Its orphans would hold its connection as long as they like.
    this.#family.dismiss((pid) => this.#isOfAnother(pid));
    if (this.#stopping) this.#finishLater();
    else this.#want();
  }

  /** A daemon is not a descendant of its program any more, and still has its environment. */
  #isOfAnother(pid: number): boolean {
    return this.#family.leaving.has(Number(environmentOf(pid)?.['LISTEN_PID']));
  }

  /** A process that became ours when its parent ended. */
  orphanEnded(): void {
    this.#family.look();
  }

  stop(signal: NodeJS.Signals, sentAlready: boolean): void {
    if (this.#stopping) {
      // Asked again, nobody is waited for.
      this.#family.kill();
      return;
    }
    this.#stopping = true;
    const { stopTimeout } = this.#options;
    this.#want();
    if (!sentAlready) this.pass(signal);
    // It may have been sent to us alone. A command that has got it needs no other one before.
    else setTimeout(() => this.pass('SIGTERM'), stopTimeout / 2).unref();
    setTimeout(() => this.#family.kill(), stopTimeout).unref();
    this.#finishLater();
  }

  hangup(): void {
    this.pass('SIGHUP');
  }

  pass(signal: NodeJS.Signals): void {
    for (const program of this.#programs) program.kill(signal);
  }

  #finishLater(): void {
    if (this.#programs.size > 0) return;
    const rest = this.#family.whenGone(() => this.#finish());
    if (rest.length > 0) this.#options.say(`waiting for pid ${rest.join(', ')}`);
  }

  #finish(): void {
    for (const socket of this.#options.sockets) socket.remove();
    for (const watcher of this.#watchers) watcher.close();
    this.#options.finished(null);
  }
}
