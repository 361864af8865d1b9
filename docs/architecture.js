// Draws docs/architecture.svg: node docs/architecture.js. The rooms are those of build.js; a test compares.
import { writeFileSync } from 'node:fs';

const [width, height] = [860, 560];

/** What is loaded when it is first asked for: file in dist/, what is in it, who asks. */
export const rooms = [
  ['service.js', 'serve(), drain(), limits, upgrade'],
  ['sockets.js', 'datagrams, packets, FIFO, netlink, vsock …'],
  ['stored-listener.js', 'listeners in the fd store'],
  ['framework-shapes.js', 'Hapi, Nest, restify, Next.js …'],
  ['spawn.js', 'starting a program with descriptors'],
  ['lend.js', 'the preload; cluster workers'],
  ['cli.js', 'run, inspect, unit, upgrade'],
];

/** The way of a descriptor, step by step: room of the core, what happens there. */
const way = [
  ['environment.ts', 'LISTEN_* → how many, called what; whether they are ours'],
  ['inherited.ts', 'all verified, then FD_CLOEXEC, variables removed; once'],
  ['descriptor.ts', 'what each is: kind, address, listening, backlog'],
  ['choose.ts', 'which one: by name, by address, the only one left'],
  ['take.ts', 'taken, once; put back when adopting fails'],
  ['listen.ts', 'adopted by the server, then checked to be there'],
];

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const parts = [];
const box = (x, y, w, h, kind) =>
  parts.push(`<rect class="${kind}" x="${x}" y="${y}" width="${w}" height="${h}" rx="6"/>`);
const text = (x, y, words, kind = '') => parts.push(`<text class="${kind}" x="${x}" y="${y}">${escape(words)}</text>`);
const arrow = (path, kind = 'way') => parts.push(`<path class="${kind}" d="${path}" marker-end="url(#${kind})"/>`);

box(20, 20, 460, 52, 'outside');
text(36, 42, 'service manager', 'name');
text(36, 60, 'opens the sockets, starts the program: fd 3, 4, …, LISTEN_*');

box(20, 104, 460, 356, 'core');
text(36, 126, 'core: dist/index.js, one file', 'title');
way.forEach(([name, what], i) => {
  const y = 140 + i * 52;
  box(36, y, 428, 38, 'room');
  text(48, y + 16, `${i + 1}  ${name}`, 'name');
  text(48, y + 31, what);
  arrow(i === 0 ? `M 250 72 V ${y - 3}` : `M 250 ${y - 14} V ${y - 3}`);
});

box(20, 488, 220, 52, 'outside');
text(36, 510, 'your server', 'name');
text(36, 528, 'net, http, https, http2, a framework');
arrow('M 130 438 V 485');
box(260, 488, 220, 52, 'room');
text(276, 510, 'bind.ts', 'name');
text(276, 528, 'nothing was passed: bind it');
arrow('M 370 438 V 485', 'other');
arrow('M 260 514 H 243', 'other');

box(520, 20, 320, 346, 'outside');
text(536, 42, 'rooms: loaded when first asked for', 'title');
rooms.forEach(([name, what], i) => {
  const y = 56 + i * 44;
  box(536, y, 288, 36, 'room');
  text(548, y + 15, name, 'name');
  text(548, y + 29, what);
});
arrow('M 520 210 H 483', 'other');
text(484, 202, 'use', 'small');

box(520, 392, 320, 148, 'core');
text(536, 414, 'native/: facts and system calls, no policy', 'title');
[
  'arguments in, plain data or -errno out',
  'no state, no exceptions, Node-API 8',
  'loaded when there is something to look at',
].forEach((line, i) => text(536, 438 + i * 18, line));
text(536, 498, 'Linux', 'name');
text(536, 516, 'fcntl, getsockopt, recvmsg, sock_diag, epoll …');
arrow('M 480 446 H 517', 'other');

const style = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .name { font-weight: 600 }
  .title { font-weight: 600; fill: #0550ae }
  .small { font-size: 11px }
  .outside { fill: #f6f8fa; stroke: #afb8c1 }
  .core { fill: #eaf3ff; stroke: #54aeff }
  .room { fill: #ffffff; stroke: #afb8c1 }
  path { fill: none; stroke-width: 1.5 }
  .way { stroke: #1a7f37; stroke-width: 2 }
  .other { stroke: #6e7781; stroke-dasharray: 4 3 }
  .head-way { fill: #1a7f37; stroke: none }
  .head-other { fill: #6e7781; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .title { fill: #79c0ff }
    .outside { fill: #161b22; stroke: #484f58 }
    .core { fill: #0c2340; stroke: #388bfd }
    .room { fill: #0d1117; stroke: #484f58 }
    .way { stroke: #3fb950 }
    .other { stroke: #8b949e }
    .head-way { fill: #3fb950 }
    .head-other { fill: #8b949e }
  }`;
const marker = (kind) =>
  `<marker id="${kind}" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path class="head-${kind}" d="M 0 0 L 8 4 L 0 8 z"/></marker>`;

export const picture = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="The rooms of the package, and the way of a descriptor through them">
<style>${style}
</style>
<defs>${marker('way')}${marker('other')}</defs>
${parts.join('\n')}
</svg>
`;

if (process.argv[1] === import.meta.filename) {
  writeFileSync(new URL('architecture.svg', import.meta.url), picture);
}
