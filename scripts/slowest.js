// node scripts/slowest.js FILE: the ten slowest files of a run, from what tap printed into FILE, and how long all took.
import { readFileSync } from 'node:fs';

const text = readFileSync(process.argv[2], 'utf8');
const found = [...text.matchAll(/^(?:not )?ok \d+ - (test\/\S+\.test\.ts) # time=([\d.]+)ms/gm)];
const files = found
  .map(([, file, time]) => ({ file, seconds: Number(time) / 1000 }))
  .sort((a, b) => b.seconds - a.seconds);
const total = files.reduce((sum, { seconds }) => sum + seconds, 0);
for (const { file, seconds } of files.slice(0, 10)) console.log(`${seconds.toFixed(0).padStart(5)} s  ${file}`);
console.log(`${total.toFixed(0).padStart(5)} s  all ${files.length} files, several at a time`);
