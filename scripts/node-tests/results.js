// What was found, kept in the cache folder for each Node.js and side, so that a run can be stopped at any time and goes on
// where it was: only what is not known to pass is run again.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cache } from '../node-versions.js';

const folder = join(cache, 'node-test-results');

/**
 * @typedef {object} Results
 * @property {number} major
 * @property {string} side
 * @property {string} node the version
 * @property {number} of the release line that the tests are of
 * @property {number} all the tests that concern the side
 * @property {string[]} days
 * @property {Record<string, string>} tests name → '' for passes, 'plain' for fails with Node.js alone as well, or what differs
 */

const fileOf = (major, side) => join(folder, `${major}-${side}.json`);

/** @returns {Results} what is known, or nothing yet */
export function readResults(major, side) {
  try {
    return JSON.parse(readFileSync(fileOf(major, side), 'utf8'));
  } catch {
    return { major, side, node: '', of: major, all: 0, days: [], tests: {} };
  }
}

/** @param {Results} results */
export function keepResults(results) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(fileOf(results.major, results.side), JSON.stringify(results, null, 1));
}

/** @returns {Results[]} */
export function allResults() {
  mkdirSync(folder, { recursive: true });
  return readdirSync(folder).map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')));
}
