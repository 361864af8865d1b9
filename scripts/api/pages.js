// The pages of docs/api, in order, and the typedoc plugin that gives each its title and a last line which leads to the others.
import { MarkdownPageEvent } from 'typedoc-plugin-markdown';

/** @type {readonly (readonly [name: string, title: string, importedFrom: string])[]} */
export const apiPages = [
  ['receive', 'Receiving sockets', 'listenfds'],
  ['serve', 'Running a service', 'listenfds'],
  ['notify', 'Telling the service manager', 'listenfds'],
  ['fd-store', 'Keeping descriptors over a restart', 'listenfds'],
  ['callers', 'Who is calling', 'listenfds'],
  ['errors', 'The class of the errors', 'listenfds'],
  ['datagrams', 'Datagrams', 'listenfds/sockets'],
  ['packets', 'Sequential packets', 'listenfds/sockets'],
  ['files', 'FIFOs, devices and other files', 'listenfds/sockets'],
  ['netlink', 'Netlink', 'listenfds/sockets'],
  ['message-queues', 'Message queues', 'listenfds/sockets'],
  ['predicates', 'What a descriptor is', 'listenfds/sd'],
];

const link = (/** @type {readonly string[]} */ [name, title]) => `[${title}](${name}.md)`;

/** @param {number} at */
function lastLine(at) {
  const parts = [];
  if (at > 0) parts.push(`Previous: ${link(apiPages[at - 1])}`);
  if (at < apiPages.length - 1) parts.push(`Next: ${link(apiPages[at + 1])}`);
  return [...parts, 'Top: [all pages](../README.md)'].join(' · ');
}

function index() {
  const rows = apiPages.map((page) => `| ${link(page)} | \`${page[2]}\` |`);
  return ['# API', '', 'A page for each task.', '', '| Page | Imported from |', '| --- | --- |', ...rows].join('\n');
}

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.renderer.on(MarkdownPageEvent.END, (/** @type {MarkdownPageEvent} */ page) => {
    const at = apiPages.findIndex(([name]) => `${name}.md` === page.url);
    const body = at < 0 ? index() : (page.contents ?? '').replace(/^# .*/, `# ${apiPages[at]?.[1]}`).trimEnd();
    page.contents = `${body}\n\n---\n\n${at < 0 ? 'Top: [all pages](../README.md)' : lastLine(at)}\n`;
  });
}
