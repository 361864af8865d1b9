// The table of docs/maintainers/node-tests.md, and the differences below it.
import { reasonFor, reasons } from './reasons.js';
import { sides } from './sides.js';

const header = ['Node.js', 'Tests of', 'With', 'Tests', 'Compared', 'Differ', 'Without a reason'];

/** @param {import('./results.js').Results} results */
export function differencesOf({ side, tests }) {
  return Object.entries(tests)
    .filter(([, found]) => found !== '' && found !== 'plain')
    .map(([test, why]) => ({ test, why, reason: reasonFor(side, test) }))
    .sort((a, b) => (a.test < b.test ? -1 : 1));
}

function table(all) {
  const lines = all.map((results) => {
    const different = differencesOf(results);
    const compared = Object.values(results.tests).filter((found) => found !== 'plain').length;
    const without = different.filter(({ reason }) => !reason).length;
    return [results.node, results.of, sides[results.side].what, results.all, compared, different.length, without];
  });
  return [header, header.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/**
 * @param {import('./results.js').Results[]} unsorted
 * @returns {string} Markdown
 */
export function report(unsorted) {
  const order = Object.keys(sides);
  const all = unsorted.toSorted((a, b) => a.major - b.major || order.indexOf(a.side) - order.indexOf(b.side));
  const parts = [table(all)];
  const found = new Map();
  for (const results of all) {
    for (const { test, why, reason } of differencesOf(results)) {
      const key = [reason ?? '', test, results.side, reason ? '' : `: ${why}`].join('\0');
      found.set(key, [...(found.get(key) ?? []), results.major]);
    }
  }
  for (const reason of [...Object.keys(reasons), '']) {
    const lines = [...found]
      .map(([key, nodes]) => [key.split('\0'), nodes])
      .filter(([[which]]) => which === reason)
      .map(([[, test, side, why], nodes]) => `- ${test} (${side}; Node.js ${nodes.join(', ')})${why}`);
    if (lines.length > 0) parts.push(`${reason ? reasons[reason] : 'Without a reason'}:\n\n${lines.sort().join('\n')}`);
  }
  return parts.join('\n\n');
}
