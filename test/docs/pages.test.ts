// What README.md and docs/ show is run: JavaScript is an excerpt of a file in examples/, a shell command has a test.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import t from 'tap';
import { books, written } from '../../scripts/pages.js';
import { activate, root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { unless } from '../support/tools.ts';

interface Block {
  readonly page: string;
  readonly language: string;
  readonly text: string;
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  ...(readdirSync(join(root, 'docs'), { recursive: true }) as string[])
    .filter((file) => file.endsWith('.md') && !file.startsWith('api/'))
    .map((file) => `docs/${file}`),
];

function blocksOf(page: string): Block[] {
  return [...read(page).matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', text = '']) => ({
    page,
    language,
    text,
  }));
}
const blocks = pages.flatMap(blocksOf);

/** Without the indentation that all lines share. */
function flush(lines: readonly string[]): string {
  const indents = lines.filter((line) => line.trim() !== '').map((line) => /^ */.exec(line)![0].length);
  return lines.map((line) => line.slice(Math.min(...indents)).trimEnd()).join('\n');
}

/** Whether these lines stand in the file, in one piece, however far indented. */
function contains(file: readonly string[], paragraph: readonly string[]): boolean {
  const wanted = flush(paragraph);
  return file.some((_, start) => flush(file.slice(start, start + paragraph.length)) === wanted);
}

t.test('every piece of JavaScript is an excerpt of an example, paragraph by paragraph', (t) => {
  const files = ['examples', 'test/fixtures/pages'].flatMap((folder) =>
    (readdirSync(join(root, folder), { recursive: true }) as string[])
      .filter((file) => /\.(?:js|cjs|ts)$/.test(file))
      .map((file) => read(`${folder}/${file}`).split('\n')),
  );
  // It shows how a benchmark is written, and is measured by nobody.
  // docs/tools.md: test/package/tools.test.ts takes them from the page.
  const other = ['docs/maintainers/benchmarks.md', 'docs/tools.md'];
  const shown = blocks.filter(({ page, language }) => /^[jt]s$/.test(language) && !other.includes(page));
  t.ok(shown.length > 25);
  for (const { page, text } of shown) {
    const paragraphs = text
      .trimEnd()
      .split(/\n\n+/)
      .map((paragraph) => paragraph.split('\n'));
    const found = files.some((file) => paragraphs.every((paragraph) => contains(file, paragraph)));
    t.ok(found, `${page}: ${text.split('\n').slice(0, 3).join(' ⏎ ')}`);
  }
  t.end();
});

