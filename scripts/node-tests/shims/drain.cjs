// close() of every server is a drain() with little grace: what a program gets that ends its servers with this package.
const { join } = require('node:path');

const load = () => import(join(__dirname, '../../../dist/index.js'));
const draining = new WeakSet();

for (const name of ['net', 'http']) {
  const { prototype } = require(`node:${name}`).Server;
  const { close } = prototype;
  prototype.close = function (callback) {
    if (!this.listening || draining.has(this)) return close.apply(this, arguments);
    draining.add(this);
    if (typeof callback === 'function') this.once('close', () => callback());
    // As close() does, it takes the server out of the event loop's way at once.
    load()
      .then(({ drain }) => drain(this, { grace: 100, timeout: 5000 }))
      .finally(() => draining.delete(this));
    return this;
  };
}
