import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from './support/activate.ts';
import { Run } from './support/cli.ts';
import { temporaryFolder } from './support/folder.ts';
import { get } from './support/http.ts';

const serve = [process.execPath, join(root, 'test/fixtures/serve.js')];

t.test('while nothing happens it does not wake up', { skip: !existsSync('/proc/self/task') }, async (t) => {
  const run = new Run(t, ['-l', '127.0.0.1:0', '--watch', temporaryFolder(t), '--', ...serve]);
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
  const quiet = async (): Promise<number> => {
    // Node compiles and collects for a while after its start.
    for (let before = switches(), round = 0; ; round++) {
      await pause(1500); // longer than serve() waits with its next STATUS=
      const after = switches();
      if (after === before || round === 8) break;
      before = after;
    }
    const before = switches();
    await pause(2000);
    return switches() - before;
  };
  t.equal(await quiet(), 0, 'with an open socket');
  await get(port);
  t.equal(await quiet(), 0, 'with a command that runs');
});
