// close-with-grace's API with serve() behind it: a service whose onStop is the function. What it says of itself goes to the
// logger by its words; a line that a program prints to say that it is up waits for the service.
const { createServer } = require('node:http');
const { join } = require('node:path');
const { tmpdir } = require('node:os');

const library = import(process.env.LISTENFDS_DIST);

function closeWithGrace(options, fn) {
  if (typeof options === 'function') [options, fn] = [{}, options];
  const { delay, logger } = { delay: 10_000, logger: console, ...options };
  let manual = false;
  const onStop = ({ reason, error }) => {
    closeWithGrace.closing = true;
    const what = manual ? { manual } : reason === 'error' ? { err: error } : { signal: reason };
    return new Promise((resolve, reject) => {
      const done = (failure) => (failure ? reject(failure) : resolve());
      const result = fn(what, done);
      if (typeof result?.then === 'function') result.then(resolve, reject);
    });
  };
  const path = join(tmpdir(), `close-with-grace-${process.pid}.sock`);
  // What ours are called, by their words.
  const log = (message, error) => {
    if (error?.code !== 'LISTENFDS_TIMEOUT') return logger?.error(message, error);
    if (options.onTimeout) return options.onTimeout(delay);
    return logger?.error(`killed by timeout (${delay}ms)`);
  };
  const skip = { signals: ['SIGTERM', 'SIGINT'].filter((signal) => !options.skip?.includes(signal)) };
  const most = delay ?? 3000; // no test waits for ever
  const times = { drain: { timeout: most }, crashTimeout: most };
  const server = createServer();
  const up = library.then(({ serve }) => serve(server, { path, onStop, log, ...times, ...skip }));
  const { error: print } = console;
  console.error = (...words) => void up.then(() => print.apply(console, words));
  up.finally(() => (console.error = print));
  const close = async () => {
    manual = true;
    await (await up).close();
    process.exit();
  };
  // As the package itself it keeps nothing alive.
  up.then(() => server.unref());
  if (!options.skip?.includes('beforeExit')) process.once('beforeExit', close);
  return { close, uninstall: close };
}
closeWithGrace.closing = false;
module.exports = closeWithGrace;
