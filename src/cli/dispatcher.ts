// --accept: one command for each connection, as Accept=yes of systemd.socket(5).
import type { Program } from '../programs/spawn.js';
import { describe } from '../receive/descriptor.js';
import { binding } from '../system/addon.js';
import { Watcher, readable } from '../system/watcher.js';
import { formatAddress } from '../text/address.js';
import { type ManagerOptions, describeExit } from './manager.js';
import type { OpenSocket } from './open.js';

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
  #stopping = false;
  #over = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
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
      binding().closeFd(fd);
    }
    this.#want();
  }

  #start(fd: number): void {
    const { command, env, start, say } = this.#options;
    binding().setNonblock(fd, false);
    const { peer } = describe(fd);
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
    const from = peer === null ? '' : ` from ${formatAddress(peer)}`;
    say(`connection${from}: started pid ${program.pid}`);
    void program.exited.then((exit) => {
      this.#programs.delete(program);
      say(`pid ${program.pid} ${describeExit(exit)}`);
      if (this.#stopping && this.#programs.size === 0) this.#finish();
      else this.#want();
    });
  }

  stop(signal: NodeJS.Signals, sentAlready: boolean): void {
    this.#stopping = true;
    if (!sentAlready) this.pass(signal);
    this.#want();
    if (this.#programs.size === 0) this.#finish();
    else setTimeout(() => this.pass('SIGKILL'), this.#options.stopTimeout);
  }

  hangup(): void {
    this.pass('SIGHUP');
  }

  pass(signal: NodeJS.Signals): void {
    for (const program of this.#programs) program.kill(signal);
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    for (const socket of this.#options.sockets) socket.remove();
    for (const watcher of this.#watchers) watcher.close();
    this.#options.finished(null);
  }
}
