// The parts of the core that rooms outside dist/index.js need. They import them from here, so that no part is loaded
// twice; build.js turns that import into one of ./index.js.
export * from './address.js';
export * from './authorize.js';
export * from './bind.js';
export * from './builtins.js';
export * from './choose.js';
export * from './descriptor.js';
export * from './duration.js';
export * from './environment.js';
export * from './errors.js';
export * from './fd-store.js';
export * from './frameworks.js';
export * from './gate.js';
export * from './inherited.js';
export * from './listen.js';
export * from './native.js';
export * from './own.js';
export * from './notify.js';
export * from './notify-state.js';
export * from './peer.js';
export * from './predicates.js';
export * from './read-ahead.js';
export * from './take.js';
export * from './target.js';
export * from './watchdog.js';
