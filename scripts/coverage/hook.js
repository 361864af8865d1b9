// Loaded into every Node.js process while coverage is measured: writes how often each part of dist/ has run into the folder
// COVERAGE_FOLDER. Node's own NODE_V8_COVERAGE writes at a regular end only, and most services here end by a signal; and
// it writes the counts of all that was loaded, for thousands of processes.
import { existsSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { dirname, join } from 'node:path';
import { threadId } from 'node:worker_threads';

const folder = process.env.COVERAGE_FOLDER;
const session = new Session();
session.connect();
const post = (method, params) => {
  let result;
  session.post(method, params, (error, answer) => (result = error ? undefined : answer)); // answered at once
  return result;
};
post('Profiler.enable');
post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });

const known = new Map();

/** Which file of dist/ it is, in this copy or another. What is published has other offsets, and no insides.js. */
function ours(url) {
  if (!known.has(url)) {
    const found = /^(?:file:\/\/)?(\/.*\/dist\/([a-z-]+\.c?js))(?:\?.*)?$/.exec(url);
    const isOurs = found && existsSync(join(dirname(decodeURI(found[1])), 'insides.js'));
    known.set(url, isOurs ? found[2] : null);
  }
  return known.get(url);
}

let written = 0;

function write() {
  // It also sets the counts back to 0.
  const scripts = post('Profiler.takePreciseCoverage')?.result ?? [];
  const mine = scripts.filter(({ url }) => ours(url));
  if (mine.length === 0) return;
  const counts = mine.map(({ url, functions }) => ({
    file: ours(url),
    functions: functions.map(({ ranges }) =>
      ranges.map(({ startOffset, endOffset, count }) => [startOffset, endOffset, count]),
    ),
  }));
  try {
    writeFileSync(
      join(folder, `${process.pid}-${threadId}-${performance.timeOrigin}-${written++}.json`),
      JSON.stringify(counts),
    );
  } catch {
    // A service that may not write, or another user.
  }
}

process.on('exit', write);
// What a signal ends is lost from the last time on.
setInterval(write, 50).unref();
