// The room dist/lend.js: inherited sockets for cluster workers.
export { acceptAlso } from './also.js';
export { speakForWorkers } from './speak-for-workers.js';
export { lendToWorkers } from './to-workers.js';
export { endWorkers } from './end-workers.js';
