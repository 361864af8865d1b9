// npm run test:chaos [-- [--steps 2000] [--seed N] [--node 20,22,24,26]]: random adversity under systemd and `listenfds run`, see
// test/chaos. It goes in runs of 200 steps, each with a seed of its own: the first is the one given, or what the clock says. A
// run that fails is done again by `--steps 200 --seed N`, with the same steps.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cleanEnvironment, majors, nodeBinary } from './node-versions.js';

const root = join(import.meta.dirname, '..');
const stepsPerRun = 200;

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '2000' },
    seed: { type: 'string', default: String(Math.floor(Date.now() / 1000) % 1_000_000) },
    node: { type: 'string', default: majors.join(',') },
  },
});
const [steps, seed] = [Number(values.steps), Number(values.seed)];
if (!(steps >= 1) || !(seed >= 0)) {
  console.error(`--steps ${values.steps} --seed ${values.seed}: these are whole numbers.`);
  process.exit(2);
}

/**
 * @param {string} node
 * @param {number} from
 * @param {number} count
 */
async function run(node, from, count) {
  const tap = join(root, 'node_modules/.bin/tap');
  const env = {
    ...cleanEnvironment(),
    LISTENFDS_CHAOS_NODE: node,
    LISTENFDS_CHAOS_SEED: String(from),
    LISTENFDS_CHAOS_STEPS: String(count),
  };
  const child = spawn(tap, ['--timeout=1800', 'test/chaos/chaos.test.ts'], { cwd: root, env, stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  return code === 0;
}

let failed = 0;
for (const major of values.node.split(',').map(Number)) {
  const node = await nodeBinary(major);
  const began = performance.now();
  for (let done = 0; done < steps; done += stepsPerRun) {
    const from = seed + done / stepsPerRun;
    if (await run(node, from, Math.min(stepsPerRun, steps - done))) continue;
    failed += 1;
    console.error(`Node.js ${major}: npm run test:chaos -- --node ${major} --seed ${from} --steps ${stepsPerRun}`);
  }
  const minutes = ((performance.now() - began) / 60_000).toFixed(1);
  console.log(
    `Node.js ${major}: ${steps} steps from seed ${seed} in ${minutes} min, ${failed} runs have failed so far`,
  );
}
process.exitCode = failed > 0 ? 1 : 0;
