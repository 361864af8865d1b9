// A filter of system calls may end a process that calls listen(2), so a child tries it. If that tells nothing, the answer is no.
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { root } from '../support/activate.ts';
import { withoutFaults } from '../support/faults.ts';

/** What mayListen() of the addon says where system calls give something else than they do. */
function mayListen(...faults: string[]): string {
  const program = `console.log(require('./build/Release/listenfds.node').mayListen())`;
  const injections = faults.flatMap((fault) => ['-e', `inject=${fault}`]);
  const options = ['-f', '-o', '/dev/null', '-e', 'trace=prctl,clone,wait4,listen'];
  const { stdout, stderr, signal } = spawnSync('strace', [...options, ...injections, process.execPath, '-e', program], {
    cwd: root,
    encoding: 'utf8',
  });
  return stdout.trim() || `${signal} ${stderr}`;
}

const filtered = 'prctl:retval=2';

t.test('without a filter, and with one that allows it', { skip: withoutFaults }, (t) => {
  t.equal(mayListen(), 'true');
  t.equal(mayListen(filtered), 'true');
  t.equal(mayListen('prctl:error=EINVAL', 'listen:error=EPERM'), 'true', 'a kernel without filters');
  t.end();
});

t.test('what cannot be found out is no', { skip: withoutFaults }, (t) => {
  t.equal(mayListen(filtered, 'listen:error=EPERM'), 'false', 'the filter forbids it');
  t.equal(mayListen('prctl:error=EPERM', 'listen:error=EPERM'), 'false', 'it forbids to ask for a filter as well');
  t.equal(mayListen(filtered, 'wait4:error=ECHILD'), 'false', 'somebody else has waited for the child');
  t.equal(mayListen(filtered, 'clone:error=EAGAIN'), 'false', 'there can be no child');
  t.end();
});
