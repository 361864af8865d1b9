// http-graceful-shutdown's API with drain() behind it. Its hooks are what serve() calls onStop().
const library = import(process.env.LISTENFDS_DIST);

module.exports = (server, { signals = 'SIGINT SIGTERM', timeout = 30_000, ...hooks } = {}) => {
  if (/SIGKILL|SIGSTOP/.test(signals)) throw new TypeError(`${signals} cannot be caught`);
  let running;
  const shutdown = async () => {
    await hooks.preShutdown?.();
    const { drain } = await library;
    await drain(server, { timeout, grace: 0 });
    try {
      await hooks.onShutdown?.();
    } finally {
      hooks.finally?.('manual');
    }
  };
  return () => (running ??= shutdown());
};
