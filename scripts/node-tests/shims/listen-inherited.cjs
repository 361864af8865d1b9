// Every listen(0) asks for the port of one of the sockets that were passed; their names are their ports.
const { Server } = require('node:net');

const ports = (process.env.NODE_TESTS_PORTS ?? '').split(',').filter(Boolean).map(Number);
const { listen } = Server.prototype;

function listenInherited(...args) {
  const [first, ...rest] = args;
  const any = first === undefined || first === 0 || typeof first === 'function';
  if (ports.length > 0 && any) return listen.call(this, ports.shift(), ...(typeof first === 'function' ? args : rest));
  if (ports.length > 0 && typeof first === 'object' && first !== null && first.port === 0) {
    return listen.call(this, { ...first, port: ports.shift() }, ...rest);
  }
  return listen.apply(this, args);
}
Server.prototype.listen = listenInherited;
