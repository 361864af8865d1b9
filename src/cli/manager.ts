// The manager of one command: starts it when somebody connects, keeps the sockets when it ends, and knows its state by
// what it says through NOTIFY_SOCKET. Nothing ticks: without a connection, a signal or a change it sleeps.
import type { Exit, Program, start as startFunction } from '../programs/spawn.js';
import { binding } from '../system/addon.js';
import { Watcher, readable } from '../system/watcher.js';
import type { Launcher } from '../text/launchers.js';
import { parseNotifyMessage } from '../text/notify-message.js';
import { Family, sendSignal } from './family.js';
import type { OpenSocket } from './open.js';
import { groupOf } from './proc.js';
import { Store } from './store.js';
import { Unaccepted } from './unaccepted.js';

export interface ManagerOptions {
  readonly command: readonly string[];
  /** The launcher in front of the program in the command. */
  readonly launcher: Launcher | null;
  readonly sockets: readonly OpenSocket[];
  readonly env: NodeJS.ProcessEnv;
  /** Address of the NOTIFY_SOCKET. */
  readonly notifySocket: string;
  readonly start: typeof startFunction;
  readonly now: boolean;
  readonly once: boolean;
  /** Milliseconds until SIGKILL. */
  readonly stopTimeout: number;
  /** One line for a person. */
  readonly say: (line: string) => void;
  /** Called once, when all is over; null: it was stopped while no command ran. */
  readonly finished: (exit: Exit | null) => void;
}

/** Pause before a command that failed at its start is tried again: the first, and the longest, in ms. */
const firstPause = 200;
const longestPause = 10_000;

/** A command that lives that long, in ms, has started, whether it says READY=1 or not. */
const startTime = 10_000;

/** So long, in ms, a SIGHUP waits for READY=1: before it can be handled it would end the command. */
const hangupPatience = 10_000;

/** systemd.socket(5), TriggerLimitBurst= and TriggerLimitIntervalSec=: more is a loop. */
const mostStarts = 20;
const startsWithin = 2_000;

/** Changes of several files within this time are one, in ms. */
const settleTime = 50;

/** A command to which the terminal has sent the signal as well does something about it within that time. Milliseconds. */
const reactionTime = 1_000;

/** The purpose of a timer. */
type Waiting = 'hangup' | 'retry' | 'killer' | 'settling' | 'reaction';

const seconds = (milliseconds: number): string =>
  milliseconds < 950 ? `${Math.round(milliseconds)} ms` : `${Number((milliseconds / 1000).toFixed(1))} s`;

export function describeExit({ code, signal }: Exit): string {
  return signal === null ? `exited with status ${code}` : `was ended by ${signal}`;
}

/** The counters of serve() change with every request: no news. */
const counters = /^\d+ active, \d+ accepted, \d+ refused$/;

export class Manager {
  readonly #options: ManagerOptions;
  readonly #watchers: Watcher[];
  #program: Program | null = null;
  /** The main process: the program, or the successor it named with MAINPID=. */
  #main = 0;
  #startedAt = 0;
  #ready = false;
  #status = '';
  readonly #family: Family;
  readonly #unaccepted: Unaccepted;
  /** How the last of them ended, when nothing follows: from then on nothing is started. */
  #exit: Exit | null = null;
  /** The signal that ends it all. */
  #stopping: NodeJS.Signals | null = null;
  #interrupted = false;
  #lastEnd: { exit: Exit; at: number } = { exit: { code: 0, signal: null }, at: 0 };
  #restarting = false;
  readonly #timers: Partial<Record<Waiting, NodeJS.Timeout>> = {};
  #pause = 0;
  readonly #starts: number[] = [];
  readonly #store = new Store();

  constructor(options: ManagerOptions) {
    this.#options = options;
    this.#family = new Family(options.stopTimeout);
    this.#unaccepted = new Unaccepted({ ...options, members: () => this.#family.members() });
    this.#watchers = options.sockets.map(({ fd }, i) => new Watcher(fd, () => this.#connected(i)));
  }

  begin(): void {
    const { sockets, now, say } = this.#options;
    const where = sockets
      .map(({ name, address }) => (name === 'unknown' ? address : `${address} (${name})`))
      .join(', ');
    say(`listening on ${where}${now ? '' : ', no process until somebody connects'}`);
    if (now) this.#start('started');
    else this.#wait();
  }

  #wait(): void {
    for (const watcher of this.#watchers) watcher.want(readable);
  }

  #connected(i: number): void {
    for (const watcher of this.#watchers) watcher.want(0);
    const { name, address, listening } = this.#options.sockets[i]!;
    this.#start(`${listening ? 'connection' : 'data'} for ${name === 'unknown' ? address : name}: started`);
  }

