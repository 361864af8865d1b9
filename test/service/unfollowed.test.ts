// An upgrade where nobody would follow the new process: its supervisor watches the old one, whose end is then an outage.
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { resultOf } from '../support/activate.ts';
import { unless, without } from '../support/tools.ts';

const source = (options = '{}'): string => `
  import { serve } from 'listenfds';
  const service = await serve((request, response) => response.end(), { port: 0, host: '127.0.0.1', log() {} });
  const told = await service.upgrade({ command: ['/bin/false'], ...${options} }).catch(({ code, message }) => ({ code, message }));
  console.log(JSON.stringify(told));
  process.exit();`;

/** A parent of that name, and so a supervisor as far as its child can see. */
const under = (name: string): string[] => [
  'python3',
  '-c',
  `import ctypes, subprocess, sys
ctypes.CDLL(None).prctl(15, ${JSON.stringify(name)}.encode())
sys.exit(subprocess.run(sys.argv[1:]).returncode)`,
];

const itsPid = ['sh', '-c', 'SYSTEMD_EXEC_PID=$$ exec "$@"', 'sh'];

t.test('it is refused where the supervisor watches this process only', { skip: without('python3') }, async (t) => {
  for (const [through, why] of [
    [itsPid, /NOTIFY_SOCKET is not set; say Type=notify or Type=notify-reload/],
    [under('supervisord'), /supervisord watches this process.*listenfds run/],
    [under('runsv'), /runit watches/],
    [under('s6-supervise'), /s6 watches/],
    [under('circusd'), /circus watches/],
  ] as const) {
    const told = await resultOf(t, source(), { through });
    t.match(told, { code: 'LISTENFDS_UPGRADE_UNFOLLOWED', message: why });
  }
  const pm2 = await resultOf(t, source(), { through: under('PM2 v6.0.0: God'), env: { pm_id: '0' } });
  t.match(pm2, { code: 'LISTENFDS_UPGRADE_UNFOLLOWED', message: /pm2 watches/ });
});

const namespaces = spawnSync('unshare', ['--fork', '--pid', '--mount-proc', 'true']).status === 0;

t.test('and by process 1 of a container', { skip: unless(namespaces, 'needs PID namespaces') }, async (t) => {
  const told = await resultOf(t, source(), { through: ['unshare', '--fork', '--pid', '--mount-proc'] });
  t.match(told, { code: 'LISTENFDS_UPGRADE_UNFOLLOWED', message: /process 1/ });
});

t.test('it is tried by hand, under whoever can be told, and where the caller insists', async (t) => {
  const failed = { code: 'LISTENFDS_UPGRADE_FAILED', message: /ended with status 1/ };
  t.match(await resultOf(t, source()), failed, 'by hand');
  t.match(await resultOf(t, source(), { env: { NOTIFY_SOCKET: '@nobody' }, through: itsPid }), failed, 'NOTIFY_SOCKET');
  t.match(await resultOf(t, source('{ force: true }'), { through: itsPid }), failed, 'force');
});
