// The rooms of src/, read from its imports: the rule that test/package/architecture.test.ts holds, and the picture of
// docs/maintainers/design.md. `node scripts/architecture.js` draws docs/maintainers/architecture.svg; `npm run docs` does so too.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const src = resolve(import.meta.dirname, '../src');
export const svg = resolve(import.meta.dirname, '../docs/maintainers/architecture.svg');

/** The rooms in their order, and what each is for. An import leads to a room further up in this list. */
export const rooms = {
  system: 'the addon, errors, files, users: facts about this process and this machine',
  text: 'addresses, time spans, LISTEN_*, sd_notify messages: text in, values out',
  manager: 'what the manager is told',
  receive: 'what was passed, and what it is',
  programs: 'starting others',
  lend: 'sockets that come back',
  admit: 'who gets in: gates, limits, peers',
  take: 'the descriptor a caller means: target, choice, origin',
  open: 'binding a path, and what this process bound',
  sockets: 'datagrams, packets, FIFOs, netlink, queues, vsock: each kind and its verb',
  listen: 'listen(): adopt or bind, and the shapes of frameworks',
  service: 'serve(), drain(), upgrade(): from the first listener to the exit',
  preload: 'for programs that are not changed',
  cli: 'the command',
  index: 'the doors: index.ts, sockets.ts, sd.ts',
};
const order = Object.keys(rooms);
export const roomOf = (file) => (file.includes('/') ? file.slice(0, file.indexOf('/')) : 'index');

/**
 * File → the files it imports, by a value, a type, or on demand; and those that are loaded together with it.
 *
 * @returns {Map<string, { every: string[], now: string[] }>}
 */
export function readImports() {
  const files = readdirSync(src, { recursive: true }).filter((name) => name.endsWith('.ts'));
  const read = (file) => {
    const code = readFileSync(join(src, file), 'utf8').replace(/^\s*(?:\/\/|\/?\*).*$/gm, '');
    const found = (pattern) => [...code.matchAll(pattern)].map(([, path]) => `${join(dirname(file), path)}.ts`);
    return {
      every: found(/(?:from |import\(|import |require\(|\(import\.meta\.url\)\()'(\.[^']+)\.c?js'/g),
      now: found(/^(?:import|export) (?!type )[^;]*?'(\.[^']+)\.js';/gm),
    };
  };
  return new Map(files.map((file) => [file, read(file)]));
}

/**
 * What breaks the rule: an import that leads down the list, a file in no room, a circle.
 *
 * @param {Map<string, { every: string[] }>} imports
 * @returns {string[]}
 */
export function problems(imports) {
  const found = [];
  const placeOf = (file) => order.indexOf(roomOf(file));
  for (const [file, { every }] of imports) {
    if (placeOf(file) === -1) found.push(`src/${file} is in no room of scripts/architecture.js`);
    for (const to of every.filter((to) => placeOf(to) > placeOf(file)))
      found.push(`src/${file} imports ${to}: ${roomOf(to)} comes after ${roomOf(file)}`);
  }
  const done = new Set();
  const visit = (file, way) => {
    if (way.includes(file)) found.push(`a circle: ${[...way.slice(way.indexOf(file)), file].join(' → ')}`);
    if (done.has(file) || way.includes(file)) return;
    for (const next of imports.get(file)?.every ?? []) visit(next, [...way, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return found;
}

// ---------------------------------------------------------------------------------------------------------------------
// The picture

/** Room → the rooms it imports, without those that another of them leads to anyway. */
function arrowsOf(imports) {
  const all = new Map(order.map((room) => [room, new Set()]));
  for (const [file, { every }] of imports) for (const to of every) all.get(roomOf(file)).add(roomOf(to));
  const leadsTo = (from, to) => from === to || [...all.get(from)].some((next) => next !== from && leadsTo(next, to));
  return new Map(
    order.map((room) => {
      const next = [...all.get(room)].filter((to) => to !== room);
      return [room, next.filter((to) => !next.some((other) => other !== to && leadsTo(other, to)))];
    }),
  );
}

/** The rooms that dist/index.js holds, whole or in part: what `import 'listenfds'` loads. */
function loadedAtStart(imports) {
  const files = new Set();
  const visit = (file) => {
    if (files.has(file)) return;
    files.add(file);
    imports.get(file).now.forEach(visit);
  };
  visit('index.ts');
  return new Set([...files].map(roomOf));
}

const width = 860;
const margin = 44;
const row = { height: 42, gap: 26 };

function draw(imports) {
  const arrows = arrowsOf(imports);
  const core = loadedAtStart(imports);
  const rank = (room) => Math.max(0, ...arrows.get(room).map((to) => rank(to) + 1));
  const rows = [];
  for (const room of order) (rows[rank(room)] ??= []).push(room);
  rows.reverse();
  const boxes = new Map();
  rows.forEach((names, line) => {
    const space = 14;
    const wide = (width - 2 * margin - (names.length - 1) * space) / names.length;
    names.forEach((name, i) => {
      const y = 16 + line * (row.height + row.gap);
      boxes.set(name, { x: margin + i * (wide + space), y, wide });
    });
  });
  const parts = [];
  for (const [from, to] of [...arrows].flatMap(([from, all]) => all.map((to) => [from, to]))) {
    const [above, below] = [boxes.get(from), boxes.get(to)];
    const left = Math.max(above.x, below.x);
    const right = Math.min(above.x + above.wide, below.x + below.wide);
    const straight = `M ${(left + right) / 2} ${above.y + row.height} V ${below.y - 3}`;
    // Past the rooms in between, outside of them.
    const leftwards = below.x < width / 3;
    const side = ({ x, wide }) => (leftwards ? x : x + wide);
    const lane = leftwards ? margin / 2 : width - margin / 2;
    const round = `M ${side(above)} ${above.y + row.height / 2} H ${lane} V ${below.y + row.height / 2} H ${side(below) + (leftwards ? -3 : 3)}`;
    parts.push(`<path d="${rank(from) - rank(to) === 1 ? straight : round}" marker-end="url(#head)"/>`);
  }
  for (const [name, { x, y, wide }] of boxes) {
    parts.push(
      `<rect class="${core.has(name) ? 'core' : 'later'}" x="${x}" y="${y}" width="${wide}" height="${row.height}" rx="6"/>`,
      `<text class="name" x="${x + 12}" y="${y + 17}">${name}</text>`,
      `<text x="${x + 12}" y="${y + 33}">${rooms[name]}</text>`,
    );
  }
  return { parts, height: 16 + rows.length * (row.height + row.gap) };
}

const style = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .name { font-weight: 600 }
  rect { stroke: #afb8c1; fill: #ffffff }
  .core { fill: #eaf3ff; stroke: #54aeff }
  path { fill: none; stroke: #6e7781; stroke-width: 1.5 }
  marker path { fill: #6e7781; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    rect { fill: #0d1117; stroke: #484f58 }
    .core { fill: #0c2340; stroke: #388bfd }
    path { stroke: #8b949e }
    marker path { fill: #8b949e }
  }`;

export function picture() {
  const { parts, height } = draw(readImports());
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="The rooms of src/, and which imports which">
<style>${style}
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M 0 0 L 8 4 L 0 8 z"/></marker></defs>
${parts.join('\n')}
</svg>
`;
}

if (process.argv[1] === import.meta.filename) writeFileSync(svg, picture());
