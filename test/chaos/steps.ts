// What happens in a trial: each step is data, so that a seed gives the same ones again.
import fc from 'fast-check';

/** Which process: the service, the one before it that still answers, one that starts, the one between the two. */
export type Role = 'main' | 'predecessor' | 'successor' | 'between';

/** What the file has in it that the service reads; see fixtures/chaotic.js. */
export interface Behaviour {
  readonly boot: 'well' | 'crash' | 'exit' | 'kill' | 'slow' | 'extend' | 'hang' | 'bind' | 'bug' | 'kill-late';
  readonly reload: 'well' | 'throw' | 'slow';
  readonly onStop: 'well' | 'throw' | 'slow' | 'hang';
  readonly draining: 'well' | 'throw';
  readonly prepare: 'well' | 'throw' | 'slow' | 'hang';
  /** Milliseconds by which the wall clock is wrong. */
  readonly clock: number;
}

export const well: Behaviour = {
  boot: 'well',
  reload: 'well',
  onStop: 'well',
  draining: 'well',
  prepare: 'well',
  clock: 0,
};

export type Action =
  | { readonly kind: 'behave'; readonly behaviour: Partial<Behaviour> }
  /** Asked of the manager, by the signal of the service itself, or by `listenfds upgrade`. */
  | { readonly kind: 'upgrade'; readonly by: 'manager' | 'signal' | 'command'; readonly boot: Behaviour['boot'] }
  | { readonly kind: 'reload' }
  | { readonly kind: 'restart' }
  | { readonly kind: 'crash' }
  | { readonly kind: 'signal'; readonly signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGUSR2'; readonly role: Role }
  | { readonly kind: 'kill'; readonly role: Role }
  /** The manager stops reading and its queue is full, for so long. Milliseconds. */
  | { readonly kind: 'deafen'; readonly ms: number }
  | { readonly kind: 'burst'; readonly count: number; readonly ms: number }
  /** Everything comes to rest, and is looked at. */
  | { readonly kind: 'rest' };

/** An action, and how long it is left alone. */
export type Step = Action & { readonly pause: number };

/** What a run of steps happens to. */
export interface Setting {
  readonly manager: 'systemd' | 'run';
  /** Whether idle connections move over a restart, under systemd. */
  readonly stores: boolean;
  readonly killMode: 'mixed' | 'control-group';
}

export interface Episode {
  readonly setting: Setting;
  readonly steps: readonly Step[];
}

const role = fc.constantFrom<Role>('main', 'main', 'predecessor', 'successor', 'between');

const behaviour = fc.oneof(
  fc.record({ clock: fc.constantFrom(-3_600_000, 3_600_000, -30_000, 86_400_000) }),
  fc.record({ onStop: fc.constantFrom('throw', 'slow', 'hang', 'well') }),
  fc.record({ draining: fc.constantFrom('throw', 'well') }),
  fc.record({ prepare: fc.constantFrom('throw', 'slow', 'hang', 'well') }),
  fc.record({ reload: fc.constantFrom('throw', 'slow', 'well') }),
) as fc.Arbitrary<Partial<Behaviour>>;

const boot = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Behaviour['boot']>('well') },
  {
    weight: 4,
    arbitrary: fc.constantFrom<Behaviour['boot']>(
      'crash',
      'exit',
      'kill',
      'slow',
      'extend',
      'hang',
      'bind',
      'bug',
      'kill-late',
    ),
  },
);

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('behave' as const), behaviour }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('upgrade' as const),
      by: fc.constantFrom('manager' as const, 'signal' as const, 'command' as const),
      boot,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('reload' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('signal' as const),
      signal: fc.constantFrom('SIGTERM' as const, 'SIGINT' as const, 'SIGHUP' as const, 'SIGUSR2' as const),
      role,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('kill' as const), role }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('deafen' as const), ms: fc.integer({ min: 50, max: 2_000 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('burst' as const),
      count: fc.integer({ min: 1, max: 20 }),
      ms: fc.integer({ min: 0, max: 600 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('rest' as const) }) },
);

const step: fc.Arbitrary<Step> = fc
  .tuple(action, fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 400 })))
  .map(([one, pause]) => ({ ...one, pause }));

const setting: fc.Arbitrary<Setting> = fc.record({
  manager: fc.constantFrom('systemd', 'run'),
  stores: fc.boolean(),
  killMode: fc.constantFrom('mixed', 'control-group'),
});

/** How many steps one setting lasts. */
const length = 20;

/** So many steps altogether. */
export function episodes(seed: number, steps: number): Episode[] {
  const count = Math.ceil(steps / length);
  const settings = fc.sample(setting, { seed, numRuns: count });
  // Each step by itself: its size does not grow with its number.
  const all = fc.sample(step, { seed, numRuns: steps });
  return settings.map((one, i) => ({ setting: one, steps: all.slice(i * length, (i + 1) * length) }));
}
