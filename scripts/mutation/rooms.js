// The sources that decide something, the tests that have to notice when one of them decides wrongly, and what may stay unnoticed.

/** @type {Record<string, string[]>} */
export const rooms = {
  'src/text/environment.ts': ['test/text/environment.test.ts'],
  'src/receive/choose.ts': [
    'test/receive/choose.test.ts',
    'test/listen/adopt.test.ts',
    'test/listen/accept-yes.test.ts',
    'test/sockets/fifo.test.ts',
    'test/sockets/special.test.ts',
  ],
  'src/take/take.ts': [
    'test/take',
    'test/listen/adopt.test.ts',
    'test/system/without-addon.test.ts',
    'test/lend/cluster.test.ts',
    'test/service/upgrade-origins.test.ts',
    'test/sockets/fifo.test.ts',
  ],
  'src/service/drain.ts': [
    'test/service/drain.test.ts',
    'test/service/drain-unwatched.test.ts',
    'test/service/drain-fresh.test.ts',
    'test/service/moving.test.ts',
    'test/service/stop.test.ts',
  ],
  'src/service/last-response.ts': ['test/service/drain.test.ts', 'test/service/drain-unwatched.test.ts'],
  'src/service/stop.ts': ['test/service/serve.test.ts', 'test/service/stop.test.ts'],
  'src/admit/limits.ts': ['test/admit/limits.test.ts'],
  'src/admit/authorize.ts': [
    'test/admit/authorize.test.ts',
    'test/admit/authorize-rules.test.ts',
    'test/admit/unknown.test.ts',
  ],
};

/** Why a mutant may survive: the source file → what the mutant is called → the reason. @type {Record<string, Record<string, string>>} */
export const accepted = {
  'src/take/take.ts': {
    'return null;: returns nothing': 'no caller tells null from undefined',
  },
  'src/service/stop.ts': {
    'this.#deadline?.left ?? 0: 0 + 1': 'a millisecond more for handlers of others, which get a second at least',
  },
};
