// What puma's tests expect of a server under a manager and of its restarts, by the names of its tests (test_plugin_systemd.rb,
// test_integration_single.rb, test_binder.rb) and in our words: puma runs Ruby programs alone.
import { equal, match, notEqual, ok } from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { held } from '../held.js';
import { refused, scenario } from './harness.mjs';

const { listenDatagram } = await import(process.env.LISTENFDS_DIST.replace('index', 'sockets'));
const host = '127.0.0.1';
const web = { port: 0, host, name: 'web' };

/** A manager that listens to what the service says. */
async function manager({ folder }) {
  const path = join(folder, 'notify');
  const { socket } = await listenDatagram({ path, activation: 'never' });
  const lines = [];
  socket.on('message', (message) => lines.push(...String(message).trim().split('\n')));
  const states = () => lines.filter((line) => /^(READY|RELOADING|STOPPING)=1$/.test(line)).join(' ');
  const heard = async (line) => {
    for (let i = 0; i < 500 && !lines.some((one) => one.startsWith(line)); i++) await wait(10);
    ok(
      lines.some((one) => one.startsWith(line)),
      `${line} is in ${lines}`,
    );
  };
  return { socket, states, heard, env: { NOTIFY_SOCKET: path } };
}

await scenario('test_systemd_notify', async (service) => {
  const { socket, states, heard, env } = await manager(service);
  service.configure({ apps: [web] });
  await service.up({ env });
  await heard('READY=1');
  await heard('STATUS=');
  service.child.kill('SIGTERM');
  await service.exited;
  await heard('STOPPING=1');
  equal(states(), 'READY=1 STOPPING=1');
  socket.close();
});

await scenario('test_systemd_notify_usr2_hot_restart_single', async (service) => {
  const { socket, states, heard, env } = await manager(service);
  service.configure({ apps: [web] });
  await service.up({ env });
  await service.upgrade();
  const { pid } = await service.upgrade();
  process.kill(pid, 'SIGTERM');
  await heard('STOPPING=1');
  equal(states(), 'READY=1 RELOADING=1 READY=1 RELOADING=1 READY=1 STOPPING=1');
  socket.close();
});

await scenario('test_systemd_watchdog', async (service) => {
  const { socket, heard, env } = await manager(service);
  service.configure({ apps: [web] });
  await service.up({ env: { ...env, WATCHDOG_USEC: '1000000' } });
  await heard('WATCHDOG=1');
  service.child.kill('SIGTERM');
  await heard('STOPPING=1');
  socket.close();
});

await scenario('test_systemd_plugin_not_loaded', async (service) => {
  service.configure({ apps: [web] });
  await service.up();
  equal(await service.ask('/id'), String(service.child.pid));
});

await scenario('test_hot_restart_does_not_drop_connections', async (service) => {
  service.configure({ apps: [web] });
  await service.up();
  let going = true;
  const failures = [];
  const clients = Array.from({ length: 4 }, async () => {
    for (let asked = 0; going || asked === 0; asked++)
      await service.ask('/id').catch((error) => failures.push(error.code));
  });
  for (let i = 0; i < 3; i++) await service.upgrade();
  going = false;
  await Promise.all(clients);
  equal(failures.join(), '');
});

await scenario('test_usr2_restart', async (service) => {
  service.configure({ apps: [web] });
  await service.up();
  const slow = service.ask('/slow');
  await wait(100);
  const { pid } = await service.upgrade();
  notEqual(pid, service.child.pid);
  equal(await slow, `slow ${service.child.pid}`);
});

for (const how of ['the program loads .env', 'node --env-file']) {
  await scenario(`test_usr2_restart_restores_environment: ${how}`, async (service) => {
    const file = join(service.folder, '.env');
    writeFileSync(file, 'GREETING=one\n');
    service.configure({ apps: [web] });
    await service.up(how.startsWith('node') ? { args: [`--env-file=${file}`] } : { env: { DOTENV: file } });
    equal(await service.ask('/env'), 'one');
    writeFileSync(file, 'GREETING=two\n');
    await service.upgrade();
    equal(await service.ask('/env'), 'two');
  });
}

await scenario('test_term_exit_code', async (service) => {
  service.configure({ apps: [web] });
  await service.up();
  service.child.kill('SIGTERM');
  equal((await service.exited).join(), ',SIGTERM');
});

await scenario('test_term_suppress', async (service) => {
  service.configure({ apps: [web] });
  await service.up();
  service.child.kill('SIGTERM');
  equal((await service.exited).join(), '0,');
});

