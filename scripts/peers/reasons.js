// Why a test of a peer may fail with this package behind its API: suite → the test's title → the reason. A failure that is not
// listed here, and passes with the peer itself, fails `npm run test:peers`.

/** @type {Record<string, Record<string, string>>} */
export const reasons = {
  stoppable: {
    'http.Server .stop() without keep-alive connections stops accepting new connections':
      'the first drain() of a process that did not use listen() reads its code from disk first, and who connects in these milliseconds is served',
  },
};
