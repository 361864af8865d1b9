// The words of this process to the manager so far, shared by two copies of the package.

/** `state`: READY=1, STATUS= and the like. `watchdog`: signs of life. */
type Subject = 'state' | 'watchdog';

const key = Symbol.for('listenfds.spoken');

const holder = globalThis as { [key]?: Set<Subject> };

/** Also by somebody who will speak when there is something to say. */
export function speaks(subject: Subject): void {
  (holder[key] ??= new Set()).add(subject);
}

export const hasSpoken = (subject: Subject): boolean => holder[key]?.has(subject) === true;

/** Descriptors to store and barriers say nothing about the state of the service. */
const ofState = /^(?:READY|STATUS|RELOADING|STOPPING|EXTEND_TIMEOUT_USEC|ERRNO|EXIT_STATUS)=/m;

export function noteSpoken(text: string): void {
  if (!hasSpoken('state') && ofState.test(text)) speaks('state');
}
