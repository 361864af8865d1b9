// Releases behind a link, as deployment tools lay them out: an upgrade starts the code, and the Node.js, that the link leads to now.
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { upgrade } from '../support/upgradable.ts';

const app = (release: string): string => `
  import { existsSync, readFileSync } from 'node:fs';
  import { serve } from 'listenfds';
  const told = () => [process.pid, 'code ${release}', existsSync('version') && readFileSync('version', 'utf8'), process.env.NODE_OF ?? 'first'];
  const upgrade = JSON.parse(process.env.UPGRADE);
  await serve((_, response) => response.end(JSON.stringify(told())), { path: process.env.AT, upgrade, log() {} });
  console.log('up');`;

/** Two releases, and the link that leads to one of them. */
async function deployed(t: Test, script: string, env: Record<string, string>) {
  const folder = temporaryFolder(t);
  const inside = (name: string): string => join(folder, name);
  mkdirSync(inside('node_modules'));
  symlinkSync(root, inside('node_modules/listenfds'));
  for (const release of ['1', '2']) {
    mkdirSync(inside(release));
    writeFileSync(inside(`${release}/app.mjs`), app(release));
    writeFileSync(inside(`${release}/version`), `file ${release}`);
  }
  const point = (link: string, to: string): void => {
    rmSync(inside(link), { force: true });
    symlinkSync(to, inside(link));
  };
  point('current', '1');
  point('node', process.execPath);
  writeFileSync(inside('newer'), `#!/bin/sh\nexport NODE_OF=newer\nexec '${process.execPath}' "$@"\n`, { mode: 0o755 });
  const [current, at] = [inside('current'), inside('s')];
  const filled = Object.entries({ UPGRADE: 'true', ...env }).map(
    ([name, value]) => `${name}=${value.replaceAll('CURRENT', current)}`,
  );
  const command = ['env', '-C', current, ...filled, `AT=${at}`, inside('node'), script.replaceAll('CURRENT', current)];
  const program = activate(t, command);
  await program.line();
  const ask = async (): Promise<[number, ...string[]]> => JSON.parse(await get(at));
  t.teardown(async () => process.kill((await ask())[0], 'SIGKILL'));
  return { point, ask, remove: (name: string) => rmSync(inside(name), { recursive: true }) };
}

for (const [what, script, env] of [
  ['PWD in the unit', 'app.mjs', { PWD: 'CURRENT' }],
  ['PWD in the unit, the script by its whole path', 'CURRENT/app.mjs', { PWD: 'CURRENT' }],
  ['upgrade: { cwd }', 'app.mjs', { UPGRADE: '{"cwd":"CURRENT"}' }],
] as const) {
  t.test(`the link is followed: ${what}`, async (t) => {
    const { point, ask, remove } = await deployed(t, script, env);
    const [first, ...before] = await ask();
    t.same(before, ['code 1', 'file 1', 'first']);
    point('current', '2');
    point('node', 'newer');
    t.match(await upgrade(first), { exitCode: 0 });
    const [second, ...after] = await ask();
    t.same(after, ['code 2', 'file 2', 'newer']);
    remove('1');
    t.match(await upgrade(second), { exitCode: 0 });
    t.same((await ask()).slice(1), ['code 2', 'file 2', 'newer'], 'the old release may go');
  });
}

t.test('where nothing names the link, a release that is gone is an error that says what would', async (t) => {
  const { point, ask, remove } = await deployed(t, 'app.mjs', {});
  const [pid] = await ask();
  point('current', '2');
  remove('1');
  const { exitCode, stderr } = await upgrade(pid);
  t.equal(exitCode, 1);
  t.match(
    stderr,
    /The working directory \S+\/1 does not exist any more: upgrade: \{ cwd \}.*or PWD in the environment/,
  );
  t.same(await ask(), [pid, 'code 1', false, 'first'], 'it goes on');
});
