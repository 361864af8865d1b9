// A trial: steps happen to a service under load, and what must hold at any rate is looked at whenever everything has come
// to rest.
//
// - A request that was accepted is answered, unless a process was killed with SIGKILL.
// - A process that was told to stop has ended by its deadline.
// - No process is left but the service, no descriptor but those that it had at first.
// - The manager sees what is: the main process, that it is active, in the end that it has stopped successfully.
import { setTimeout as sleep } from 'node:timers/promises';
import { Clients, type Failure } from './clients.ts';
import { catches, lives, type Member, openKinds, ownNumber } from './family.ts';
import { type Action, type Episode, type Step, well } from './steps.ts';
import { inWorld, type World } from './worlds.ts';

/** How a trial went. */
export interface Report {
  answered: number;
  excused: number;
  steps: number;
  /** Each with the steps before it. */
  readonly problems: string[];
}

/** A stop of the fixture takes at most its drain and its hooks; the rest is for a busy machine. Milliseconds. */
const stopTime = 12_000;
/** What was asked of a manager, or by the command, has an answer by then. Milliseconds. */
const answerTime = 60_000;
/** How long it may take until only the service is left. Milliseconds. */
const restTime = 25_000;
/** What goes through a manager has arrived by then. Milliseconds. */
const stirTime = 3_000;
/** Descriptors that come and go. */
const spare = 3;

interface Span {
  readonly from: number;
  to: number;
}

const now = (): number => performance.now();

class Trial {
  readonly #world: World;
  readonly #report: Report;
  readonly #clients: Clients;
  readonly #trail: string[] = [];
  readonly #began = now();
  /** From a SIGKILL until whoever it concerns is gone. */
  readonly #kills: Span[] = [];
  /**
   * Where idle connections end at once: after an uncaught error, and at a stop for which they are stored in vain, such as that
   * of a process that starts and does not catch the signal yet.
   */
  readonly #closings: Span[] = [];
  readonly #reloads: Span[] = [];
  #hungUp = 0;
  /** Since when something may have ended the service. */
  #mayBeDown: number | null = 0;
  /** When the last thing was done that comes to the service by way of its manager, or later. */
  #lastStir = 0;
  readonly #told = new Map<Member, number>();
  readonly #asked = new Set<Promise<unknown>>();
  #thawing: Promise<void> | null = null;
  #descriptors = 0;

  constructor(world: World, report: Report) {
    this.#world = world;
    this.#report = report;
    this.#clients = new Clients(world.ports);
  }

