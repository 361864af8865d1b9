// What dist/index.js shares with its rooms and these tests, with its types: they are stripped from the published ones.
import * as listenfds from 'listenfds';
import type * as Internal from '../../src/internal.ts';

export type { ListenVariables } from '../../src/environment.ts';

export const internal = (listenfds as unknown as { internal: typeof Internal }).internal;
