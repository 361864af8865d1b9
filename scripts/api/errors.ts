/**
 * Each error of this package has a code. docs/errors.md lists them.
 *
 * ```ts
 * import { ListenFdsError } from 'listenfds';
 * ```
 *
 * @module errors
 */
export { ListenFdsError, type ErrorCode, type ErrorDetails } from '../../src/index.js';
