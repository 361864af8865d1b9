// Environments as they could be found by sd_listen_fds(3): right ones, nearly right ones and nonsense.
import fc from 'fast-check';
import type { ListenVariables } from './insides.ts';

const digits = fc.constantFrom('0', '1', '2', '3', '7', '8', '9', 'a', 'f', '10', '40', '2147483647', '4294967296');
const oddities = fc.constantFrom(
  ' ',
  '\t',
  '\n',
  '\v',
  '\f',
  '\r',
  '+',
  '-',
  '0x',
  '0X',
  '0b',
  '0B',
  '0o',
  '0O',
  '_',
  '.',
  'n',
);

/** The spellings of a number that C accepts, and neighbours of those. */
function spellings(value: number): fc.Arbitrary<string> {
  const plain = fc.constantFrom(
    `${value}`,
    `0x${value.toString(16)}`,
    `0X${value.toString(16).toUpperCase()}`,
    `0${value.toString(8)}`,
    `0o${value.toString(8)}`,
    `0b${value.toString(2)}`,
  );
  const odd = fc.tuple(
    fc.constantFrom('', ' ', '\t', '\v', '+', '-', '00', '0b', '0o'),
    plain,
    fc.constantFrom('', ' ', 'z'),
  );
  return fc.oneof({ weight: 3, arbitrary: plain }, { weight: 1, arbitrary: odd.map((parts) => parts.join('')) });
}

const nonsense = fc.oneof(
  fc.array(fc.oneof(digits, oddities), { maxLength: 5 }).map((parts) => parts.join('')),
  fc.string({ unit: 'grapheme-ascii', maxLength: 8 }),
);

const smallCount = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 4 }) },
  { weight: 1, arbitrary: fc.integer({ min: -1, max: 60 }) },
);
const name = fc.oneof(
  fc.constantFrom('', 'web', 'unknown', 'connection', 'stored', ' ', 'ü', "it's", '"', '\\', '\\\\', 'a\\:b', 'a\\b'),
  fc.string({ unit: 'grapheme-ascii', maxLength: 4 }),
);
const names = fc.oneof(
  fc.array(name, { minLength: 1, maxLength: 5 }).map((list) => list.join(':')),
  fc.integer({ min: 0, max: 60 }).map((colons) => ':'.repeat(colons)),
);

function mostly<T>(right: fc.Arbitrary<T>, wrong: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof(
    { weight: 12, arbitrary: right },
    { weight: 3, arbitrary: wrong },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );
}

/** Environments that are often meant for process `pid`. None contains a NUL, as none can. */
export function environments(pid: number): fc.Arbitrary<ListenVariables> {
  return fc
    .record({
      LISTEN_PID: mostly(spellings(pid), nonsense),
      LISTEN_FDS: mostly(smallCount.chain(spellings), nonsense),
      LISTEN_FDNAMES: fc.oneof(fc.constant(undefined), names),
    })
    .map((all) => {
      const present = Object.entries(all).filter(([, value]) => value !== undefined);
      return Object.fromEntries(present.map(([key, value]) => [key, value!.replaceAll('\0', '')]));
    });
}
