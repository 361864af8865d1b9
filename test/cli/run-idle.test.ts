import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';
import { Run } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { unless } from '../support/tools.ts';

const serve = [process.execPath, join(root, 'test/fixtures/serve.js')];

const skip = unless(existsSync('/proc/self/task'), 'needs /proc');

t.test('while nothing happens it does not wake up', { skip }, async (t) => {
  // What happens beside the watched folder wakes it, too: other tests work beside a temporary one.
  const watched = join(temporaryFolder(t), 'src');
  mkdirSync(watched);
  const run = new Run(t, ['-l', '127.0.0.1:0', '--watch', watched, '--', ...serve]);
  const { pid } = run.program;
  const port = await run.port();
  /** How often its threads gave up the processor of their own accord: each wake-up ends in one. */
  const switches = (): number =>
    readdirSync(`/proc/${pid}/task`)
      .map(
        (task) =>
          /^voluntary_ctxt_switches:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'))![1],
      )
      .reduce((sum, one) => sum + Number(one), 0);
  const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  // V8 compiles and collects for some seconds after the last work, once; what ticks would never let three seconds pass.
  const quiet = async (): Promise<boolean> => {
    for (let round = 0; round < 8; round++) {
      const before = switches();
      await pause(3000);
      if (switches() === before) return true;
    }
    return false;
  };
  t.ok(await quiet(), 'with an open socket');
  await get(port);
  t.ok(await quiet(), 'with a command that runs');
});
