// Every listen(0) asks for the port of one of the sockets that were passed; their names are their ports. Not in a thread, nor in a
// child process but a cluster worker: there is no such socket.
const cluster = require('node:cluster');
const { Server } = require('node:net');
const { isMainThread } = require('node:worker_threads');

const { NODE_TESTS_PID: pid, NODE_TESTS_PORTS: passed = '' } = process.env;
const isOurs = isMainThread && (pid === String(process.pid) || cluster.isWorker);
const ports = isOurs ? passed.split(',').filter(Boolean).map(Number) : [];
const { listen } = Server.prototype;

function listenInherited(...args) {
  const [first, ...rest] = args;
  const any = first === undefined || first === 0 || typeof first === 'function';
  if (ports.length > 0 && any) return listen.call(this, ports.shift(), ...(typeof first === 'function' ? args : rest));
  if (ports.length > 0 && typeof first === 'object' && first !== null && first.port === 0 && !first.exclusive) {
    return listen.call(this, { ...first, port: ports.shift() }, ...rest);
  }
  return listen.apply(this, args);
}
Server.prototype.listen = listenInherited;
