// What happens between READY=1 of the successor and its word that it has taken over: as long as it has not, the old process
// is the service, and goes on as that.
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { activateModule } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { gone } from '../support/processes.ts';
import { receive } from '../support/receiver.ts';
import { alive, answer, exitOf, listening, start, upgrade } from '../support/upgradable.ts';

const options = { port: 0, host: '127.0.0.1' };

const mainPid = (text: string): number => Number(/^MAINPID=(\d+)/m.exec(text)![1]);

t.test(
  'a stop that the manager has sent before it read MAINPID= ends both, and neither before its requests',
  async (t) => {
    const manager = await receive(t);
    const service = await start(t, { options, env: { NOTIFY_SOCKET: manager.address } });
    await manager.command('hold');
    const asked = upgrade(service.pid);
    const { pid } = await listening(service);
    const slow = Promise.all(Array.from({ length: 20 }, () => answer(service.port, '/slow?ms=1500&say')));
    for (let i = 0; i < 20; i++) t.equal(await service.line(), 'asked');
    t.equal(mainPid((await manager.until(/^MAINPID=/m)).text), pid);
    await manager.until(/^BARRIER=1$/m);
    // The signal and the end of the barrier are there in the same turn of the event loop.
    process.kill(service.pid, 'SIGSTOP');
    process.kill(service.pid, 'SIGTERM');
    await manager.command('release');
    process.kill(service.pid, 'SIGCONT');
    t.match(await asked, { exitCode: 1, stderr: /The service is stopping/ });
    for (const text of await slow) t.match(text, /^slow \d+$/);
    t.equal(await exitOf(service), 0);
    await gone(pid);
    t.same(alive(service), []);
  },
);

for (const managed of [true, false]) {
  t.test(
    `a stop in the moment in which the successor is named: ${managed ? 'with' : 'without'} a manager`,
    async (t) => {
      const manager = await receive(t);
      const env = managed ? { NOTIFY_SOCKET: manager.address } : {};
      const service = await start(t, { options, env, program: 'upgrade-moment.js' });
      service.behave('stopped');
      t.match(await upgrade(service.pid), { exitCode: 1, stderr: /The service is stopping/ });
      t.equal(await exitOf(service), 0);
      while (alive(service).length > 0) await new Promise((resolve) => setImmediate(resolve));
    },
  );

  t.test(
    `a successor that is killed before it has taken over: ${managed ? 'with' : 'without'} a manager`,
    async (t) => {
      const manager = await receive(t);
      const env = managed ? { NOTIFY_SOCKET: manager.address } : {};
      const service = await start(t, { options, env, program: 'upgrade-moment.js' });
      service.behave('lost');
      t.match(await upgrade(service.pid), { exitCode: 1, stderr: /ended before it took over/ });
      t.equal(await answer(service.port), `pid ${service.pid}`);
      service.behave('');
      t.match(await upgrade(service.pid), { exitCode: 0 }, 'and the next one works');
      if (!managed) return;
      await listening(service); // of the first
      const { pid } = await listening(service);
      t.equal(mainPid((await manager.until(/^MAINPID=/m)).text), pid, 'the manager has not heard of the first');
    },
  );
}

t.test('a successor that is killed once the manager knows it: the manager is told who the service is', async (t) => {
  const manager = await receive(t);
  const service = await start(t, { options, env: { NOTIFY_SOCKET: manager.address } });
  await manager.command('hold');
  const asked = upgrade(service.pid);
  const pid = mainPid((await manager.until(/^MAINPID=/m)).text);
  t.not(pid, service.pid);
  process.kill(pid, 'SIGKILL');
  await gone(pid);
  await manager.command('release');
  t.match(await asked, { exitCode: 1, stderr: /ended before it took over/ });
  t.equal(mainPid((await manager.until(/^MAINPID=/m)).text), service.pid);
  t.match((await manager.until(/^READY=1/m)).text, /STATUS=Upgrade failed/);
  t.equal(await answer(service.port), `pid ${service.pid}`);
});

t.test('a process that does not greet its successor is not waited for without end', async (t) => {
  const path = join(temporaryFolder(t), 's');
  const silent = createServer(() => {}).listen(path);
  t.teardown(() => silent.close());
  const successor = activateModule(t, `import { serve } from 'listenfds'; await serve(() => {}, { port: 0 });`, {
    env: { LISTENFDS_UPGRADE: path },
  });
  const { code, stderr } = await successor.ended;
  t.equal(code, 1);
  t.match(stderr, /LISTENFDS_TIMEOUT/);
  t.match(stderr, /The hello of the old process did not finish within 1\d{4} ms/);
});
