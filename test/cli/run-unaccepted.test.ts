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
const deaf = `${here}; setTimeout(() => { for (;;); }, 0)`;

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

t.test('a launcher in front is named, and one that listens and accepts nothing', async (t) => {
  const nodemon = join(temporaryFolder(t), 'nodemon');
  symlinkSync('/bin/sh', nodemon);
  const launched = await started(t, 'TCP', nodemon, '-c', 'exec 3<&-; sleep 600');
  const busy = await started(t, 'TCP', process.execPath, '-e', deaf);
  await launched.says(/nobody listens there\. nodemon is in front of the program: write listenfds run --watch/);
  await busy.says(/a connection waits at \S+: pid \d+ listens there and accepts nothing/);
  for (const run of [launched, busy]) run.program.child.kill('SIGKILL');
});

t.test('of a program that accepts nothing is said', async (t) => {
  const run = await started(t, 'TCP', process.execPath, '-e', here);
  await sleep(6_000);
  t.notMatch(run.program.stderr, 'waits at');
  run.signal('SIGTERM');
  await run.program.ended;
});
