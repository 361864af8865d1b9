// The room dist/lend.js: inherited sockets for cluster workers.
export { lendToWorkers } from './to-workers.js';
export { passedToPrimary } from '../receive/from-primary.js';
