// What every benchmark shares: sides measured turn by turn, and the rows that come of it.

/**
 * Measures every side once per round, so that whatever disturbs the machine disturbs all of them. The order turns from
 * round to round: nobody always comes after the same neighbour. One round before the first is thrown away.
 *
 * @template {string} Side
 * @param {Record<Side, (round: number) => Promise<number | object>>} sides
 * @param {number} rounds
 * @returns {Promise<Record<Side, any[]>>} what each side returned, round by round: the same index is the same round
 */
export async function interleave(sides, rounds) {
  const names = Object.keys(sides);
  const results = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round + 1) % names.length];
      const result = await sides[name](round);
      if (round >= 0) results[name].push(result);
    }
  }
  return results;
}

/** @param {number[]} values */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * The median of the differences, round by round: what drifts from minute to minute cancels out.
 *
 * @param {number[]} ours
 * @param {number[]} other
 */
export function medianDifference(ours, other) {
  return median(ours.map((value, round) => value - other[round]));
}

/**
 * Between which two values the median ratio is with 95 % confidence: the bootstrap, over pairs that were measured at the same time.
 *
 * @param {number[]} ratios
 * @returns {[number, number]}
 */
export function interval(ratios) {
  const drawn = () => ratios[Math.floor(Math.random() * ratios.length)];
  const medians = Array.from({ length: 4000 }, () => median(ratios.map(drawn))).sort((a, b) => a - b);
  return [medians[100], medians[3899]];
}

/**
 * One line of the outcome that compares pairs: medians, the median ratio, and its interval.
 *
 * @param {{ bench: string, metric: string, ours: number[], other: number[], against: string }} figures
 * @param {Parameters<typeof row>[1]} [limit]
 */
export function pairedRow({ ours, other, ...words }, limit) {
  const ratios = ours.map((value, pair) => value / other[pair]);
  const ratio = median(ratios);
  const whole = row({ ...words, ours: median(ours), other: median(other), ratio }, limit);
  return { ...whole, interval: interval(ratios) };
}

const quotient = (ours, other) => (other === null || other === 0 ? null : ours / other);

/**
 * One line of the outcome. A limit is one of `ratioAtLeast`, `ratioAtMost`, `atLeast`, `atMost` (the last two are about
 * `ours` itself); without one the row only informs.
 *
 * @param {{ bench: string, metric: string, ours: number, other?: number | null, against?: string | null, ratio?: number | null }} figures
 * @param {{ ratioAtLeast?: number, ratioAtMost?: number, atLeast?: number, atMost?: number }} [limit]
 */
export function row({ bench, metric, ours, other = null, against = null, ratio = quotient(ours, other) }, limit = {}) {
  const { ratioAtLeast, ratioAtMost, atLeast, atMost } = limit;
  const tests = [
    [ratioAtLeast, 'ratio >=', () => ratio >= ratioAtLeast],
    [ratioAtMost, 'ratio <=', () => ratio <= ratioAtMost],
    [atLeast, 'ours >=', () => ours >= atLeast],
    [atMost, 'ours <=', () => ours <= atMost],
  ];
  const [value, words, holds] = tests.find(([given]) => given !== undefined) ?? [];
  return {
    bench,
    metric,
    ours,
    other,
    against,
    ratio,
    target: value === undefined ? null : `${words} ${value}`,
    met: holds === undefined ? null : holds(),
  };
}
