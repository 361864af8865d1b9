// http-shutdown's API with drain() behind it: server.shutdown(callback) and server.forceShutdown(callback).
const http = require('node:http');
const https = require('node:https');

const library = import(process.env.LISTENFDS_DIST);

module.exports = (server) => {
  const end = (options) => (callback) =>
    library.then(({ drain }) => drain(server, options)).then(() => callback?.(), callback);
  server.shutdown = end({ grace: 0 });
  server.forceShutdown = end({ grace: 0, timeout: 0 });
  return server;
};
module.exports.extend = () => {
  for (const { Server } of [http, https]) {
    Server.prototype.withShutdown = function () {
      return module.exports(this);
    };
  }
};
