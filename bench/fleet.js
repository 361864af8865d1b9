// examples/fleet under load: three instances behind HAProxy, restarted one after the other by the example's own script. No
// request fails, and HAProxy sends none twice.
import { readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, withSystemd } from './lab.js';
import { now, startLoad } from './mixed-load.js';
import { row } from './rounds.js';
import { settle, summary, tell } from './under-load.js';

const bench = 'fleet';
const checkout = realpathSync(resolve(import.meta.dirname, '..'));
const folder = join(checkout, 'examples/fleet');

/** The example as it is, but for where things are on this machine and which ports are free. */
async function prepared() {
  const [front, back] = [await freePort(), await freePort()];
  const text = (name) =>
    readFileSync(join(folder, name), 'utf8')
      .replaceAll(':8080', `:${front}`)
      .replaceAll(':3000', `:${back}`)
      .replace('/usr/bin/node', process.execPath)
      .replace('/srv/web', folder)
      .replace('DynamicUser=yes\n', ''); // the checkout may be where only root is let in
  return { front, text };
}

const haproxy = `[Service]
Type=notify
RuntimeDirectory=haproxy
ExecStart=/usr/sbin/haproxy -Ws -f /run/haproxy.cfg
`;

/** Retries and redispatches: HAProxy hides a connection that was refused. */
async function sentAgain(lab) {
  const socket = connect(lab.path('/run/haproxy/fleet.sock'));
  socket.write('show stat\n');
  const lines = (await textOf(socket)).split('\n').map((line) => line.split(','));
  const column = (name) => lines[0].indexOf(name);
  const total = lines.find(([proxy, server]) => proxy === 'fleet' && server === 'BACKEND');
  return Number(total[column('wretr')]) + Number(total[column('wredis')]);
}

export default async function fleet({ rounds = 3 }) {
  const { front, text } = await prepared();
  const units = {
    'web@.socket': text('web@.socket'),
    'web@.service': text('web@.service'),
    'haproxy.service': haproxy,
  };
  return withSystemd(units, async (lab) => {
    const must = async (...command) => {
      const { code, stdout, stderr } = await lab.run(...command);
      if (code !== 0) throw new Error(`${command.join(' ')} failed with ${code}: ${stderr}\n${lab.log()}`);
      return stdout;
    };
    writeFileSync(lab.path('/run/haproxy.cfg'), text('haproxy.cfg'));
    for (const unit of ['web@1.socket', 'web@2.socket', 'web@3.socket', 'haproxy.service']) {
      await lab.systemctl('start', unit);
    }
    const load = await startLoad({ tcp: `127.0.0.1:${front}`, unix: null, h2: null, h2unix: null });
    await sleep(settle);
    const actions = [];
    for (let round = 0; round < rounds; round++) {
      const at = now();
      const said = await must(process.execPath, join(folder, 'rolling-upgrade.js'));
      console.error(said.trimEnd().replaceAll(/^/gm, '    '));
      actions.push({ at, ms: now() - at, untilAnswer: now() - at });
    }
    await sleep(settle);
    const result = { requests: await load.stop(), actions };
    const pids = await lab.systemctl('show', '--property=MainPID', '--value', 'web@1', 'web@2', 'web@3');
    const repeated = await sentAgain(lab);
    tell(`rolling upgrades, pids at the end ${pids.trim().split(/\s+/).join(' ')}`, result);
    const { failed, requests } = summary(result);
    return [
      row(
        { bench, metric: `failed of ${requests} requests, ${rounds} rolling upgrades of three`, ours: failed },
        { atMost: 0 },
      ),
      row({ bench, metric: 'requests that HAProxy sent again', ours: repeated }, { atMost: 0 }),
    ];
  });
}
