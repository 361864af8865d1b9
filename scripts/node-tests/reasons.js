// Why a test of Node's own may differ with this package in between: the key of a reason → its sentence, and the tests that it is
// true of, for each side (sides.js). A difference that is not listed here fails `npm run test:node`.

export const reasons = {};

/** @type {Record<string, Record<string, string[]>>} side → reason → tests */
const accepted = {};

/** @returns {string | undefined} the key of the reason */
export function reasonFor(side, test) {
  return Object.entries(accepted[side] ?? {}).find(([, tests]) => tests.includes(test.replace(/\.m?js$/, '')))?.[0];
}
