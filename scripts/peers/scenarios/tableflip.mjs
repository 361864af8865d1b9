// What tableflip's tests are about, with service.upgrade() in the place of its Upgrader, and by the names of its tests. Theirs look
// into its insides, so that none runs with another package; what each expects of the outside is told here in our words.
import { equal, match, notEqual, ok, rejects } from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { scenario } from './harness.mjs';

const host = '127.0.0.1';
const web = { port: 0, host, name: 'web' };
const { serve } = await import(process.env.LISTENFDS_DIST);

await scenario('TestUpgraderOnOS', async (service) => {
  service.configure({ apps: [web, { port: 0, host, name: 'zaphod' }, { port: 0, host, name: 'beeblebrox' }] });
  await service.up();
  const { pid } = await service.upgrade();
  notEqual(pid, service.child.pid);
  const { passed } = JSON.parse(await service.ask('/passed'));
  equal(
    passed
      .map(({ name }) => name)
      .filter((name) => /zaphod|beeblebrox/.test(name))
      .join(),
    'zaphod,beeblebrox',
  );
});

for (const [title, successor] of [
  ['TestUpgraderCleanExit', 'clean exit'],
  ['TestUpgraderUncleanExit', 'unclean exit'],
  ['TestChildExit', 'unclean exit'],
  ['TestChildNotReady', 'clean exit'],
]) {
  await scenario(title, async (service) => {
    service.configure({ apps: [web], successor });
    await service.up();
    equal((await service.upgrade()).code, 'LISTENFDS_UPGRADE_FAILED');
    equal(await service.ask('/id'), String(service.child.pid));
  });
}

for (const title of ['TestUpgraderTimeout', 'TestChildKill']) {
  await scenario(title, async (service) => {
    service.configure({ apps: [web], successor: 'hang', options: { upgradeTimeout: 1000 } });
    await service.up();
    const { code } = await service.upgrade();
    equal(code, 'LISTENFDS_UPGRADE_FAILED');
    const { pid } = await service.said('successor');
    ok(!service.alive().includes(String(pid)), 'it was killed');
  });
}

await scenario('TestUpgraderConcurrentUpgrade', async (service) => {
  service.configure({ apps: [web], successor: 'hang', options: { upgradeTimeout: 2000 } });
  await service.up();
  const first = service.upgrade();
  await service.said('successor');
  equal((await service.upgrade()).code, 'LISTENFDS_UPGRADE_REFUSED');
  await first;
});

await scenario('TestHasParent', async (service) => {
  service.configure({ apps: [web] });
  await service.up();
  equal(JSON.parse(await service.ask('/passed')).state, null);
});

for (const title of ['TestUpgraderReady', 'TestChildReady']) {
  await scenario(title, async (service) => {
    service.configure({ apps: [web] });
    await service.up();
    const { pid } = await service.upgrade();
    equal((await service.exited)[0], 0);
    equal(await service.ask('/id'), String(pid));
  });
}

await scenario('TestUpgraderShutdownCancelsUpgrade', async (service) => {
  service.configure({ apps: [web], successor: 'hang' });
  await service.up();
  const upgrade = service.ask('/upgrade');
  await service.said('successor');
  service.child.kill('SIGTERM');
  match(await upgrade, /LISTENFDS_UPGRADE_(FAILED|REFUSED)/);
  equal((await service.exited)[0], 0);
  // And after the end there is none.
  const { createServer } = await import('node:http');
  const stopped = await serve(createServer(), { port: 0, host, upgrade: true, exit: false, activation: 'never' });
  await stopped.close();
  await rejects(stopped.upgrade(), { code: 'LISTENFDS_UPGRADE_REFUSED' });
});

for (const title of ['TestFdsAddListener', 'TestFdsAddPacketConn', 'TestFdsListen', 'TestChildPassedFds']) {
  await scenario(title, async (service) => {
    const at = (name) => join(service.folder, name);
    service.configure({
      apps: [web, { path: at('unix'), name: 'unix' }, { path: `\0${at('abstract')}`, name: 'abstract' }],
      datagrams: [
        { port: 0, host, name: 'udp' },
        { path: at('gram'), name: 'gram' },
        { path: `\0${at('gram')}`, name: 'abstract-gram' },
      ],
      packets: [
        { path: at('packet'), name: 'packet' },
        { path: `\0${at('packet')}`, name: 'abstract-packet' },
      ],
    });
    await service.up();
    const { pid } = await service.upgrade();
    ok(pid);
    const { passed } = JSON.parse(await service.ask('/passed'));
    const names = passed.map(({ name }) => name);
    for (const name of ['web', 'unix', 'abstract', 'udp', 'gram', 'abstract-gram', 'packet', 'abstract-packet'])
      ok(names.includes(name), `${name} is in ${names}`);
  });
}

await scenario('TestFdsRemoveUnix/closeAndRemoveUsed', async (service) => {
  const path = join(service.folder, 'unix');
  service.configure({ apps: [web, { path, name: 'unix' }] });
  await service.up();
  ok(existsSync(path));
  service.child.kill('SIGTERM');
  await service.exited;
  ok(!existsSync(path));
});

await scenario('TestFdsRemoveUnix/closeInherited', async (service) => {
  const path = join(service.folder, 'unix');
  service.configure({ apps: [web, { path, name: 'unix' }] });
  await service.up();
  service.configure({ apps: [web] });
  await service.upgrade();
  await service.exited;
  ok(!existsSync(path), 'nobody listens there any more');
});

await scenario('TestFdsRemoveUnix/closeUsed', async (service) => {
  const path = join(service.folder, 'unix');
  service.configure({ apps: [{ path, name: 'unix' }] });
  await service.up();
  const { pid } = await service.upgrade();
  await service.exited;
  equal(await service.ask('/id'), String(pid));
});

await scenario('TestFdsConn', async (service) => {
  service.configure({ apps: [web, { path: join(service.folder, 'raw'), name: 'raw', echo: true }] });
  await service.up();
  const client = connect(join(service.folder, 'raw'));
  client.setEncoding('utf8').write('a');
  equal((await once(client, 'data'))[0], `a ${service.child.pid}`);
  const { pid } = await service.upgrade();
  await service.exited;
  client.write('b');
  equal((await once(client, 'data'))[0], `b ${pid}`);
  client.destroy();
});
process.exit();
