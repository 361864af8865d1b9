// The room dist/lend.js: inherited sockets for servers that do not ask for them, those of an unmodified program
// (register.ts) and those of cluster workers.
export { lendToWorkers, preload } from './preload.js';
export { passedToPrimary } from './workers.js';