/** Which test runs a command of this kind. */
const commands: readonly [RegExp, string][] = [
  [/^(npx )?listenfds run .*--accept/, 'test/cli/run.test.ts'],
  [/^(npx )?listenfds run .*podman|^podman build /, 'test/cli/podman.test.ts'],
  [/^(npx )?listenfds run /, 'test/cli/run.test.ts'],
  [/^(npx )?listenfds inspect /, 'test/cli/inspect.test.ts'],
  [/^(npx )?listenfds unit /, 'test/cli/unit.test.ts'],
  [/^systemd-socket-activate .* listenfds inspect/, 'test/cli/inspect.test.ts'],
  [/^node app\.js &$|^listenfds upgrade /, 'test/service/upgrade.test.ts'],
  [/^listenfds explain /, 'test/system/errors.test.ts'],
  [/^systemctl (start|stop) web@/, 'test/systemd/unit.test.ts'],
  // systemd's own commands, on the units of the tests.
  [/^systemctl (--user )?(daemon-reload|enable --now|disable --now|restart|status) ?/, 'test/systemd/unit.test.ts'],
  [/^(journalctl --unit|loginctl enable-linger|rm \/etc\/systemd)/, 'test/systemd/unit.test.ts'],
  [/^(sudo env "PATH=\$PATH" )npx listenfds unit /, 'test/cli/unit.test.ts'],
  [/^curl http:\/\/localhost(:3000)?\/$/, 'test/docs/first-steps.test.ts'],
  [/^(mkdir web|npm init --yes|npm pkg set type=module|node server\.js)/, 'test/docs/first-steps.test.ts'],
  [
    /^npm (run package -- --this-machine|install (express )?\S+listenfds-0\.1\.0\.tgz)/,
    'test/docs/first-steps.test.ts',
  ],
  [/^npx esbuild server\.js /, 'test/docs/first-request.test.ts'],
  [/^npm run demo|&& npm run demo/, 'test/docs/demo.test.ts'],
  [/^npm run bench/, 'test/package/bench.test.ts'],
  [/^(LISTENFDS_WRITE_DOCS=1 )?npx tap test\/[a-z-]+\/[a-z-]+\.test\.ts/, '.ci/run'],
  [/^npm (test|run (format|lint|typecheck))/, '.ci/run'],
  [/^npm install( +#.*)?$|^npm install listenfds$/, '.ci/run'],
];

// Pages about installing, and those for maintainers, are checked by the scripts they describe.
const byScripts = (page: string): boolean => page === 'docs/install.md' || page.startsWith('docs/maintainers/');

t.test('every shell command has a test that runs its kind', (t) => {
  for (const [, file] of commands) t.ok(existsSync(join(root, file)), file);
  for (const { page, text } of blocks.filter(({ page, language }) => language === 'sh' && !byScripts(page))) {
    for (const line of text
      .split('\n')
      .map((line) => line.replace(/ {2,}#.*/, ''))
      .filter((line) => line.trim() !== '')) {
      t.ok(
        commands.some(([pattern]) => pattern.test(line)),
        `${page}: ${line}`,
      );
    }
  }
  t.end();
});

/** The anchors of a page, made of its headings as GitHub makes them, and those written as HTML. */
function anchorsOf(page: string): Set<string> {
  const text = read(page).replaceAll(/^```[\s\S]*?^```$/gm, '');
  const found = new Set([...text.matchAll(/<a id="([^"]+)">/g)].map(([, id = '']) => id));
  for (const [, heading = ''] of text.matchAll(/^#+ (.+)$/gm)) {
    const words = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll(/\\?[^\p{L}\p{N}\s_-]/gu, '');
    const anchor = words.trim().toLowerCase().replaceAll(' ', '-');
    let number = 0;
    while (found.has(number ? `${anchor}-${number}` : anchor)) number++;
    found.add(number ? `${anchor}-${number}` : anchor);
  }
  return found;
}

t.test('every unit that names its place is a file of examples/, as it stands', (t) => {
  const folders: Readonly<Record<string, string>> = {
    '/etc/systemd/system/': 'examples/systemd',
    '~/.config/systemd/user/': 'examples/systemd/user',
  };
  let seen = 0;
  for (const { page, language, text } of blocks.filter(({ language }) => language === 'ini')) {
    const [, place = '', name = ''] =
      /^# (\/etc\/systemd\/system\/|~\/\.config\/systemd\/user\/)(\S+?):?(?: .*)?\n/.exec(text) ?? [];
    if (place === '') continue;
    seen++;
    const files = [`${folders[place]}/${name}`, `examples/proxy/${name}`].filter((file) =>
      existsSync(join(root, file)),
    );
    t.ok(
      files.some((file) => read(file) === text),
      `${page}: ${language} ${name}`,
    );
  }
  t.ok(seen >= 3);
  t.end();
});

t.test('the three rows of README.md are rows of docs/comparison.md', (t) => {
  const cells = (line: string): string =>
    line
      .split('|')
      .slice(1, 4)
      .map((cell) => cell.trim().replace(/^\d+\. /, ''))
      .join(' | ');
  const tableOf = (page: string, header: RegExp): string[] => {
    const [, rows = ''] = new RegExp(`${header.source}\\n\\|[-| ]+\\n((?:\\|.*\\n)+)`).exec(read(page)) ?? [];
    return rows.trimEnd().split('\n').map(cells);
  };
  const measured = tableOf('docs/comparison.md', /\| Case +\| listenfds +\| written by hand .*/);
  const shown = tableOf('README.md', /\| Case +\| listenfds .*/);
  t.equal(shown.length, 3);
  for (const row of shown) t.ok(measured.includes(row), row);
  t.end();
});

t.test('docs/environment.md names every variable that is read', (t) => {
  const sources = (readdirSync(join(root, 'src'), { recursive: true }) as string[]).filter((file) =>
    file.endsWith('.ts'),
  );
  const found = sources.flatMap((file) =>
    [...read(`src/${file}`).matchAll(/\benv(?:\.|\[')([A-Z][A-Z_]+)\b/g)].map(([, name = '']) => name),
  );
  const page = read('docs/environment.md');
  t.ok(found.length > 20);
  for (const name of new Set(found)) t.match(page, `\`${name}\``, name);
  t.end();
});

t.test('every link leads to a file, and to a heading that is there', (t) => {
  const api = readdirSync(join(root, 'docs/api')).map((file) => `docs/api/${file}`);
  for (const page of [...pages, ...api, 'SECURITY.md', 'examples/README.md'].filter((path) =>
    existsSync(join(root, path)),
  )) {
    for (const [, target = '', anchor = ''] of read(page)
      .replaceAll(/^```[\s\S]*?^```$/gm, '')
      .matchAll(/(?<!\\)\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g)) {
      const path = target === '' ? page : normalize(join(page, '..', target));
      t.ok(existsSync(join(root, path)), `${page}: ${target}`);
      if (anchor !== '' && path.endsWith('.md')) t.ok(anchorsOf(path).has(anchor), `${page}: ${target}#${anchor}`);
    }
  }
  t.end();
});

t.test('each page leads to the one before it, the one after it and the top; the list has all pages', async (t) => {
  for (const [file, text] of await written()) t.equal(read(file), text, `node scripts/pages.js writes ${file}`);
  for (const [folder, { groups: list }] of Object.entries(books)) {
    const listed = list.flatMap(([, group]) => group.map(([file]) => file));
    const there = readdirSync(join(root, folder)).filter((file) => file.endsWith('.md') && file !== 'README.md');
    t.same(listed.toSorted(), there.toSorted(), folder);
  }
});

// Ports, /run and /etc of their own: the examples say 3000 and /run/app, as one does.
const prepare = `ip link set lo up && mount -t tmpfs tmpfs /run && mkdir /run/app &&
mount --bind "$1" /etc/passwd && mount --bind "$2" /etc/group && shift 2 && exec "$@"`;
const apart = ['unshare', '--user', '--map-root-user', '--mount', '--net', '--ipc'];
const canLiveApart = spawnSync(apart[0]!, [...apart.slice(1), 'sh', '-c', 'ip link set lo up']).status === 0;

t.jobs = 2;
for (const file of readdirSync(join(root, 'test/fixtures/pages'))) {
  const path = join(root, 'test/fixtures/pages', file);
  const cases = [...readFileSync(path, 'utf8').matchAll(/^ {2}async (\w+)\(\) \{$/gm)].map(([, name = '']) => name);
  const skip = unless(canLiveApart, 'needs unshare(1), ip(8) and user namespaces');
  t.test(`test/fixtures/pages/${file}: each case runs`, { skip }, async (t) => {
    t.ok(cases.length > 0);
    const folder = temporaryFolder(t);
    const [passwd, group] = [join(folder, 'passwd'), join(folder, 'group')];
    writeFileSync(passwd, 'root:x:0:0::/:/bin/sh\nalice:x:0:0::/:/bin/sh\n');
    writeFileSync(group, 'root:x:0:\noperators:x:0:\n');
    for (const name of cases) {
      const { stdout, stderr } = await activate(t, [process.execPath, path, name], {
        through: [...apart, 'sh', '-c', prepare, 'sh', passwd, group],
      }).ended;
      // Of what this kernel has not, the error says so.
      const refused = /LISTENFDS_UNSUPPORTED|EAFNOSUPPORT|EACCES|EPERM|ENOENT.*kmsg/.test(stderr);
      t.ok(/^done/m.test(stdout) || (['vsock', 'special', 'queue'].includes(name) && refused), `${name}: ${stderr}`);
    }
  });
}
