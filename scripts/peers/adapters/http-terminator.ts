// http-terminator's API with drain() behind it.
// @ts-nocheck
const library = new Function('file', 'return import(file)')(process.env.LISTENFDS_DIST);

const create = ({ server, gracefulTerminationTimeout = 5_000 }) => ({
  secureSockets: new Set(),
  sockets: new Set(),
  terminate: async () => {
    const { drain } = await library;
    await drain(server, { timeout: gracefulTerminationTimeout, grace: 0 });
  },
});
export const createHttpTerminator = create;
export const createInternalHttpTerminator = create;
