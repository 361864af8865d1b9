// Where a socket came from, and what follows from it. Whoever drains, idles out or upgrades asks here: the columns of the table
// in docs/maintainers/design.md are functions of this file, but for the last. Whose the unix path is, open/own.ts says.

/**
 * Where a descriptor came from.
 *
 * - `manager`: a service manager opened it and passes it at every start: a socket unit, `listenfds run`, podman.
 * - `store`: the manager has kept it since an earlier run of this service (FDSTORE=1), over a restart only.
 * - `predecessor`: the process that this one is the upgrade of had bound it.
 * - `self`: this process opened it.
 */
export type Origin = 'manager' | 'store' | 'predecessor' | 'self';

/** Whether it was passed to this process, or opened by it. */
export function sourceOf(origin: Origin): 'inherited' | 'bound' {
  return origin === 'self' ? 'bound' : 'inherited';
}

/** Who keeps it when this process ends: the manager always, the manager until the service is stopped, or nobody. */
export function keptBy(origin: Origin): 'manager' | 'store' | null {
  return origin === 'manager' || origin === 'store' ? origin : null;
}

/** Whether the program decides its address. Else the unit does, and if the two differ that is a warning. */
export function isAddressOurs(origin: Origin): boolean {
  return origin !== 'manager';
}

/**
 * Whether connections in its queue stay there when this process closes it. Else closing resets those clients, and they are
 * accepted first.
 */
export function doesQueueStay(origin: Origin): boolean {
  return keptBy(origin) !== null;
}

/** Whether a new client has the manager start this service again: only then may it leave when it is idle. */
export function startsUsAgain(origin: Origin): boolean {
  return origin === 'manager';
}
