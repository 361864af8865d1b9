// How long a request waits that starts its service: Express and Fastify as they are, bundled into one file, with Node's compile
// cache, and both, on every Node.js. docs/first-request.md has the recipe.
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { majors, nodeBinary } from '../scripts/node-versions.js';
import { firstAnswer } from './activate.js';
import { installPackage } from './installed.js';
import { interleave, median, row } from './rounds.js';

/** One file, with listenfds outside: it has an addon. */
function bundle(program, outfile) {
  return build({
    entryPoints: [program],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    minifySyntax: true,
    external: ['listenfds'],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'error',
  });
}

export default async function firstRequest({ rounds = 15 }) {
  const installed = installPackage();
  const rows = [];
  try {
    for (const framework of ['express', 'fastify']) {
      const plain = installed.program(`${framework}-library`);
      const bundled = join(dirname(plain), `${framework}-bundled.mjs`);
      await bundle(plain, bundled);
      for (const major of majors) {
        const node = await nodeBinary(major);
        const cache = join(dirname(plain), `cache-${major}`);
        mkdirSync(cache, { recursive: true });
        const cached = { node, env: { NODE_COMPILE_CACHE: cache } };
        const sides = {
          plain: () => firstAnswer(plain, { node }),
          bundled: () => firstAnswer(bundled, { node }),
        };
        // Node.js 20 has no compile cache.
        if (major >= 22) {
          sides['with a cache'] = () => firstAnswer(plain, cached);
          sides['bundled, with a cache'] = () => firstAnswer(bundled, cached);
        }
        const { plain: base, ...others } = await interleave(sides, rounds);
        const of = (side, key) => median(side.map((one) => one[key]));
        for (const [name, side] of Object.entries(others)) {
          for (const [key, words] of Object.entries({ wall: 'ms', cpu: 'CPU ms' })) {
            rows.push(
              row({
                bench: 'first-request',
                metric: `${framework}, Node.js ${major}, ${name}, ${words}`,
                ours: of(side, key),
                other: of(base, key),
                against: 'as it is',
              }),
            );
          }
        }
      }
    }
    return rows;
  } finally {
    installed.remove();
  }
}
