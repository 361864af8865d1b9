// server.listen() of a port or a path is listen() of this package.
const { join } = require('node:path');
const net = require('node:net');

const load = () => import(join(__dirname, '../../../dist/index.js'));
const { listen } = net.Server.prototype;
const ours = new WeakSet();

net.Server.prototype.listen = function (...args) {
  if (ours.has(this)) return listen.apply(this, args); // the package itself
  const [options, callback] = net._normalizeArgs(args);
  const { port, host, path, backlog, exclusive, ipv6Only, reusePort, readableAll, writableAll, signal } = options;
  const place =
    port === undefined
      ? path && { path }
      : Number.isInteger(port) && port >= 0 && port <= 65535 && { port, ...(host ? { host } : {}) };
  const forWorker = new Error().stack.includes('node:internal/cluster'); // what a primary opens is Node's own
  if (!place || forWorker || options.fd !== undefined || options._handle || options.handle || this._handle)
    return listen.apply(this, args);
  if (callback) this.once('listening', callback);
  ours.add(this);
  // What fails is told both ways: by the server, and by the promise.
  let told = false;
  const tell = () => (told = true);
  this.prependOnceListener('error', tell);
  const asked = { backlog, exclusive, ipv6Only, reusePort, readableAll, writableAll, signal };
  const given = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
  load()
    .then((module) => module.listen(this, { ...place, ...given }))
    .catch((error) => process.nextTick(() => told || this.emit('error', error)))
    .finally(() => {
      ours.delete(this);
      this.off('error', tell);
    });
  return this;
};
