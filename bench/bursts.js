// Requests per second of http servers, and what a request costs them: short bursts of load on one after the other, by autocannon
// from this process.
import autocannon from 'autocannon';
import { get } from '../test/support/http.js';
import { stop } from './activate.js';
import { median } from './rounds.js';

/** A server answers with its CPU time in µs. */
async function burst({ port }, requests) {
  const before = Number(await get(port));
  const { start, finish } = await autocannon({
    url: `http://127.0.0.1:${port}/`,
    connections: 32,
    amount: requests,
    sampleInt: 5, // it also is how precisely autocannon notices that it is done
  });
  const seconds = (finish - start) / 1000;
  const cpu = Number(await get(port)) - before;
  return { perSecond: requests / seconds, cpu: cpu / requests };
}

/** In an order that says nothing. */
const shuffle = (names) =>
  names
    .map((name) => [Math.random(), name])
    .sort(([a], [b]) => a - b)
    .map(([, name]) => name);

/**
 * What the optimising compiler does to one process it may not do to the next: two processes that run the same program
 * differ by 5 %. So servers are new every second round, and what is compared are pairs of processes that lived at the same time.
 *
 * @template {string} Side
 * @param {Record<Side, () => Promise<{ child: import('node:child_process').ChildProcess, port: number }>>} starters
 * @param {number} rounds
 * @param {number} requests in a burst, of which the first is not counted: it should take about half a second
 * @returns {Promise<Record<Side, { perSecond: number[], cpu: number[] }>>} one figure for each process, in µs per request for cpu;
 *   the same index is the same time
 */
export async function measureBursts(starters, rounds, requests) {
  const names = Object.keys(starters);
  const results = Object.fromEntries(names.map((name) => [name, { perSecond: [], cpu: [] }]));
  for (let left = rounds; left > 0; left -= 2) {
    const servers = {};
    try {
      for (const name of shuffle(names)) servers[name] = await starters[name]();
      const bursts = Object.fromEntries(names.map((name) => [name, []]));
      for (let round = -1; round < Math.min(left, 2); round++) {
        for (const name of shuffle(names)) {
          const result = await burst(servers[name], requests);
          if (round >= 0) bursts[name].push(result);
        }
      }
      for (const name of names) {
        for (const key of ['perSecond', 'cpu']) results[name][key].push(median(bursts[name].map((one) => one[key])));
      }
    } finally {
      for (const { child } of Object.values(servers)) await stop(child);
    }
  }
  return results;
}
