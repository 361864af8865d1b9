// What all services of a process have in common: the signals that end them, uncaught errors, and the one exit. They stop
// together; the process ends when the last of them has.
import { type SignalHandler, isOwnHandler, markHandler } from '../system/own-handlers.js';
import { type OwnOptions, type StopReason, type StopSignal, isStopSignal, stopSignals } from './options.js';

const numbers = { SIGTERM: 15, SIGINT: 2 } as const;

/** One service. */
export interface Member {
  readonly options: OwnOptions;
  /** It has begun to serve. */
  readonly serves: boolean;
  /** It has handed over: that the manager ends it is expected. */
  readonly handedOver: boolean;
  isIdle(): boolean;
  end(reason: StopReason): void;
  crash(error: unknown): void;
}

/** npm forwards the signal that its group got already, a terminal sends it to everybody. Milliseconds. */
const echo = 1_000;
/** Handlers of others that do not say when they are done get this long. Milliseconds. */
const courtesy = 1_000;

const members = new Set<Member>();
let status = 0;
let exits = false;
let first: { readonly signal: StopSignal; readonly at: number } | null = null;
/** Handlers of others are being run. */
let othersRun = false;
/** They have heard of the signal. */
let othersKnow = false;

/** The preload of the same process has handlers, too: they do not count as those of others. */
const others = (signal: StopSignal): SignalHandler[] =>
  (process.rawListeners(signal) as SignalHandler[]).filter((handler) => !isOwnHandler(handler));

function signalled(signal: StopSignal): void {
  if (othersRun) {
    // A handler that ends the process as a handler should: with the signal it has handled.
    process.exit(status);
  }
  const listening = [...members].filter(
    ({ handedOver, options }) => !(handedOver && signal === 'SIGTERM') && options.signals.includes(signal),
  );
  // After an upgrade the manager tells us to go when it stops the service, and once more when our successor has ended: we
  // are going already.
  if (listening.length === 0) return;
  const now = performance.now();
  if (first === null) first = { signal, at: now };
  else if (now - first.at <= echo) return;
  else if ([...members].some(({ options }) => options.exit)) raise(signal);
  for (const member of listening) member.end(signal);
}

/** Acts as the signal would have without us. */
function raise(signal: StopSignal): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

const handlers = Object.fromEntries(
  stopSignals.map((signal) => [signal, markHandler(() => signalled(signal))]),
) as Record<StopSignal, () => void>;

const crashed = markHandler((error: unknown): void => {
  const all = [...members];
  all[0]?.options.log('Uncaught', error);
  for (const member of all) member.crash(error);
});

let ownEmit: typeof process.emit | null = null;

/**
 * Handlers that others have put on the signal, many of which exit at once, hear of it when all is drained. Node binds
 * process.emit() when the first handler of a signal comes, so those that are there already are put on anew.
 */
function comeFirst(): void {
  if (ownEmit) return;
  const { emit } = process;
  ownEmit = ((event: string, ...args: unknown[]): boolean => {
    if (isStopSignal(event)) {
      if ([...members].some(({ serves, options }) => serves && options.signals.includes(event))) {
        signalled(event);
        return true;
      }
      othersKnow = members.size > 0; // nothing is in flight yet
    }
    return Reflect.apply(emit, process, [event, ...args]) as boolean;
  }) as typeof process.emit;
  process.emit = ownEmit;
  for (const signal of stopSignals) {
    const handlers = process.rawListeners(signal) as NodeJS.SignalsListener[];
    if (handlers.length === 0) continue;
    process.removeAllListeners(signal);
    for (const handler of handlers) process.on(signal, handler);
  }
}

/** A service begins to start. */
export function enter(member: Member): void {
  members.add(member);
  const { signals, otherHandlers, exit } = member.options;
  if (otherHandlers === 'after') comeFirst();
  for (const signal of signals) {
    if (!process.listeners(signal).includes(handlers[signal])) process.on(signal, handlers[signal]);
  }
  if (exit && !process.listeners('uncaughtException').includes(crashed)) process.on('uncaughtException', crashed);
}

function release(): void {
  for (const signal of stopSignals) process.off(signal, handlers[signal]);
  process.off('uncaughtException', crashed);
  first = null;
}

/** A service has ended or has failed to start, and the process goes on. */
export function leave(member: Member): void {
  members.delete(member);
  if (members.size === 0) release();
}

/**
 * A service has ended. The process does when all have, unless their options say otherwise.
 *
 * @param left how long handlers of others may take, in milliseconds
 */
export function end(member: Member, code: number, left: number): void {
  status = Math.max(status, code);
  exits ||= member.options.exit;
  const signal = first?.signal;
  if (members.size > 1 || !members.has(member)) {
    members.delete(member);
    return;
  }
  void runOthers(member, signal ?? null, left).then(() => {
    if (exits) process.exit(status);
    leave(member);
  });
}

async function runOthers(member: Member, signal: StopSignal | null, left: number): Promise<void> {
  const handlers = signal === null ? [] : others(signal);
  if (signal === null || handlers.length === 0 || othersKnow || ownEmit === null) return;
  othersRun = exits; // we stay a listener: signal-exit must not find itself alone
  let unknown = false;
  const work = handlers.map(async (handler) => {
    const result = Reflect.apply(handler, process, [signal, numbers[signal]]) as unknown;
    unknown ||= !(result instanceof Promise);
    await result;
  });
  const wait = (milliseconds: number): Promise<void> =>
    new Promise((resolve) => void setTimeout(resolve, milliseconds).unref());
  const done = Promise.allSettled(work).then((results) => {
    for (const result of results) {
      if (result.status === 'rejected') member.options.log(`A handler of ${signal} failed:`, result.reason);
    }
  });
  await Promise.race([done, wait(Math.max(courtesy, left))]);
  if (unknown && exits) {
    process.exitCode = status;
    await wait(courtesy);
  }
  othersRun = false;
}

/** Whether all services of the process have been idle for as long as each of them wants. */
export function allIdle(): boolean {
  return [...members].every((member) => member.isIdle());
}

/** Ends all services of the process: it cannot go while one stays. */
export function endAll(reason: StopReason): void {
  for (const member of members) member.end(reason);
}
