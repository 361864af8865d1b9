// node rolling-upgrade.js [INSTANCE ...]: restarts the instances of the fleet one after the other, the next one when
// HAProxy has seen the last one go and come back. It ends with status 1 at the first that does not: the others go on.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const instances = process.argv.length > 2 ? process.argv.slice(2) : ['1', '2', '3'];
const patience = 60_000;

/** Takes until the new process has said READY=1. On several machines: ssh web1 systemctl restart web. */
const restart = (instance) => promisify(execFile)('systemctl', ['restart', `web@${instance}.service`]);

/** The servers as HAProxy sees them, by name: https://docs.haproxy.org/2.6/management.html#9.1 */
async function servers() {
  const socket = connect('/run/haproxy/fleet.sock');
  await once(socket, 'connect');
  socket.write('show stat\n');
  const [head, ...lines] = (await text(socket)).replace('# ', '').trim().split('\n');
  const fields = head.split(',');
  const all = lines.map((line) => Object.fromEntries(line.split(',').map((value, i) => [fields[i], value])));
  return new Map(all.filter(({ svname }) => /^web\d/.test(svname)).map((one) => [one.svname, one]));
}

/** Until the health check has failed once more than before, and succeeds again. */
async function returned(name, before) {
  for (const end = Date.now() + patience; Date.now() < end; await sleep(100)) {
    const { status, chkdown } = (await servers()).get(name);
    if (status === 'UP' && Number(chkdown) > before) return;
  }
  const { status, chkdown } = (await servers()).get(name);
  const why = Number(chkdown) > before ? `is ${status}` : 'has not been seen to leave: is drainDelay too short?';
  throw new Error(`${name} ${why}`);
}

for (const instance of instances) {
  const name = `web${instance}`;
  const began = Date.now();
  const all = await servers();
  const down = [...all.values()].filter(({ status }) => status !== 'UP').map(({ svname }) => svname);
  if (down.length > 0) throw new Error(`${down.join(', ')} is down: no time to take ${name} away`);
  await restart(instance);
  await returned(name, Number(all.get(name).chkdown));
  console.log(`${name} is back after ${((Date.now() - began) / 1000).toFixed(1)} s`);
}
