// Why a test of a peer may fail with this package behind its API: suite → the test's title → the reason. A failure that is not
// listed here, and passes with the peer itself, fails `npm run test:peers`.

const first =
  'the first drain() of a process that did not use listen() reads its code from disk first: who connects in these milliseconds is served, and the next test looks before it has closed';
const twice =
  'a second signal within a second of the first is taken for the same one, which npm and shells deliver twice; a later one ends the service at once, by the signal itself';
const uncaught = "an error while a service stops is logged as 'Uncaught', like any other";
const pidFile = 'no PID file: the manager is told by MAINPID=, and upgrade() returns the pid';

/** @type {Record<string, Record<string, string>>} a key that ends with a star is for all titles that begin so */
export const reasons = {
  stoppable: {
    'http.Server .stop() without keep-alive connections stops accepting new connections': first,
    'http.Server .stop() without keep-alive connections closes': first,
    'http.Server .stop() without keep-alive connections gracefully': first,
    'http.Server .stop() with keep-alive connections stops accepting new connections': first,
    'http.Server .stop() with keep-alive connections closes': first,
    'http.Server .stop() with keep-alive connections gracefully': first,
  },
  'http-graceful-shutdown': {
    'force-kills hanging connections after timeout':
      'drain() resolves when the connections it has cut are closed: the client, in the same process, has its error by then, and the test waits for that error only afterwards',
  },
  'close-with-grace': {
    'a secong signal*': twice,
    uninstall: 'a service that is up has no way to be let alone again: close() ends it, and runs onStop',
    'when the function throws with custom logger should log error': uncaught,
    'when the function throws should use onSecondSignal': uncaught,
  },
  tableflip: {
    TestUpgraderListenConfig: "Go's hook for socket options; listen() and serve() have options of their own",
    TestUpgraderWaitForParent:
      'a successor serves at once, beside the old process: there is nothing that waits for the end of that',
    TestReadyWritesPIDFile: pidFile,
    TestWritePidFileWithoutPath: pidFile,
    TestFdsFile:
      'an upgrade passes sockets and connections; a file is opened again by its path, or stored with the manager',
    TestParentExit:
      'what tableflip writes into its pipe; the channel here has tests of its own (test/service/upgrade-channel.test.ts)',
  },
  puma: {
    test_term_exit_code:
      'puma dies by SIGTERM itself unless told otherwise; a service that has ended cleanly exits with 0, and systemd counts both as success',
    test_synthesize_binds_from_activated_fds_non_matching_together:
      'the one socket that was passed is taken in the place of the one asked for, with a warning (LISTENFDS_ADDRESS_MISMATCH): the unit decides where a program listens. With activation: "never" a second server binds its own',
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
