/**
 * ListenFIFO= and ListenSpecial=.
 *
 * ```ts
 * import { listenFifo, listenSpecial } from 'listenfds/sockets';
 * ```
 *
 * @module files
 */
export { listenFifo, listenSpecial, type FifoTarget, type SpecialTarget } from '../../src/sockets.js';
