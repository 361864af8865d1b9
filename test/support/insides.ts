// What tests see of the insides. scripts/insides.js makes dist/insides.js of it, which is not packed: programs that tests start
// are plain JavaScript.
export { notify, parseNotifyAddress } from '../../src/manager/notify.ts';
export { startWatchdog } from '../../src/manager/watchdog.ts';
export { choose, matches } from '../../src/receive/choose.ts';
export { gatekeeper } from '../../src/admit/gate.ts';
export { openPair } from '../../src/service/carrier.ts';
export { acceptInherited } from '../../src/sockets/accept-from.ts';
export { drain } from '../../src/service/drain.ts';
export { binding } from '../../src/system/addon.ts';
export { errorTable } from '../../src/system/errors.ts';
export { HeldFile } from '../../src/system/files.ts';
export { parseTarget } from '../../src/take/target.ts';
export { parseAddress, formatAddress, matchesInet } from '../../src/text/address.ts';
export { parseEnvironment, parseInteger, listenVariables } from '../../src/text/environment.ts';
export { encodeState, maxMessageFds, monotonicUsec } from '../../src/text/notify-state.ts';
export type { ListenVariables } from '../../src/text/environment.ts';
