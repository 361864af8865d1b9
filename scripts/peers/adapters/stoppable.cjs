// stoppable's API with drain() behind it: stoppable(server, grace) adds server.stop(callback(error, gracefully)).
const library = import(process.env.LISTENFDS_DIST);

module.exports = (server, grace = Infinity) => {
  server._pendingSockets = new Set();
  server.on('connection', (socket) => {
    server._pendingSockets.add(socket);
    socket.once('close', () => server._pendingSockets.delete(socket));
  });
  server.stop = (callback) =>
    library
      .then(({ drain }) => drain(server, { timeout: Math.min(grace, 2 ** 31 - 1), grace: 0 }))
      .then(({ destroyed }) => callback?.(undefined, destroyed === 0), callback);
  return server;
};
