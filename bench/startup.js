// What the library adds to a start: from starting the program until a connection that was waiting has its answer, and
// what `import 'listenfds'` with listenFds() costs beside an empty program.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { firstAnswer, runActivated } from './activate.js';
import { installPackage } from './installed.js';
import { interleave, median, medianDifference, row } from './rounds.js';

const run = promisify(execFile);

/** The two figures that the import-* programs print. */
function figures({ stdout }) {
  const [wall, cpu] = stdout.split(' ').map(Number);
  return { wall, cpu };
}

export default async function startup({ rounds = 60 }) {
  const installed = installPackage();
  const { program } = installed;
  try {
    const answered = await interleave(
      {
        library: () => firstAnswer(program('http-library')),
        handwritten: () => firstAnswer(program('http-handwritten')),
        libraryExpress: () => firstAnswer(program('express-library')),
        handwrittenExpress: () => firstAnswer(program('express-handwritten')),
      },
      rounds,
    );
    const plain = async (name) => figures(await run(process.execPath, [program(name)]));
    const activated = async (name) => figures(await runActivated(program(name)));
    const imported = await interleave(
      {
        empty: () => plain('import-nothing'),
        emptyPackage: () => plain('import-empty-package'),
        library: () => plain('import-library'),
        emptyActivated: () => activated('import-nothing'),
        libraryActivated: () => activated('import-library'),
      },
      rounds,
    );

    const pick = (results, key) => results.map((one) => one[key]);
    const bench = 'startup';
    const compare = (app, metric, of, limit) => {
      const [ours, other] = [answered[`library${app}`], answered[`handwritten${app}`]].map(of);
      return row({ bench, metric, ours, other, against: 'listen({ fd: 3 })' }, limit);
    };
    const wall = (side) => median(pick(side, 'wall'));
    const added = (metric, side, base, limit, key = 'wall') =>
      row(
        {
          bench,
          metric,
          ours: medianDifference(pick(imported[side], key), pick(imported[base], key)),
          against: 'empty program',
        },
        limit,
      );
    return [
      compare('Express', 'Express, first answer, ms', wall, { ratioAtMost: 1.05 }),
      compare('', 'node:http, first answer, ms', wall, { ratioAtMost: 1.05 }),
      compare('', 'the same, fastest', (side) => Math.min(...pick(side, 'wall'))),
      compare('', 'the same, CPU ms', (side) => median(pick(side, 'cpu'))),
      added('import + listenFds(), added ms', 'library', 'empty', { atMost: 2 }),
      added('the same with a listener passed, ms', 'libraryActivated', 'emptyActivated', { atMost: 2 }),
      added('the same, CPU ms', 'libraryActivated', 'emptyActivated', {}, 'cpu'),
      added('of that, any package at all, ms', 'emptyPackage', 'empty'),
    ];
  } finally {
    installed.remove();
  }
}
