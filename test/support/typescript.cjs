// tap loads this into every test, before its plugin for TypeScript: tests are compiled by esbuild, once for all processes. The
// plugin would load the TypeScript compiler into each of them, twice, which took half of the time of a whole run.
const { register } = require('node:module');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');

process.env.TAP_TYPE_STRIP_ONLY = '1'; // has the plugin stay away
register(pathToFileURL(join(__dirname, 'typescript-hooks.js')));
