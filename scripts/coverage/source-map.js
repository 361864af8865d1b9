// The mappings of a source map: which place of which source a place of the output comes from.

const digits = new Map(
  [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].map((digit, value) => [digit, value]),
);

/** The numbers of one segment, written in base 64 with the sign in the lowest bit. */
function decode(segment) {
  const numbers = [];
  let [value, shift] = [0, 0];
  for (const character of segment) {
    const digit = digits.get(character);
    value += (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    numbers.push(value & 1 ? -(value >> 1) : value >> 1);
    [value, shift] = [0, 0];
  }
  return numbers;
}

/**
 * @param {{ sources: string[], mappings: string }} map
 * @param {string} output
 * @returns {{ offset: number, source: string, line: number }[]} in the order of the output; lines count from 1
 */
export function mappingsOf(map, output) {
  const all = [];
  let start = 0;
  let [source, line] = [0, 0];
  const lines = output.split('\n');
  for (const [number, text] of map.mappings.split(';').entries()) {
    let column = 0;
    for (const segment of text.split(',')) {
      if (segment === '') continue;
      const [columns, sources, sourceLines] = decode(segment);
      column += columns;
      if (sources === undefined) continue;
      source += sources;
      line += sourceLines;
      all.push({ offset: start + column, source: map.sources[source], line: line + 1 });
    }
    start += (lines[number]?.length ?? 0) + 1;
  }
  return all;
}