await scenario('test_on_booted_and_on_stopped', async (service) => {
  service.configure({ apps: [web] });
  await service.up();
  service.child.kill('SIGTERM');
  await service.said('stopped');
});

await scenario('test_term_not_accepts_new_connections', async (service) => {
  service.configure({ apps: [web] });
  await service.up();
  const slow = service.ask('/slow');
  await wait(100);
  service.child.kill('SIGTERM');
  while ((await refused(service.ask('/id'))) === 'answered') await wait(10);
  equal(await refused(service.ask('/id')), 'ECONNREFUSED');
  match(await slow, /^slow/);
});

await scenario('test_int_refuse', async (service) => {
  service.configure({ apps: [web] });
  await service.up();
  service.child.kill('SIGINT');
  await service.exited;
  equal(await refused(service.ask('/id')), 'ECONNREFUSED');
});

await scenario('test_closed_listener', async (service) => {
  service.configure({ apps: [web] });
  await service.up();
  await service.ask('/close-listener');
  service.child.kill('SIGTERM');
  match((await service.exited).join(), /^(0,|,SIGTERM)$/); // it may have ended by itself, since nothing is left to do
});

await scenario('test_pre_existing_unix', async (service) => {
  const path = join(service.folder, 'unix');
  writeFileSync(path, 'pre existing');
  service.configure({ apps: [{ path }] });
  service.start();
  equal((await service.exited)[0], 1);
  equal(readFileSync(path, 'utf8'), 'pre existing');
});

await scenario('test_pre_existing_unix_stop_after_restart', async (service) => {
  const path = join(service.folder, 'unix');
  service.configure({ apps: [{ path }] });
  await service.up();
  const { pid } = await service.upgrade();
  process.kill(pid, 'SIGTERM');
  while (service.alive().length > 0) await wait(10);
  ok(!existsSync(path));
});

await scenario('test_listeners_file_unlink_if_unix_listener', async (service) => {
  const path = join(service.folder, 'unix');
  service.configure({ apps: [{ path }] });
  await service.up();
  ok(existsSync(path));
  await service.ask('/stop');
  while (existsSync(path)) await wait(10);
});

await scenario('test_idle_timeout', async (service) => {
  const { fd, release } = await held(0, host);
  service.configure({ apps: [{}], options: { idleTimeout: 300 } });
  await service.up({ fds: [fd] });
  equal((await service.exited)[0], 0);
  release();
});

await scenario('test_pre_existing_unix_after_idle_timeout', async (service) => {
  const path = join(service.folder, 'unix');
  const { fd, release } = await held(path);
  service.configure({ apps: [{}], options: { idleTimeout: 300 } });
  await service.up({ fds: [fd] });
  equal((await service.exited)[0], 0);
  ok(existsSync(path), 'it is the manager that has it');
  release();
});

for (const [title, ...where] of [
  ['test_socket_activation_tcp', 0, host],
  ['test_socket_activation_tcp_ipv6', 0, '::'],
]) {
  await scenario(title, async (service) => {
    const { fd, address, release } = await held(...where);
    release();
    service.configure({ apps: [{}] });
    await service.up({ fds: [fd] });
    equal(service.address.port, address.port);
    equal(await service.ask('/id'), String(service.child.pid));
  });
}

await scenario('test_socket_activation_unix', async (service) => {
  const path = join(service.folder, 'unix');
  const { fd, release } = await held(path);
  service.configure({ apps: [{}] });
  await service.up({ fds: [fd] });
  equal(service.address, path);
  release();
});

await scenario('test_synthesize_binds_from_activated_fds_no_sockets', async (service) => {
  service.configure({ apps: [web] });
  await service.up();
  equal(service.address.address, host);
});

await scenario('test_synthesize_binds_from_activated_fds_non_matching_only', async (service) => {
  const { fd, address, release } = await held(0, '0.0.0.0');
  release();
  service.configure({ apps: [{ port: 1, host: '0.0.0.0' }] });
  await service.up({ fds: [fd] });
  equal(service.address.port, address.port);
});

await scenario('test_synthesize_binds_from_activated_fds_non_matching_together', async (service) => {
  const { fd, address, release } = await held(0, host);
  release();
  service.configure({ apps: [{ path: join(service.folder, 'unix') }] });
  await service.up({ fds: [fd] });
  equal(await service.ask('/id', join(service.folder, 'unix')), await service.ask('/id', address));
});

await scenario('test_correct_zero_port', async (service) => {
  service.configure({ apps: [web] });
  await service.up();
  ok(service.address.port > 0);
});
process.exit();
