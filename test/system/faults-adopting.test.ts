// Every system call on the way from LISTEN_FDS to a server that listens fails once: what was passed stays open, the
// environment is consumed as a whole, the error has a code, and another listen() gets the socket.
import { join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';
import { errnos, Faulty, withoutFaults, type Call, type Errno } from '../support/faults.ts';
import { temporaryFolder } from '../support/folder.ts';

const skip = withoutFaults;
const everything = process.env['LISTENFDS_FAULTS'] === 'all';
const chosen = Object.keys(errnos) as Errno[];

type Told = { code: string | null; message: string };
interface Answer {
  readonly found: number | Told;
  readonly outcome: string | Told | null;
  readonly retried: string | Told | null;
  readonly again: string | null;
  readonly variables: string[];
  /** A server listens, whatever listen() has said. */
  readonly serving: boolean;
  readonly kept: boolean;
}

// V8's and the event loop's, some of which libuv aborts on, and what cannot fail.
const notOurs =
  /^(gettid|getpid|rt_sig\w+|mmap|munmap|mprotect|madvise|brk|mremap|futex|epoll_\w+|sched_\w+|getrandom|access|read|write|exit\w*)$/;

function complaint({ words }: Call, answer: Answer): string | null {
  const { found, outcome, retried, again, variables, serving, kept } = answer;
  if (variables.length > 0) return `${variables.join(', ')} left in the environment`;
  if (again !== 'the same') return 'another listenFds() says something else';
  if (typeof found !== 'number') return found.code && kept ? null : `descriptors or code lost: ${found.message}`;
  if (typeof outcome === 'string') return outcome === 'inherited' && kept && serving ? null : outcome;
  if (!outcome?.code) return `an error without a code: ${outcome?.message}`;
  if (serving) return 'it failed, and serves';
  // Node closes what it cannot listen on, and a server that cannot tell its address is closed. The manager has its own.
  if (!kept && (words === 'listen' || words === 'getsockname')) return null;
  return kept && retried === 'inherited'
    ? null
    : `the socket is lost: ${outcome.code}, then ${JSON.stringify(retried)}`;
}

for (const kind of ['tcp', 'unix'] as const) {
  t.test(`adopting a ${kind} listener survives every fault`, { skip }, async (t) => {
    const folder = temporaryFolder(t);
    let number = 0;
    const start = async (): Promise<Faulty> => {
      const web = kind === 'tcp' ? 'tcp()' : `unix("${join(folder, String(number++))}")`;
      const command = [process.execPath, join(root, 'test/fixtures/adopt-faulty.js')];
      const faulty = new Faulty(t, command, { fds: [web, 'udp()'], names: ['web', 'other'] });
      await faulty.program.json();
      return faulty;
    };
    const { answer, calls } = await (await start()).trace<Answer>(false);
    t.match(answer, { found: 2, outcome: 'inherited' });
    const faults = calls
      .filter(({ name }: Call) => !notOurs.test(name))
      .flatMap((call, i) => (everything ? chosen : [chosen[i % chosen.length]!]).map((errno) => ({ ...call, errno })));
    const wrong: string[] = [];
    let injected = 0;
    const work = async (): Promise<void> => {
      for (let fault = faults.pop(); fault; fault = faults.pop()) {
        const faulty = await start();
        const label = `${fault.words} (${fault.nth}) fails with ${fault.errno}`;
        try {
          const { answer, injected: made } = await faulty.inject<Answer>(fault, false);
          if (made) injected++;
          const why = complaint(fault, answer);
          if (why !== null) wrong.push(`${label}: ${why}`);
        } catch (error) {
          const { code, signal, stderr } = await faulty.program.kill();
          wrong.push(`${label}: ended with ${code ?? signal}: ${(error as Error).message} ${stderr}`.slice(0, 400));
        }
      }
    };
    const wanted = faults.length;
    await Promise.all([work(), work()]);
    t.same(wrong, []);
    t.equal(injected, wanted, 'every fault was made');
    t.comment(`${kind}: ${injected} faults`);
  });
}
