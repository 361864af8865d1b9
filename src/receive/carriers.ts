// Carriers of the connections of the process before: passed like the rest, and hidden from the program.
import { isUnix } from './descriptor.js';
import { type InheritedFd, registry } from './inherited.js';

/** FileDescriptorName= of the carriers of connections of the process before. */
export const carrierName = 'listenfds-connections';

/** Sets aside descriptors that are not for the program. */
export function withoutCarriers(found: readonly InheritedFd[]): readonly InheritedFd[] {
  const carriers = found.filter(({ name, description }) => name === carrierName && isUnix(description, 'seqpacket'));
  if (carriers.length === 0) return found;
  registry().carriers = carriers;
  return Object.freeze(found.filter((one) => !carriers.includes(one)));
}

export const hasCarriers = (): boolean => (registry().carriers?.length ?? 0) > 0;

/** Whether the manager has kept one of them: those of a predecessor it never had. */
export const hasStoredCarriers = (): boolean =>
  registry().carriers?.some(({ origin }) => origin !== 'predecessor') ?? false;

/** Descriptors, each of which is given out once. */
export function takeCarriers(): number[] {
  const state = registry();
  return (state.carriers?.splice(0) ?? []).map((one) => one.take());
}
