// `listenfds run` where nobody accepts: a program that listens elsewhere, or a launcher in front of it.
import { symlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Run } from '../support/cli.ts';
import { temporaryFolder } from '../support/folder.ts';

const elsewhere = "require('node:net').createServer().listen(0, '127.0.0.1')";
const here = "require('node:net').createServer((socket) => socket.end()).listen({ fd: 3 })";

/** Starts the command by a connection, over TCP or a unix socket. */
async function started(t: Test, kind: 'TCP' | 'unix', ...command: string[]): Promise<Run> {
  const path = join(temporaryFolder(t), 's');
  const run = new Run(t, ['-l', kind === 'unix' ? path : '127.0.0.1:0', '--', ...command]);
  const at =
    kind === 'unix' ? (await run.says(/listening on/), { path }) : { port: await run.port(), host: '127.0.0.1' };
  const client = connect(at).on('error', () => {});
  t.teardown(() => client.destroy());
  await run.says(/started/);
  return run;
}

t.jobs = 4;

for (const kind of ['TCP', 'unix'] as const) {
  t.test(`a connection that nobody accepts is told, with the reason: ${kind}`, async (t) => {
    const place = kind === 'unix' ? '/\\S+/s' : '127\\.0\\.0\\.1:\\d+';
    const run = await started(t, kind, process.execPath, '-e', elsewhere);
    await run.says(
      new RegExp(`a connection waits at ${place}: nobody listens there\\. Does the program listen elsewhere`),
    );
    run.signal('SIGTERM');
    await run.program.ended;
  });
}

t.test('a launcher in front is named', async (t) => {
  const nodemon = join(temporaryFolder(t), 'nodemon');
  symlinkSync('/bin/sh', nodemon);
  const run = await started(t, 'TCP', nodemon, '-c', 'exec 3<&-; sleep 600');
  await run.says(/nobody listens there\. nodemon is in front of the program: write listenfds run --watch/);
  run.signal('SIGTERM');
  await run.program.ended;
});

t.test('a program that listens and does not come to accept is told apart', async (t) => {
  const run = await started(t, 'TCP', process.execPath, '-e', here);
  const [, port] = /127\.0\.0\.1:(\d+)/.exec(run.program.stderr)!;
  const [, pid] = /pid (\d+)/.exec(run.program.stderr)!;
  await sleep(1_500); // it has accepted the first one
  process.kill(Number(pid), 'SIGSTOP');
  const client = connect(Number(port), '127.0.0.1').on('error', () => {});
  t.teardown(() => client.destroy());
  await run.says(new RegExp(`a connection waits at \\S+: pid ${pid} listens there and accepts nothing`));
  process.kill(Number(pid), 'SIGCONT');
  run.signal('SIGTERM');
  await run.program.ended;
});

t.test('of a program that accepts nothing is said', async (t) => {
  const run = await started(t, 'TCP', process.execPath, '-e', here);
  await sleep(6_000);
  t.notMatch(run.program.stderr, 'waits at');
  run.signal('SIGTERM');
  await run.program.ended;
});
