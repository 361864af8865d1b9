// The suites, and what of each is replaced by an adapter. From npm where the package brings its tests along; the others from a
// folder of checkouts (--from).

import { goSystemd } from './go.js';

const mocha = { mocha: '^10.8.2', chai: '^4.5.0' };

/**
 * @typedef {object} Suite
 * @property {string | null} npm the version that is taken, or null
 * @property {() => string} [source] a folder with it, where it is no package of npm
 * @property {string} [version] where no package.json says it
 * @property {Record<string, string>} dependencies
 * @property {Record<string, string | null>} adapted file of the peer → adapter, or null: it is removed
 * @property {string[]} command
 * @property {'mocha' | 'tap' | 'go'} output
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
  'go-systemd': {
    npm: null,
    source: goSystemd,
    version: "Debian's newest",
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
};
