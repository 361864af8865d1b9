// Why a test of Node's own may differ with this package in between: the key of a reason → its sentence, and the tests that it is
// true of, for each side (sides.js). A difference that is not listed here fails `npm run test:node`.

export const reasons = {
  taken:
    'The test asks for a port, or for its own address in a worker, that it cannot have, and expects an error. The socket that was passed is taken in its place, with a warning',
  elsewhere:
    'The test listens on ::1 and connects there. The socket that was passed is taken in its place, with a warning, and has an address of its own',
  wide: 'The test opens a second server on ::1 with the port of the first, or expects nobody there. The sockets that were passed are bound to [::], which is that port on every address',
  bound:
    'The test listens on an IPv4 address and compares addresses. The sockets that were passed are bound to [::], so null or ::ffff:127.0.0.1 stands there',
  silent:
    'Nothing listens for connections, sessions or requests on the server of the test. The preload takes such a server for a program that looks whether its port is free, and keeps its connections for the server that serves',
  worker:
    'The test expects that a cluster worker with reusePort asks its primary for nothing. The primary may have been passed the socket, so it is asked',
  watched: "The test counts the listeners of a connection, and the package listens for its 'close'",
  open: 'The test closes its server and expects that its port refuses connections. The socket that was passed stays open with the manager',
  queue:
    'The test closes its server and expects that clients in its queue are cut. The queue of a socket that was passed stays with the manager',
  kept: 'The test expects that close() cuts the clients in its queue, or that it ends at once although idle connections are there. drain() accepts who has connected, serves them, and gives idle connections their grace',
  turn: 'The test expects the effect of close() in the same turn: it listens again at once, ends the child that has the connections, or never hears that the server listens. drain() is called after the package is loaded, and takes its turns',
  later:
    'listen() of the package is a promise: the server opens after the turn of the call. The address, the handle, what close() does in the same turn and errors of wrong arguments come later than from server.listen()',
  long: 'The path is too long for a unix socket as it is, or once it is absolute. The package refuses it with an error of its own, while Node.js cuts the path or goes by the relative one',
  pings: 'The test counts the PINGs of the process, and drain() sends one behind its GOAWAY',
  internals:
    "The test looks at Node's internals: what they call the address asked for, a timer of node:http at the time of 'close', which drain() stops at its end, or a handle that the test itself closed",
};

/** @type {Record<string, Record<string, string[]>>} side → reason → tests */
const accepted = {
  passed: {
    taken: [
      'test-cluster-ipc-throw',
      'test-cluster-shared-handle-bind-error',
      'test-cluster-worker-disconnect-on-error',
      'test-http-bind-twice',
      'test-net-better-error-messages-listen',
      'test-net-bind-twice',
      'test-net-eaddrinuse',
      'test-net-listen-error',
      'test-net-server-call-listen-multiple-times',
      'test-net-server-try-ports',
    ],
    elsewhere: ['test-http-autoselectfamily', 'test-https-autoselectfamily', 'test-net-autoselectfamily'],
    worker: ['test-cluster-net-reuseport'],
    watched: ['test-http-connect'],
  },
  inherited: {
    taken: [
      'test-cluster-ipc-throw',
      'test-cluster-worker-disconnect-on-error',
      'test-net-better-error-messages-listen',
      'test-net-eaddrinuse',
      'test-net-listen-error',
      'test-net-server-call-listen-multiple-times',
      'test-net-server-try-ports',
    ],
    wide: [
      'test-http-autoselectfamily',
      'test-https-autoselectfamily',
      'test-net-autoselectfamily',
      'test-net-autoselectfamily-commandline-option',
      'test-net-autoselectfamily-ipv4first',
    ],
    bound: ['test-cluster-basic', 'test-http2-connect-options'],
    silent: [
      'test-http2-client-destroy',
      'test-http2-client-jsstream-destroy',
      'test-http2-connect',
      'test-http2-create-client-connect',
      'test-http2-goaway-delayed-request',
      'test-tls-connect-memleak',
      'test-tls-connect-no-host',
      'test-tls-reinitialize-listeners',
    ],
    watched: ['test-http-connect'],
    open: ['test-http2-client-promisify-connect-error'],
    queue: [
      'test-http2-invalidheaderfield',
      'test-http2-invalidheaderfields-client',
      'test-http2-single-headers',
      'test-http2-single-headers-validation',
      'test-net-socket-reset-twice',
    ],
    internals: ['test-net-listen-invalid-port'],
  },
  drain: {
    kept: [
      'test-http2-allow-http1',
      'test-http2-client-destroy',
      'test-net-socket-destroy-twice',
      'test-net-socket-reset-twice',
    ],
    turn: [
      'test-child-process-fork-getconnections',
      'test-child-process-fork-net-socket',
      'test-http-agent',
      'test-net-listen-close-server',
      'test-net-listen-close-server-callback-is-not-function',
      'test-net-server-call-listen-multiple-times',
      'test-tls-net-connect-prefer-path',
    ],
    pings: ['test-http2-ping'],
    internals: [
      'test-child-process-send-returns-boolean',
      'test-http-server-close-destroy-timeout',
      'test-net-server-listen-handle',
    ],
  },
  listen: {
    later: [
      'test-http2-error-order',
      'test-net-connect-immediate-destroy',
      'test-net-connect-memleak',
      'test-net-connect-reset-before-connected',
      'test-net-listen-close-server',
      'test-net-listen-close-server-callback-is-not-function',
      'test-net-listen-twice',
      'test-net-server-close-before-calling-lookup-callback',
      'test-net-server-keepalive',
      'test-net-server-listen-options',
      'test-net-server-listen-options-signal',
      'test-net-server-nodelay',
      'test-net-socket-destroy-twice',
      'test-net-socket-reset-twice',
      'test-net-socket-timeout-unref',
      'test-tls-connect-memleak',
      'test-tls-passphrase',
    ],
    long: ['test-cluster-net-listen-relative-path', 'test-net-pipe-with-long-path'],
    watched: ['test-http-connect'],
  },
};

/** @returns {string | undefined} the key of the reason */
export function reasonFor(side, test) {
  return Object.entries(accepted[side] ?? {}).find(([, tests]) => tests.includes(test.replace(/\.m?js$/, '')))?.[0];
}
