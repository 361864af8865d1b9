// Preloaded into each program: answers GET /probe with what the server and a child process of it see.
import { spawnSync } from 'node:child_process';
import { Server } from 'node:http';

/** The variables of socket activation that a child process is given. */
function variables() {
  const { stdout } = spawnSync('env', { encoding: 'utf8' });
  return [...stdout.matchAll(/^(LISTEN_[A-Z]+)=/gm)].map(([, name]) => name);
}

const { emit } = Server.prototype;
Server.prototype.emit = function (event, request, response) {
  if (event !== 'request' || request.url !== '/probe') return Reflect.apply(emit, this, arguments);
  response.setHeader('Connection', 'close');
  response.end(JSON.stringify({ address: this.address(), variables: variables() }));
  return true;
};
