// The signal handlers of this package, so that they can be told from those of others: the preload has some, serve() has some.
const mark = Symbol.for('listenfds.signalHandler');

export type SignalHandler = ((...args: never[]) => unknown) & { [mark]?: true };

export function markHandler<T extends (...args: never[]) => unknown>(handler: T): T {
  return Object.assign(handler, { [mark]: true as const });
}

export const isOwnHandler = (handler: SignalHandler): boolean => handler[mark] === true;
