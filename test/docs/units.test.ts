// The units of the pages, as they stand there: each is run, or at least understood, by a real systemd.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { copyPackage } from '../support/package.ts';
import { freePort } from '../support/port.ts';
import { withSystemd, withoutSystemd, type Lab } from '../support/systemd.ts';
import { without } from '../support/tools.ts';

const skip = withoutSystemd();
const read = (page: string): string => readFileSync(join(root, page), 'utf8');
const blocksOf = (text: string): string[] => [...text.matchAll(/^```ini\n([^]*?)^```$/gm)].map(([, block]) => block!);

/** The units of a block by name: a comment with the name stands before each. */
function unitsOf(block: string): [name: string, text: string][] {
  const parts = block.split(/^# (?:\/etc\/systemd\/system\/)?(\S+\.(?:socket|service)).*$/m);
  return parts.flatMap((name, i) => (i % 2 === 1 ? [[name, parts[i + 1]!] as [string, string]] : []));
}

/** The part of a page under a heading. */
const section = (page: string, heading: string): string =>
  new RegExp(`^## ${heading}\\n([^]*?)(?=^## )`, 'm').exec(read(page))![1]!;

/** What the pages call /srv/web, /opt/web and port 80 or 8080 is elsewhere in a test. */
const moved = (text: string, port: number): string =>
  text
    .replaceAll(/\/(?:srv|opt)\/web/g, '/run/web')
    .replaceAll('/usr/bin/node', process.execPath)
    .replace(/^ListenStream=\d+$/m, `ListenStream=127.0.0.1:${port}`);

const place = (units: readonly [string, string][], port: number): Record<string, string> =>
  Object.fromEntries(units.map(([name, text]) => [name, moved(text, port)]));

function deploy(lab: Lab, folder: string, file: string): void {
  const target = lab.path(folder);
  mkdirSync(join(target, 'node_modules/listenfds'), { recursive: true });
  copyPackage(join(target, 'node_modules/listenfds'));
  writeFileSync(join(target, 'package.json'), '{ "type": "module" }');
  const program = `import { serve } from 'listenfds';
    await serve((request, response) => response.end(import.meta.dirname + ' ' + process.pid), { port: 1, mismatch: 'ignore', upgrade: true });`;
  writeFileSync(join(target, file), program);
}

async function restartAndReload(t: Test, lab: Lab, port: number): Promise<void> {
  const ask = () => get({ host: '127.0.0.1', port });
  t.equal(await lab.property('web.service', 'ActiveState'), 'inactive');
  const answers = [await ask()];
  for (const verb of ['restart', 'reload']) {
    await lab.systemctl(verb, 'web.service');
    answers.push(await ask());
    t.equal(answers.at(-1), `/run/web ${await lab.property('web.service', 'MainPID')}`, verb);
  }
  t.equal(new Set(answers).size, 3, 'three processes');
  const [, shown = ''] = /^Status: "(.*)"$/m.exec(read('docs/observability.md'))!;
  t.match(await lab.property('web.service', 'StatusText'), new RegExp(`^${shown.replaceAll(/\d+/g, '\\d+')}$`));
  for (const count of ['NAccepted', 'NConnections', 'NRefused'])
    t.equal(await lab.property('web.socket', count), '0', `docs/lifecycle.md: ${count}`);
}

t.test('README.md: the two files, and the line for an upgrade', { skip }, async (t) => {
  const port = await freePort();
  const blocks = blocksOf(read('README.md'));
  const units = blocks.flatMap(unitsOf);
  const reload = blocks.find((block) => block.startsWith('# in [Service] of web.service'))!;
  t.equal(units.length, 2);
  const services = units.map(([name, text]): [string, string] => [name, name === 'web.service' ? text + reload : text]);
  await withSystemd({ units: place(services, port) }, async (lab) => {
    deploy(lab, '/run/web', 'server.js');
    await restartAndReload(t, lab, port);
  });
});

t.test('docs/zero-downtime.md: restart and upgrade', { skip }, async (t) => {
  const port = await freePort();
  const [restart = ''] = blocksOf(section('docs/zero-downtime.md', 'Restart'));
  const [upgrade = ''] = blocksOf(section('docs/zero-downtime.md', 'Upgrade'));
  // The second has the service again, with ExecReload=.
  await withSystemd({ units: place([...unitsOf(restart), ...unitsOf(upgrade)], port) }, async (lab) => {
    deploy(lab, '/run/web', 'app.js');
    await restartAndReload(t, lab, port);
  });
});

t.test('docs/zero-downtime.md: blue and green', { skip }, async (t) => {
  const port = await freePort();
  const [block = ''] = blocksOf(section('docs/zero-downtime.md', 'Blue and green'));
  await withSystemd({ units: place(unitsOf(block), port) }, async (lab) => {
    deploy(lab, '/run/web-blue', 'app.js');
    deploy(lab, '/run/web-green', 'app.js');
    for (const [to, from] of [
      ['blue', null],
      ['green', 'blue'],
      ['blue', 'green'],
    ] as const) {
      const before = lab.log().length;
      await lab.systemctl('start', `web@${to}`);
      if (from) await lab.logged(new RegExp(`Stopped web@${from}`), before);
      t.match(await get({ host: '127.0.0.1', port }), `/run/web-${to} `);
    }
  });
});

t.test('systemd knows every setting that the pages show', { skip: without('systemd-analyze') }, (t) => {
  const pages = readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md'));
  let seen = 0;
  for (const page of ['README.md', ...pages.map((file) => `docs/${file}`)]) {
    for (const block of blocksOf(read(page))) {
      const named = unitsOf(block);
      const units =
        named.length > 0 ? named : [[/^\[Socket\]/m.test(block) ? 'x.socket' : 'x.service', block] as const];
      const folder = temporaryFolder(t);
      for (const [name, text] of units) {
        const kind = name.endsWith('.socket') ? 'Socket' : 'Service';
        let whole = new RegExp(`^\\[${kind}\\]$`, 'm').test(text) ? text : `${text}[${kind}]\n`;
        // What a piece of a unit leaves out, or has where nothing is installed.
        if (kind === 'Service')
          whole = `${whole.replaceAll(/^Exec(Start|Reload)=.*\n/gm, '')}\n[Service]\nExecStart=/bin/true\n`;
        else if (!/^Listen/m.test(whole)) whole += '[Socket]\nListenStream=1\n';
        if (kind === 'Socket' && !units.some(([other]) => other.endsWith('.service')))
          writeFileSync(join(folder, name.replace('.socket', '.service')), '[Service]\nExecStart=/bin/true\n');
        writeFileSync(join(folder, name.replace('@.', '@x.')), whole);
        seen++;
      }
      const files = readdirSync(folder).map((file) => join(folder, file));
      const { stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...files], { encoding: 'utf8' });
      t.notMatch(stderr, /Unknown (?:key|section)|Failed to parse|Invalid|ignoring/i, `${page}: ${block}`);
    }
  }
  t.ok(seen > 12);
  t.end();
});
