// Why a test of Node's own may differ with this package in between: the key of a reason → its sentence, and the tests that it is
// true of, for each side (sides.js). A difference that is not listed here fails `npm run test:node`.

export const reasons = {
  later:
    'The test asks a server for its address, or connects, in the turn of listen(), and listen() of the package opens it later',
  taken:
    'The test asks for a port that it cannot have and expects an error. The socket that was passed is taken in its place, with a warning',
  queue:
    'The test closes its server and expects that clients in its queue are cut. The queue of a socket that was passed stays with the manager',
  internals:
    "The test looks at what Node's internals call the address asked for, and the server listens on a descriptor",
};

/** @type {Record<string, Record<string, string[]>>} side → reason → tests */
const accepted = {
  passed: {
    taken: ['test-net-better-error-messages-listen', 'test-net-server-try-ports'],
  },
  inherited: {
    taken: ['test-net-better-error-messages-listen', 'test-net-server-try-ports'],
    queue: ['test-http2-invalidheaderfield'],
    internals: ['test-net-listen-invalid-port'],
  },
  listen: {
    later: ['test-net-connect-reset-before-connected'],
  },
};

/** @returns {string | undefined} the key of the reason */
export function reasonFor(side, test) {
  return Object.entries(accepted[side] ?? {}).find(([, tests]) => tests.includes(test.replace(/\.m?js$/, '')))?.[0];
}