  #start(why: string): void {
    const { command, sockets, env, notifySocket, start, say } = this.#options;
    this.#ready = false;
    this.#status = '';
    this.#startedAt = performance.now();
    this.#starts.push(this.#startedAt);
    try {
      // Watching made them non-blocking; a program in C counts on blocking ones, as systemd passes them (NonBlocking=no).
      for (const { fd } of sockets) binding().setNonblock(fd, false);
      this.#program = start(command, {
        fds: [...sockets.map(({ fd }) => fd), ...this.#store.fds],
        names: [...sockets.map(({ name }) => name), ...this.#store.names],
        env,
        notifySocket,
      });
    } catch (error) {
      say((error as Error).message);
      const { code } = error as NodeJS.ErrnoException;
      this.#ended({ code: code === 'ENOENT' ? 127 : 126, signal: null });
      return;
    }
    this.#main = this.#program.pid;
    say(`${why} ${command.join(' ')}, pid ${this.#main}`);
    this.#unaccepted.started();
    const { pid, exited } = this.#program;
    void exited.then((exit) => this.#programEnded(pid, exit));
  }

  #isAlive(pid: number): boolean {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  }

  #programEnded(pid: number, exit: Exit): void {
    if (!this.#family.leaving.delete(pid)) this.#ended(exit);
    else if (this.#main !== 0 && !this.#isAlive(this.#main)) this.#ended(exit);
    else this.#family.look();
  }

  /** A process that became ours when its parent ended, or released it. */
  orphanEnded(pid: number, exit: Exit): void {
    if (pid === this.#main && pid !== this.#program?.pid) {
      this.#ended(exit);
      return;
    }
    this.#family.leaving.delete(pid);
    this.#family.look();
  }

  /** The end is there when everybody is gone that came of the command. */
  #leave(exit: Exit): void {
    if (this.#exit !== null) return;
    this.#exit = exit;
    this.#clear('retry');
    for (const watcher of this.#watchers) watcher.want(0);
    const rest = this.#family.whenGone(() => this.#finish(exit));
    if (rest.length > 0) this.#options.say(`waiting for pid ${rest.join(', ')}`);
  }

  #ended(exit: Exit): void {
    const { say, once, now } = this.#options;
    const lived = performance.now() - this.#startedAt;
    const ready = this.#ready || lived >= startTime;
    this.#lastEnd = { exit, at: performance.now() };
    const what = this.#main === 0 ? 'the command' : `pid ${this.#main}`;
    this.#program = null;
    this.#main = 0;
    this.#unaccepted.ended();
    for (const timer of ['killer', 'hangup', 'reaction'] as const) this.#clear(timer);
    const ended = `${what} ${describeExit(exit)} after ${seconds(lived)}`;
    if (this.#stopping || this.#interrupted || once) {
      say(ended);
      this.#leave(exit);
      return;
    }
    this.#family.dismiss();
    if (this.#restarting) {
      this.#restarting = false;
      this.#pause = 0;
      this.#start('restarted:');
      return;
    }
    const recent = this.#starts.filter((time) => performance.now() - time < startsWithin);
    this.#starts.splice(0, this.#starts.length, ...recent);
    const looping = recent.length >= mostStarts;
    if ((exit.code !== 0 && !ready) || looping) {
      this.#pause = Math.min(this.#pause * 2 || firstPause, longestPause);
      const why = looping ? `, the ${recent.length}th time in ${seconds(startsWithin)}` : ', before it was ready';
      say(`${ended}${why}; connections wait, next try in ${seconds(this.#pause)}`);
      this.#timers.retry = setTimeout(() => this.#resume(), this.#pause);
      return;
    }
    this.#pause = 0;
    say(`${ended}; the sockets stay open`);
    // With status 0 it has left of its own accord: idle, for example.
    if (now && exit.code !== 0) this.#timers.retry = setTimeout(() => this.#resume(), firstPause);
    else {
      // As a service that is inactive: connections that are stored would wait for somebody else's.
      this.#store.clear();
      this.#wait();
    }
  }

  #resume(): void {
    this.#clear('retry');
    if (this.#options.now) this.#start('started again:');
    else this.#wait();
  }

  #clear(which: Waiting): void {
    clearTimeout(this.#timers[which]);
    delete this.#timers[which];
  }

  #signal(signal: NodeJS.Signals): void {
    const isOver = this.#program?.exit && this.#main === this.#program.pid; // a successor has no entry here
    if (this.#main !== 0 && !isOver) sendSignal(this.#main, signal);
  }

  #killLater(milliseconds: number): void {
    this.#clear('killer');
    this.#timers.killer = setTimeout(() => {
      this.#options.say(`pid ${this.#main} does not stop: killed after ${seconds(milliseconds)}`);
      this.#signal('SIGKILL');
    }, milliseconds);
  }

  /** Ends both: `signal` goes to the command. @param typed the terminal may have sent it there already */
  stop(signal: NodeJS.Signals, typed: boolean): void {
    if (this.#exit !== null) {
      // Asked again, nobody is waited for.
      this.#family.kill();
      return;
    }
    if (this.#main === 0) {
      // The terminal tells us and the command at once, and we may hear of its end first.
      const { exit, at } = this.#lastEnd;
      const byThat = exit.signal === signal && performance.now() - at < reactionTime;
      this.#leave(byThat ? exit : { code: 0, signal: null });
      return;
    }
    // A successor leads a group of its own, which the terminal does not know.
    if (typed && groupOf(this.#main) === groupOf(process.pid)) {
      this.#interrupt(signal);
      return;
    }
    this.#stopping = signal;
    this.#signal(signal);
    this.#killLater(this.#options.stopTimeout);
  }

  /** By hand, too, the command decides what Ctrl-C means. But the signal may have been sent to us alone. */
  #interrupt(signal: NodeJS.Signals): void {
    this.#interrupted = true;
    this.#timers.reaction ??= setTimeout(() => {
      this.#clear('reaction');
      this.#signal(signal);
    }, reactionTime);
  }

  /** SIGHUP: to upgrade or reload. */
  hangup(): void {
    if (this.#main === 0 || this.#timers.hangup) return;
    const left = this.#ready ? 0 : this.#startedAt + hangupPatience - performance.now();
    if (left > 0) this.#timers.hangup = setTimeout(() => this.#passHangup(), left);
    else this.#signal('SIGHUP');
  }

  #passHangup(): void {
    this.#clear('hangup');
    this.#signal('SIGHUP');
  }

  pass(signal: NodeJS.Signals): void {
    this.#signal(signal);
  }

  changed(file: string): void {
    this.#clear('settling');
    this.#timers.settling = setTimeout(() => this.#restart(file), settleTime);
  }

  #restart(file: string): void {
    this.#clear('settling');
    if (this.#exit !== null || this.#stopping || this.#restarting) return;
    if (this.#main !== 0) {
      this.#options.say(`${file} has changed: restarting pid ${this.#main}`);
      this.#restarting = true;
      this.#signal('SIGTERM');
      this.#killLater(this.#options.stopTimeout);
    } else if (this.#timers.retry) {
      this.#options.say(`${file} has changed: trying again`);
      this.#pause = 0;
      this.#resume();
    } else this.#options.say(`${file} has changed; no process runs`);
  }

  isMain(pid: number): boolean {
    return pid !== 0 && this.#main === pid; // 0: a process that this pid namespace does not see
  }

  #handOver(pid: number): void {
    const { say } = this.#options;
    // The command may have fewer rights than we: it must not name a process that it could not signal itself.
    if (!this.#family.has(pid)) {
      say(`pid ${this.#main} names pid ${pid}, which was not started by it: ignored`);
      return;
    }
    say(`pid ${this.#main} has handed over to pid ${pid}`);
    this.#family.leaving.add(this.#main);
    this.#main = pid;
    if (this.#stopping) this.#signal(this.#stopping);
  }

  /** One datagram from the NOTIFY_SOCKET, sd_notify(3). */
  notified(text: string, passed: readonly number[] = []): void {
    const { say } = this.#options;
    const fields = parseNotifyMessage(text);
    this.#store.notified(fields, passed);
    if (this.#main === 0) return; // of the rest of a command that has ended
    const pid = Number(fields.get('MAINPID'));
    if (pid > 0 && pid !== this.#main) this.#handOver(pid);
    const status = fields.get('STATUS') ?? '';
    const news = status !== '' && status !== this.#status && !counters.test(status) ? `: ${status}` : '';
    if (status !== '') this.#status = status;
    if (fields.get('READY') === '1') {
      const first = !this.#ready;
      this.#ready = true;
      this.#pause = 0;
      if (first) say(`pid ${this.#main} is ready after ${seconds(performance.now() - this.#startedAt)}${news}`);
      else say(`pid ${this.#main} is ready again${news}`);
      if (this.#timers.hangup) this.#passHangup();
    } else if (fields.get('RELOADING') === '1') say(`pid ${this.#main} is reloading${news}`);
    else if (fields.get('STOPPING') === '1') {
      this.#clear('reaction');
      if (this.#status !== '' && news !== '') say(`pid ${this.#main}${news}`);
    } else if (news !== '') say(`pid ${this.#main}${news}`);
    const more = Number(fields.get('EXTEND_TIMEOUT_USEC')) / 1000;
    if (more > 0 && this.#timers.killer) this.#killLater(Math.max(more, this.#options.stopTimeout));
  }

  #finish(exit: Exit): void {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    for (const socket of this.#options.sockets) socket.remove();
    for (const watcher of this.#watchers) watcher.close();
    this.#store.clear();
    this.#options.finished(exit);
  }
}
