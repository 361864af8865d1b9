/**
 * User, group and process of a client of a unix socket, as the kernel knows them.
 *
 * ```ts
 * import { authorize, peerCredentials } from 'listenfds';
 * ```
 *
 * @module callers
 */
export {
  authorize,
  peerCredentials,
  type Authorization,
  type AuthorizationRule,
  type AuthorizationLists,
  type PeerCredentials,
  type PeerCredentialsOptions,
  type PeerSource,
  type ConnectionHolder,
  type DescriptorHolder,
} from '../../src/index.js';
