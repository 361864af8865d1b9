// node bench/picture.js: draws docs/zero-downtime.svg from docs/zero-downtime.json, which `npm run bench -- upgrade` wrote. It needs
// `npm --prefix bench install`.
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse, View } from 'vega';
import { compile } from 'vega-lite';

const docs = resolve(import.meta.dirname, '../docs');
const titles = {
  'plain Node restart': 'systemctl restart, plain Node on fd 3',
  'restart with drain': 'systemctl restart, serve()',
  upgrade: 'systemctl reload with listenfds upgrade',
};
const [waitColour, lossColour, actionColour] = ['#2b6cb0', '#d62728', '#999999'];
/** ms: a point is the slowest request that began in it. */
const step = 50;
/** A logarithm has no 0. */
const least = 1;

function titleOf({ way, requests }) {
  const lost = requests.filter(([, , failed]) => failed).length;
  return `${titles[way]}: ${lost} of ${requests.length} requests lost`;
}

function rows(series) {
  const { actions, requests } = series;
  const title = titleOf(series);
  const slowest = new Map();
  for (const [at, wait, failed] of requests) {
    const key = Math.floor(at / step);
    if (!failed) slowest.set(key, Math.max(slowest.get(key) ?? least, wait));
  }
  return [
    ...actions.map((at) => ({ title, action: at / 1000 })),
    ...[...slowest].map(([key, wait]) => ({ title, at: (key * step) / 1000, wait: Number(wait.toFixed(1)) })),
    ...lossesOf(series).map((one) => ({ title, ...one })),
  ];
}

/** Where each lost request began, and their number beside the action that cost them. */
function lossesOf({ actions, requests }) {
  const begins = requests.filter(([, , failed]) => failed).map(([at]) => at);
  const times = [...new Set(begins.map((at) => Math.round(at / 20) / 50))];
  const nearest = (at) => actions.toSorted((a, b) => Math.abs(a - at) - Math.abs(b - at))[0];
  const counts = new Map();
  for (const at of begins) counts.set(nearest(at), (counts.get(nearest(at)) ?? 0) + 1);
  return [
    ...times.map((lost) => ({ lost })),
    ...[...counts].map(([action, count]) => ({ counted: action / 1000, count: `${count} lost` })),
  ];
}

const ways = JSON.parse(readFileSync(resolve(docs, 'zero-downtime.json'), 'utf8'));
const values = ways.flatMap(rows);
const x = { field: 'at', type: 'quantitative', title: 'seconds', scale: { domain: [0, 10] }, axis: { grid: false } };
const y = {
  type: 'quantitative',
  title: 'ms waited',
  scale: { type: 'log', domain: [least, 3000] },
  axis: { values: [1, 10, 100, 1000], format: '~s' },
};

const { spec } = compile({
  data: { values },
  facet: {
    row: {
      field: 'title',
      type: 'nominal',
      title: null,
      sort: ways.map(titleOf),
      header: { labelAngle: 0, labelOrient: 'top', labelAnchor: 'start', labelFontSize: 13, labelFontWeight: 'bold' },
    },
  },
  spec: {
    width: 760,
    height: 120,
    layer: [
      {
        transform: [{ filter: 'isValid(datum.action)' }],
        mark: { type: 'rule', color: actionColour, strokeDash: [3, 3] },
        encoding: { x: { ...x, field: 'action' } },
      },
      {
        transform: [{ filter: 'isValid(datum.wait)' }],
        mark: { type: 'area', interpolate: 'step', color: waitColour, opacity: 0.75 },
        encoding: { x, y: { ...y, field: 'wait' }, y2: { datum: least } },
      },
      {
        transform: [{ filter: 'isValid(datum.lost)' }],
        mark: {
          type: 'point',
          shape: 'M-1,-1L1,1M1,-1L-1,1',
          color: lossColour,
          size: 30,
          strokeWidth: 1.5,
          opacity: 1,
        },
        encoding: { x: { ...x, field: 'lost' }, y: { datum: 900 } },
      },
      {
        transform: [{ filter: 'isValid(datum.counted)' }],
        mark: { type: 'text', color: lossColour, align: 'left', dx: -4, dy: -10 },
        encoding: { x: { ...x, field: 'counted' }, y: { datum: 900 }, text: { field: 'count' } },
      },
    ],
  },
  config: { background: 'white', font: 'sans-serif', view: { stroke: '#dddddd' } },
});

const svg = await new View(parse(spec), { renderer: 'none' }).toSVG();
writeFileSync(resolve(docs, 'zero-downtime.svg'), svg);
console.log(`docs/zero-downtime.svg: ${Math.round(svg.length / 1024)} KiB`);
