// Random adversity: what a service goes through in years, in minutes. `npm run test:chaos` tries longer, and each Node.js.
import t from 'tap';
import { withoutSystemd } from '../support/systemd.ts';
import { episodes } from './steps.ts';
import { tryOut } from './trial.ts';

t.setTimeout(1_800_000);
const seed = Number(process.env['LISTENFDS_CHAOS_SEED'] ?? 1);
const steps = Number(process.env['LISTENFDS_CHAOS_STEPS'] ?? 60);
const node = process.env['LISTENFDS_CHAOS_NODE'] ?? process.execPath;

t.test(`seed ${seed}, ${steps} steps`, { skip: withoutSystemd() }, async (t) => {
  const { problems, ...report } = await tryOut(t, node, episodes(seed, steps), (line) => t.comment(line));
  for (const problem of problems) console.error(problem);
  t.equal(problems.length, 0, 'nothing that must hold did not');
  t.equal(report.steps, steps);
  t.ok(report.answered > steps, JSON.stringify(report));
});
