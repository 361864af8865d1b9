// The room dist/service.js: code that only a service that drains, limits or serves needs.
export { drain } from './drain.js';
export { placeArrived, receiveConnections } from './arrivals.js';
export { canMove, openStoreCarrier } from './carrier.js';
export { watchIdle } from './idle.js';
export { serve } from './serve.js';
export { readAll } from './upgrade.js';
export { askForUpgrade } from './control.js';
export { upgradeState } from './successor.js';
export { storeConnections } from './store-connections.js';
export { acceptInherited } from '../sockets/accept-from.js';