  #note(what: string): void {
    this.#trail.push(`${((now() - this.#began) / 1000).toFixed(2)} ${what}`);
  }

  #wrong(what: string): void {
    this.#note(`WRONG: ${what}`);
    // A manager that was frozen says one of these for each message that filled its queue.
    const lines = this.#world.log().split('\n');
    const log = lines
      .filter((line) => !line.includes('without valid credentials'))
      .slice(-60)
      .join('\n');
    this.#report.problems.push(`${what}\n${this.#trail.slice(-40).join('\n')}\n--- log\n${log}\n---`);
  }

  async run(steps: readonly Step[]): Promise<void> {
    try {
      await this.#run(steps);
    } finally {
      this.#clients.abandon();
      this.#report.answered += this.#clients.answered;
    }
  }

  async #run(steps: readonly Step[]): Promise<void> {
    await this.#rest();
    for (const step of steps) {
      const { pause, ...action } = step;
      this.#report.steps += 1;
      this.#note(`${JSON.stringify(action)} ${(await this.#act(action)) ?? ''}`);
      await sleep(pause);
      if (this.#report.problems.length > 0) break;
    }
    await this.#rest();
    await this.#clients.stop();
    await this.#end();
  }

  #find(role: Parameters<World['family']['find']>[0]): Member | null {
    return this.#world.family.find(role);
  }

  #ask(what: string, work: Promise<unknown>): void {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#wrong(`${what} has no answer`);
        resolve();
      }, answerTime);
    });
    const asked: Promise<unknown> = Promise.race([work, over]).finally(() => {
      clearTimeout(timer);
      this.#asked.delete(asked);
    });
    this.#asked.add(asked);
  }

  /** Sent again after a second, a signal ends a service at once; that is no step of a trial. */
  async #untilToldAreGone(): Promise<void> {
    for (const [member, at] of this.#told) {
      while (lives(member) && now() - at < stopTime) await sleep(20);
      if (lives(member)) this.#wrong(`pid ${member.pid} was told to stop ${Math.round(now() - at)} ms ago and lives`);
      this.#told.delete(member);
    }
  }

  #down(): void {
    this.#lastStir = now();
    this.#mayBeDown ??= now();
  }

  /** @returns whether it was there */
  #send(signal: NodeJS.Signals, { pid }: Member): boolean {
    if (signal !== 'SIGKILL' && !catches(pid, signal)) {
      this.#note(`pid ${pid} does not catch ${signal} yet, and ends`);
      this.#closings.push({ from: now(), to: now() });
    }
    try {
      return process.kill(pid, signal);
    } catch {
      return false; // it has just ended
    }
  }

  /** @returns what came of it, for the trail */
  async #act(action: Action): Promise<string | void> {
    const world = this.#world;
    switch (action.kind) {
      case 'behave':
        world.behave(action.behaviour);
        return;
      case 'upgrade': {
        world.behave({ boot: action.boot });
        const main = this.#find('main');
        this.#lastStir = now();
        if (action.by === 'manager') this.#ask('the upgrade', world.upgrade());
        else if (main === null) return 'no process';
        else if (action.by === 'command') this.#ask('listenfds upgrade', world.upgradeByCommand(main));
        else this.#send('SIGUSR2', main);
        return String(main?.pid);
      }
      case 'reload': {
        this.#lastStir = now();
        const span: Span = { from: now(), to: Infinity };
        this.#reloads.push(span);
        const asked = world.reload();
        this.#ask(
          'the reload',
          asked.finally(() => (span.to = now())),
        );
        return;
      }
      case 'restart':
        this.#down();
        await this.#thawing;
        await this.#untilToldAreGone();
        this.#ask('the restart', world.restart());
        return;
      case 'crash':
        this.#down();
        this.#crash();
        return;
      case 'signal':
        return this.#signal(action.signal, this.#find(action.role));
      case 'kill':
        return this.#kill(this.#find(action.role));
      case 'deafen':
        if (this.#thawing) return 'deaf already';
        world.freeze();
        this.#thawing = sleep(action.ms).then(() => {
          world.thaw();
          this.#thawing = null;
          this.#note('thawed');
        });
        return;
      case 'burst':
        for (let i = 0; i < action.count; i++) {
          this.#clients.send(world.ports[0], { path: `/slow?ms=${Math.round((action.ms * i) / action.count)}` });
        }
        return;
      case 'rest':
        await this.#rest();
    }
  }

  /** It happens when somebody reads the request, which may be a process that has yet to start. */
  #crash(): void {
    const closing: Span = { from: now(), to: Infinity };
    this.#closings.push(closing);
    const asked = fetch(`http://127.0.0.1:${this.#world.ports[0]}/crash`).catch(() => {});
    this.#ask(
      'the crash',
      asked.then(() => (closing.to = now())),
    );
  }

  #signal(signal: NodeJS.Signals, member: Member | null): string {
    if (member === null) return 'nobody';
    const ends = signal === 'SIGTERM' || signal === 'SIGINT';
    if (ends && [...this.#told.keys()].some(({ pid }) => pid === member.pid)) return 'told already';
    this.#down();
    if (ends) {
      this.#told.set(member, now());
      this.#closings.push({ from: now(), to: now() });
    }
    this.#send(signal, member);
    return String(member.pid);
  }

  #kill(member: Member | null): string {
    if (member === null) return 'nobody';
    this.#down();
    const span: Span = { from: now(), to: Infinity };
    this.#kills.push(span);
    const family = this.#world.family.members();
    this.#send('SIGKILL', member);
    void (async () => {
      // The manager ends those that it finds without a main process.
      while (family.some(lives) && now() - span.from < 2_000) await sleep(10);
      span.to = now();
    })();
    return String(member.pid);
  }

  #excuses({ port, began, failed, error, reused }: Failure): boolean {
    const overlaps = this.#kills.some(({ from, to }) => from <= failed && began <= to);
    if (port === this.#world.ports[1]) return overlaps || (this.#mayBeDown !== null && this.#mayBeDown <= failed);
    if (error === 'ECONNREFUSED') return false;
    return overlaps || (reused && this.#closings.some(({ from, to }) => began <= to && from <= failed));
  }

  #judge(): void {
    const hungUp = this.#world.hungUp();
    if (hungUp > this.#hungUp) this.#closings.push(...this.#reloads);
    this.#hungUp = hungUp;
    this.#reloads.length = 0;
    for (const failure of this.#clients.failures.splice(0)) {
      const { what, port, began, failed, error, reused } = failure;
      if (this.#excuses(failure)) this.#report.excused += 1;
      else {
        const [from, to] = [began, failed].map((time) => ((time - this.#began) / 1000).toFixed(2));
        const where = port === this.#world.ports[0] ? 'web' : 'own';
        this.#wrong(`lost: ${where} ${what} from ${from} to ${to}: ${error}${reused ? ', reused' : ''}`);
      }
    }
    this.#kills.length = 0;
    this.#closings.length = 0;
  }

  async #rest(): Promise<void> {
    const world = this.#world;
    world.behave(well);
    await this.#thawing;
    while (this.#asked.size > 0) await Promise.all(this.#asked);
    await this.#untilToldAreGone();
    await this.#clients.stop();
    const main = await this.#onlyMain();
    this.#judge();
    if (main !== null) {
      await this.#until('the manager', () => world.wrong(main));
      await this.#until('descriptors', async () => this.#leaked(main));
    }
    // A signal may still be on its way through the manager, to a process that has just begun to start.
    this.#mayBeDown = now() - this.#lastStir < stirTime ? this.#lastStir : null;
    this.#clients.start();
  }

  /** Waits until the service is all there is, and answers. */
  async #onlyMain(): Promise<Member | null> {
    const began = now();
    for (;;) {
      const pid = await this.#clients.ask(this.#world.ports[0], { path: '/' });
      const all = this.#world.family.members();
      if (all.length === 1 && pid === ownNumber(all[0]!.pid)) return all[0]!;
      if (now() - began > restTime) {
        this.#wrong(`pid ${pid} answers, and there are ${JSON.stringify(all)}`);
        return null;
      }
      await sleep(20);
    }
  }

  #leaked(main: Member): string[] {
    const kinds = openKinds(main.pid);
    const count = [...kinds.values()].reduce((all, one) => all + one, 0);
    if (this.#descriptors === 0) this.#descriptors = count;
    if (count <= this.#descriptors + spare) return [];
    return [`${count} descriptors, ${this.#descriptors} at first: ${JSON.stringify([...kinds])}`];
  }

  async #until(what: string, look: () => Promise<string[]>): Promise<void> {
    const began = now();
    let found = await look();
    while (found.length > 0 && now() - began < 5_000) {
      await sleep(50);
      found = await look();
    }
    if (found.length > 0) this.#wrong(`${what}: ${found.join('; ')}`);
  }

  /** Stops it with requests in flight. */
  async #end(): Promise<void> {
    const begun = Array.from({ length: 8 }, (_, i) => {
      return new Promise<void>((resolve) => {
        const path = `/slow?ms=${500 + 50 * i}&early`;
        const over = this.#clients.ask(this.#world.ports[0], { path, begun: resolve });
        this.#ask(
          'a request at the end',
          over.then(() => resolve()),
        );
      });
    });
    await Promise.all(begun);
    const found = await this.#world.stop();
    while (this.#asked.size > 0) await Promise.all(this.#asked);
    this.#judge();
    for (const one of found) this.#wrong(`the end: ${one}`);
    const left = this.#world.family.members();
    if (left.length > 0) this.#wrong(`left: ${JSON.stringify(left)}`);
  }
}

type Test = Parameters<typeof inWorld>[0];

/** @param told one line about each episode */
export async function tryOut(
  t: Test,
  node: string,
  all: readonly Episode[],
  told: (line: string) => void = () => {},
): Promise<Report> {
  const report: Report = { answered: 0, excused: 0, steps: 0, problems: [] };
  for (const [i, { setting, steps }] of all.entries()) {
    const began = now();
    try {
      await inWorld(t, node, setting, (world) => new Trial(world, report).run(steps));
    } catch (error) {
      report.problems.push(`episode ${i}: ${(error as Error).stack}`);
    }
    told(
      `${i + 1}/${all.length} ${JSON.stringify(setting)}: ${report.steps} steps, ${report.answered} answered, ${report.excused} excused, ${Math.round((now() - began) / 1000)} s`,
    );
    if (report.problems.length > 0) break;
  }
  return report;
}
