// close-with-grace's API with serve() behind it: what it calls at the end is what serve() calls onStop().
const { createServer } = require('node:net');

const library = import(process.env.LISTENFDS_DIST);

function closeWithGrace(options, fn) {
  if (typeof options === 'function') [options, fn] = [{}, options];
  const { delay = 10_000, logger = console } = options;
  const log = (message, error) => logger && logger.error(error ?? message);
  const service = library.then(({ serve }) =>
    serve(createServer(), {
      path: `@close-with-grace-${process.pid}`,
      ...(typeof delay === 'number' ? { drain: { timeout: delay, grace: 0 }, crashTimeout: delay } : {}),
      log,
      onStop: ({ reason, error }) => {
        closeWithGrace.closing = true;
        if (fn.length < 2)
          return fn(error ? { err: error } : reason === 'close' ? { manual: true } : { signal: reason });
        return new Promise((resolve, reject) =>
          fn({ signal: reason, err: error }, (failure) => (failure ? reject(failure) : resolve())),
        );
      },
    }),
  );
  return {
    close: () =>
      service
        .then((running) => running.close())
        .then(
          () => process.exit(0),
          () => process.exit(1),
        ),
    uninstall: () => {},
  };
}
closeWithGrace.closing = false;
module.exports = closeWithGrace;
