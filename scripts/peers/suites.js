// The suites, and what of each is replaced by an adapter. From npm where the package brings its tests along, from Debian where that
// has its sources, or from a folder of checkouts (--from).

import { join } from 'node:path';
import { debianSource } from './debian-source.js';
import { goSystemd, tableflip } from './go.js';

/** Its tests of notify access and of the descriptor store, and a program. */
const systemd = () => debianSource('systemd', ['*/test/units', '*/test/integration-tests', '*/src/test/test-daemon.c']);
const runner = (name) => join(import.meta.dirname, 'runners', name);

const mocha = { mocha: '^10.8.2', chai: '^4.5.0' };

/**
 * @typedef {object} Suite
 * @property {string | null} npm the version that is taken, or null
 * @property {() => string} [source] a folder with it, where it is no package of npm
 * @property {string} [version] of the tests that scenarios/ tells, where nothing is fetched
 * @property {Record<string, string>} dependencies
 * @property {Record<string, string>} [prepared] file of the peer → its text for both runs
 * @property {Record<string, string | null>} adapted file of the peer → adapter, or null: it is removed
 * @property {string[]} [command] absent where it runs with nothing but the peer's language
 * @property {'mocha' | 'tape' | 'tap' | 'go'} [output]
 * @property {string} [scenarios] a file of scenarios/, which is run in the place of the adapted suite
 */

/** @type {Record<string, Suite>} */
export const suites = {
  'http-shutdown': {
    npm: 'http-shutdown@1.2.2',
    dependencies: { ...mocha, request: '^2.88.2' },
    adapted: { 'index.js': 'http-shutdown.cjs' },
    command: ['node_modules/mocha/bin/_mocha', '--reporter=json', '--exit', 'test.js'],
    output: 'mocha',
  },
  // It stops through stoppable, which is what is replaced.
  terminus: {
    npm: '@godaddy/terminus@4.12.1',
    dependencies: { ...mocha, 'node-fetch': '^2.7.0', stoppable: '1.1.0' },
    adapted: { 'node_modules/stoppable/lib/stoppable.js': 'stoppable.cjs' },
    command: ['node_modules/mocha/bin/_mocha', '--reporter=json', '--exit', 'lib/terminus.spec.js'],
    output: 'mocha',
  },
  stoppable: {
    npm: null,
    dependencies: { ...mocha, awaiting: '^3.0.0', requisition: '^1.7.0' },
    adapted: { 'lib/stoppable.js': 'stoppable.cjs' },
    command: ['node_modules/mocha/bin/_mocha', '--reporter=json', '--exit', 'test/stoppable.test.js'],
    output: 'mocha',
  },
  'http-terminator': {
    npm: null,
    dependencies: {
      agentkeepalive: '^4.1.4',
      ava: '^3.15.0',
      delay: '^5.0.0',
      express: '^4.17.3',
      fastify: '^3.27.2',
      got: '^11.8.2',
      pem: '^1.14.4',
      'p-wait-for': '^3.2.0',
      roarr: '^7.0.4',
      sinon: '^11.1.2',
      'ts-node': '^10.2.1',
      typescript: '^4.4.3',
    },
    adapted: {
      'src/factories/createHttpTerminator.ts': 'http-terminator.ts',
      'src/factories/createInternalHttpTerminator.ts': 'http-terminator.ts',
    },
    command: ['node_modules/ava/cli.js', '--serial', '--tap'],
    output: 'tap',
  },
  'http-graceful-shutdown': {
    npm: null,
    dependencies: { debug: '^4.3.4' },
    adapted: { 'lib/index.js': 'http-graceful-shutdown.cjs' },
    command: ['--test', '--test-reporter=tap', 'test/test.js'],
    output: 'tap',
  },
  'close-with-grace': {
    npm: 'close-with-grace@2.5.0',
    dependencies: { tape: '^5.9.0' },
    // A service leaves the other nine to the program.
    prepared: { 'events/signal.events.js': "exports.signalEvents = ['SIGINT', 'SIGTERM'];\n" },
    adapted: { 'index.js': 'close-with-grace.cjs' },
    command: ['test/close.test.js'],
    output: 'tape',
  },
  'go-systemd': {
    npm: null,
    source: goSystemd,
    dependencies: {},
    adapted: {
      'test_bins/activation.example': 'go-systemd-example.cjs',
      'test_bins/listen.example': 'go-systemd-example.cjs',
      'test_bins/udpconn.example': 'go-systemd-example.cjs',
      'daemon/sdnotify.go': 'go-systemd-daemon.go',
      'daemon/watchdog.go': null,
    },
    command: ['go', 'test', '-vet=off', '-v', '-timeout=60s', './activation', './daemon'],
    output: 'go',
  },
  tableflip: {
    npm: null,
    source: tableflip,
    dependencies: {},
    adapted: {},
    command: ['go', 'test', '-vet=off', '-v', '-timeout=60s', '.'],
    output: 'go',
    scenarios: 'tableflip.mjs',
  },
  puma: { npm: null, version: '6.6.0', dependencies: {}, adapted: {}, scenarios: 'puma.mjs' },
  'TEST-80 of systemd': {
    npm: null,
    source: systemd,
    dependencies: {},
    adapted: { 'systemd-notify.mjs': 'systemd-notify.mjs' },
    command: [runner('test-80.js')],
    output: 'tap',
  },
  'test-daemon of systemd': {
    npm: null,
    source: systemd,
    dependencies: {},
    adapted: { 'test-daemon.mjs': 'test-daemon.mjs' },
    command: [runner('test-daemon.js')],
    output: 'tap',
  },
};
