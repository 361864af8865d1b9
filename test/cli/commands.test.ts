// Every command of npm and every script of this project that a document or a workflow names is there.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../support/activate.ts';

const within = (folder: string) => readdirSync(join(root, folder)).map((name) => join(folder, name));
const places = ['README.md', '.ci/run', ...within('docs'), ...within('.github/workflows')].filter((name) =>
  /\.(?:md|yml)$|run$/.test(name),
);
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };

let seen = 0;
for (const place of places) {
  const text = readFileSync(join(root, place), 'utf8');
  for (const [, name] of text.matchAll(/npm run (?:-s |--silent )?([\w:-]+)/g)) {
    seen++;
    t.ok(scripts[name!], `${place}: npm run ${name}`);
  }
  for (const [, file] of text.matchAll(
    /\bnode (?:node_modules\/listenfds\/)?((?:scripts|native|examples)\/[\w./-]+\.js)/g,
  )) {
    seen++;
    t.ok(existsSync(join(root, file!)), `${place}: node ${file}`);
  }
}
t.ok(seen > 15, `${seen} commands`);

for (const [name, script] of Object.entries(scripts)) {
  for (const [, file] of script.matchAll(/\bnode ([\w./-]+\.js)/g))
    t.ok(existsSync(join(root, file!)), `${name}: ${file}`);
}
