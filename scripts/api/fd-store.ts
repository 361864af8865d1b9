/**
 * The service manager keeps sockets and connections while the service restarts.
 *
 * ```ts
 * import { storeFds, removeStoredFds, storeConnections } from 'listenfds';
 * ```
 *
 * @module fd-store
 */
export { storeFds, removeStoredFds, storeConnections, type StoreFdsOptions } from '../../src/index.js';
