// What the library adds to a start: from starting the program until a connection that was waiting has its answer, and
// what `import 'listenfds'` with listenFds() costs beside an empty program and beside an empty package.
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
        emptyPackageActivated: () => activated('import-empty-package'),
        libraryActivated: () => activated('import-library'),
      },
      rounds,
    );

    const pick = (results, key) => results.map((one) => one[key]);
    const compare = (app, metric, of, limit) => {
      const [ours, other] = [answered[`library${app}`], answered[`handwritten${app}`]].map(of);
      return row({ bench: 'startup', metric, ours, other, against: 'listen({ fd: 3 })' }, limit);
    };
    const wall = (side) => median(pick(side, 'wall'));
    const cpu = (side) => median(pick(side, 'cpu'));
    /** CPU time of one side beyond another, in ms: the clock of a busy machine does not tell a millisecond. */
    const beyond = (side, base) => medianDifference(pick(imported[side], 'cpu'), pick(imported[base], 'cpu'));
    const added = {
      ours: beyond('library', 'empty'),
      other: beyond('emptyPackage', 'empty'),
      against: 'an empty package',
    };
    const adopted = { ours: beyond('libraryActivated', 'emptyPackageActivated'), against: 'an empty package' };
    return [
      compare('Express', 'Express, first answer, CPU ms', cpu, { ratioAtMost: 1.01 }),
      compare('Express', 'the same, by the clock', wall),
      compare('', 'node:http, first answer, CPU ms', cpu, { ratioAtMost: 1.05 }),
      compare('', 'the same, by the clock', wall),
      row({ bench: 'startup', metric: 'nothing passed: added CPU ms', ...added }, { ratioAtMost: 1.5 }),
      row({ bench: 'startup', metric: 'a listener passed: added CPU ms', ...adopted }, { atMost: 3 }),
    ];
  } finally {
    installed.remove();
  }
}
