// STOPPING=1, again and again: a stop that takes long asks for more time, as EXTEND_TIMEOUT_USEC= of sd_notify(3).

/** How far ahead the manager's stop timeout is moved, and how often. Milliseconds. */
const extendTimeout = 15_000;
const extendInterval = 5_000;

export interface Stopping {
  readonly stopping: true;
  readonly extendTimeout?: number;
}

/**
 * @param left how many milliseconds the stop may still take: no more time than that is asked for
 * @returns says it once more, and stops saying it
 */
export function keepStopping(
  left: () => number,
  tell: (state: Stopping) => void,
): { readonly again: () => void; readonly end: () => void } {
  const again = (): void => {
    const extend = Math.ceil(Math.min(extendTimeout, left()));
    tell({ stopping: true, ...(extend > 0 ? { extendTimeout: extend } : {}) });
  };
  again();
  const timer = setInterval(again, extendInterval).unref();
  return { again, end: () => clearInterval(timer) };
}
