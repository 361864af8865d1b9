// Why a test of a peer may fail with this package behind its API: suite → the test's title → the reason. A failure that is not
// listed here, and passes with the peer itself, fails `npm run test:peers`.

/** @type {Record<string, Record<string, string>>} */
export const reasons = {
  stoppable: {
    'http.Server .stop() without keep-alive connections stops accepting new connections':
      'the first drain() of a process that did not use listen() reads its code from disk first, and who connects in these milliseconds is served',
  },
  'go-systemd': {
    TestActivation:
      'two descriptors and one name: refused with LISTENFDS_BAD_ENVIRONMENT, as sd_listen_fds_with_names(3) does; go-systemd names the rest itself',
    TestActivationNoFiles:
      'LISTEN_FDS=0 is refused with LISTENFDS_BAD_ENVIRONMENT, as sd_listen_fds(3) does; go-systemd finds no files',
    TestSdWatchdogEnabled:
      'WATCHDOG_PID=0 is refused with LISTENFDS_BAD_ENVIRONMENT, as sd_watchdog_enabled(3) does; go-systemd takes it for another process. The other eleven rows agree',
  },
};
