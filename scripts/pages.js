// The pages of docs/, in the order of a reader's questions. `node scripts/pages.js` writes what follows from this list: the tables of
// docs/README.md and docs/maintainers/README.md, and the last line of each page, which leads to the previous page, the next and the top.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';

const root = resolve(import.meta.dirname, '..');

/** @typedef {readonly [heading: string, pages: readonly (readonly [file: string, question: string])[]]} Group */

/** @type {readonly Group[]} */
export const groups = [
  [
    'First steps',
    [
      ['quick-start.md', 'How do I begin?'],
      ['how-it-chooses.md', 'Which socket does `listen()` take, and what does it bind if none was passed?'],
      ['lifecycle.md', 'How does a service start, reload, drain, and exit when idle?'],
      ['zero-downtime.md', 'How do I restart or upgrade without losing a request?'],
      ['fd-store.md', 'How do I keep a port or a connection open over a restart without a socket unit?'],
      ['streams.md', 'How do event streams, long polls and WebSockets end?'],
    ],
  ],
  [
    'Your program and where it runs',
    [
      ['frameworks.md', 'Does my framework work?'],
      ['preload.md', 'My program cannot be changed. Can it use the sockets anyway?'],
      ['containers.md', 'How does it work in a container: podman, Docker, Kubernetes, Alpine?'],
      ['proxies.md', 'How do I put nginx, HAProxy or Caddy in front?'],
      ['runtimes.md', 'Does it work in threads, children, bundles, Bun, Deno, and on macOS?'],
      ['tools.md', 'How do I bundle a program that uses it, and test one?'],
      ['first-request.md', 'How do I make the first request faster?'],
      ['install.md', 'How is it installed, and on which machines?'],
    ],
  ],
  [
    'Callers and other kinds of sockets',
    [
      ['credentials.md', 'Who is calling, and how do I let only some of them in?'],
      ['sockets.md', 'How do I receive datagrams, packets, FIFOs, devices, netlink, message queues, vsock?'],
    ],
  ],
  [
    'The command',
    [
      ['run.md', 'How do I run a program behind its sockets without systemd?'],
      ['unit.md', 'How do I get the systemd units for my program?'],
      ['inspect.md', 'What was passed to a process, and what is wrong with it?'],
    ],
  ],
  [
    'Look something up',
    [
      ['options.md', 'Which options are there, and which values are allowed?'],
      ['environment.md', 'Which environment variables are there?'],
      ['observability.md', 'How do I see what a service is doing?'],
      ['notify.md', 'How do I tell the service manager something?'],
    ],
  ],
  [
    'When something is wrong',
    [
      ['troubleshooting.md', 'Something does not work. What do I look at?'],
      ['errors.md', 'What does this error mean?'],
      ['glossary.md', 'What does this word mean?'],
    ],
  ],
  [
    'Compare and decide',
    [
      ['migration.md', 'I use another package today. What changes?'],
      ['comparison.md', 'How does it compare with other packages?'],
      ['security.md', 'What can an attacker do?'],
    ],
  ],
];

/** @type {readonly Group[]} */
export const maintainerGroups = [
  [
    'How it works',
    [
      ['design.md', 'How does it work inside, and why?'],
      ['benchmarks.md', 'What does it cost?'],
    ],
  ],
  [
    'What is tested, and how',
    [
      ['matrix.md', 'On which versions of Node.js and systemd was it tested?'],
      ['coverage.md', 'Which lines does no test run?'],
      ['mutation.md', 'Would our tests notice if the code decided wrongly?'],
      ['hardening.md', 'How are memory errors, malformed input and failing system calls looked for?'],
      ['node-tests.md', "Do Node.js's own tests notice the package?"],
      ['peers.md', 'What do the tests of other shutdown packages say?'],
    ],
  ],
  ['Releases', [['releasing.md', 'How is it released?']]],
];

/** The folders that have such a list, and where the line at the end of their README.md leads. */
export const books = {
  docs: { groups, top: ['Back to the [project](../README.md).'] },
  'docs/maintainers': { groups: maintainerGroups, top: ['Back to the [documentation](../README.md).'] },
};

const mark = '<!-- Written by scripts/pages.js: -->';
const title = (/** @type {string} */ path) => /^# (.+)$/m.exec(readFileSync(path, 'utf8'))?.[1] ?? basename(path);

/**
 * Every page of a book by its file, in order, with the Markdown that leads to the pages beside it.
 *
 * @param {string} folder
 * @param {readonly Group[]} list
 * @returns {Map<string, string>}
 */
function lastLines(folder, list) {
  const files = list.flatMap(([, pages]) => pages.map(([file]) => file));
  const link = (/** @type {string} */ file) => `[${title(join(root, folder, file))}](${file})`;
  return new Map(
    files.map((file, index) => {
      const parts = [];
      if (index > 0) parts.push(`Previous: ${link(files[index - 1])}`);
      if (index < files.length - 1) parts.push(`Next: ${link(files[index + 1])}`);
      parts.push('Top: [all pages](README.md)');
      return [file, parts.join(' · ')];
    }),
  );
}

/** @param {readonly Group[]} list */
function tables(list) {
  const table = (/** @type {Group} */ [heading, pages]) => [
    `## ${heading}`,
    '',
    '| Question | Page |',
    '| --- | --- |',
    ...pages.map(([file, question]) => `| ${question} | [${file}](${file}) |`),
  ];
  return list.map((group) => table(group).join('\n')).join('\n\n');
}

/**
 * The files as they should be.
 *
 * @returns {Promise<Map<string, string>>} file, from the project's folder → its text
 */
export async function written() {
  const result = new Map();
  const put = async (/** @type {string} */ file, /** @type {string} */ text) =>
    result.set(file, await format(text, { ...(await resolveConfig(join(root, file))), filepath: file }));
  for (const [folder, { groups: list, top }] of Object.entries(books)) {
    for (const [file, line] of lastLines(folder, list)) {
      const [body = ''] = readFileSync(join(root, folder, file), 'utf8').split(mark);
      await put(join(folder, file), `${body.replace(/\s*(\n---)?\s*$/, '')}\n\n---\n\n${mark}\n\n${line}\n`);
    }
    const index = readFileSync(join(root, folder, 'README.md'), 'utf8');
    const section = /(<!-- pages -->)[^]*(<!-- end of pages -->)/;
    const [body = ''] = index
      .replace(section, (_all, start, end) => `${start}\n\n${tables(list)}\n\n${end}`)
      .split(mark);
    await put(join(folder, 'README.md'), `${body.replace(/\s*(\n---)?\s*$/, '')}\n\n---\n\n${mark}\n\n${top}\n`);
  }
  return result;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, text] of await written()) {
    if (readFileSync(join(root, file), 'utf8') === text) continue;
    writeFileSync(join(root, file), text);
    console.log(relative(process.cwd(), join(root, file)) || dirname(file));
  }
}
