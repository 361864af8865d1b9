// TEST-80-NOTIFYACCESS of systemd, in a booted systemd (test/systemd/lab): each part of the script is a test. In the place of
// systemd-notify(1) stands systemd-notify.mjs of the current folder, where it is there. Prints TAP.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../../copy.js';
import { newestSystemd } from '../../newest-systemd.js';

const name = 'TEST-80-NOTIFYACCESS';
const folder = process.cwd();
const units = join(folder, 'test/integration-tests', name, `${name}.units`);
const ours = join(folder, 'systemd-notify.mjs');
/** It needs a D-Bus, which the lab has not, as `systemctl clean` at the end of the script does. */
const leftOut = /^Explicitly test busctl/;

const notify = join(folder, 'systemd-notify');
const exec = existsSync(ours)
  ? `LISTENFDS_DIST=${process.env.LISTENFDS_DIST} exec ${process.execPath} ${ours} "$@"`
  : 'exec /usr/bin/systemd-notify "$@"';
writeFileSync(notify, `#!/bin/sh\n${exec}\n`, { mode: 0o755 });

/** The script with another systemd-notify, and with units that need nothing which the lab has not. */
const adapt = (text) =>
  text
    .replaceAll(/^(\s*)systemd-notify /gm, `$1${notify} `)
    .replaceAll(`/usr/lib/systemd/tests/testdata/${name}.units`, units)
    .replaceAll('systemd-run -u', 'systemd-run -p DefaultDependencies=no -u');

const unitFolder = join(folder, 'lab-units');
mkdirSync(unitFolder, { recursive: true });
for (const file of readdirSync(units)) {
  const text = adapt(readFileSync(join(units, file), 'utf8'));
  if (file.endsWith('.sh')) writeFileSync(join(units, file), text, { mode: 0o755 });
  else writeFileSync(join(unitFolder, file), text);
}

const script = join(folder, 'test/units', `${name}.sh`);
const parts = readFileSync(script, 'utf8').split(/^(?=# (?!SPDX|shellcheck))/m);
const titles = parts.slice(1).map((part) => /^# (.*)/.exec(part)[1]);
const tests = parts.slice(1).map((part, i) => (leftOut.test(titles[i]) ? '' : `echo "@@ ${i}"\n${part}`));
writeFileSync(script, adapt([parts[0], ...tests].join('').replace(/^systemctl clean[^]*/m, 'echo "@@ end"\n')), {
  mode: 0o755,
});

const bind = [folder, checkout, join(checkout, 'node_modules'), process.execPath];
const lab = spawn(join(checkout, 'test/systemd/lab'), [unitFolder], {
  env: {
    PATH: process.env.PATH,
    LAB_ROOT: newestSystemd(),
    LAB_BIND: bind.map((path) => realpathSync(path)).join(':'),
    LAB_START: '',
  },
  stdio: ['pipe', 'pipe', 'inherit'],
});
const closed = once(lab, 'close');
let log = '';
lab.stdout.setEncoding('utf8');
for await (const text of lab.stdout.iterator({ destroyOnReturn: false })) {
  log += text;
  if (/^lab: up$/m.test(log) && /^lab: pid \d+$/m.test(log)) break;
}
lab.stdout.resume();
const [, pid] = /^lab: pid (\d+)$/m.exec(log);
const command = ['-t', pid, '-a', '--', 'timeout', '60', 'bash', script];
const child = spawn('nsenter', command, { env: { PATH: process.env.PATH }, stdio: ['ignore', 'pipe', 'pipe'] });
let output = '';
for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
await once(child, 'close');
lab.stdin.end(); // it takes that as its end
await closed;
if (process.env.PEERS_VERBOSE) console.error(output);
const reached = [...output.matchAll(/^@@ (\S+)$/gm)].map(([, which]) => which);
titles.forEach((title, i) => {
  if (leftOut.test(title)) return;
  const passed = reached.includes(String(i)) && reached.at(-1) !== String(i);
  console.log(`${passed ? 'ok' : 'not ok'} ${i + 1} - ${title}`);
});
