// listenfds upgrade PID: ask a running service for an upgrade, and tell how it went; made for ExecReload=.
import { CommandError, type CommandLine, UsageError } from './command-line.js';
import { write } from './terminal.js';

export async function upgrade(line: CommandLine): Promise<number> {
  const [text = '', ...more] = line.operands;
  if (!/^[1-9][0-9]*$/.test(text) || more.length > 0) {
    throw new UsageError('the process to upgrade must be given by its pid', 'ExecReload=listenfds upgrade $MAINPID');
  }
  const { askForUpgrade } = await import('../service/room.js');
  const answer = await askForUpgrade(Number(text));
  if (!answer.ok) throw new CommandError(answer.message, 'the old process goes on serving');
  write(1, `upgraded from pid ${text} to pid ${answer.pid} in ${Math.round(answer.durationMs)} ms\n`);
  return 0;
}
