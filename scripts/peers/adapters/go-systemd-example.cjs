#!/usr/bin/env node
// The example programs that go-systemd's tests of activation start (test_bins/NAME.example), with this package.
const { basename } = require('node:path');
const { closeSync, writeSync } = require('node:fs');

if (process.env.FIX_LISTEN_PID) process.env.LISTEN_PID = String(process.pid); // what the Go programs do as well
const announced = () => ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES'].filter((name) => process.env[name]);

async function activation({ listenFds }) {
  if (process.env.FIX_LISTEN_PID && announced().length === 0) throw new Error('Should not unset envs');
  const files = listenFds();
  if (files.length === 0) throw new Error('No files');
  for (const [i, words] of ['Hello', 'Goodbye'].entries()) {
    const { name, fd } = files[i];
    writeSync(fd, `${words} world: ${name === 'unknown' ? `LISTEN_FD_${fd}` : name}`);
    closeSync(files[i].take());
  }
}

async function listen({ listen: open }) {
  const { createServer } = require('node:net');
  const served = ['Hello world: fd1', 'Goodbye world: fd2'].map(async (text, i) => {
    const server = createServer();
    const connected = new Promise((resolve) => server.once('connection', resolve));
    await open(server, { port: 0, name: `fd${i + 1}` });
    const socket = await connected;
    await new Promise((resolve) => socket.end(text, resolve));
    server.close();
  });
  await Promise.all(served);
}

async function udpconn() {
  const { listenDatagram } = await import(process.env.LISTENFDS_DIST.replace('index.js', 'sockets.js'));
  const sent = ['Hello world', 'Goodbye world'].map(async (text, i) => {
    const { socket } = await listenDatagram({ port: 0, name: `fd${i + 1}` });
    const from = await new Promise((resolve) => socket.once('message', (_, sender) => resolve(sender)));
    await new Promise((resolve) => socket.send(text, from.port, from.address, resolve));
    socket.close();
  });
  await Promise.all(sent);
}

const examples = { activation, listen, udpconn };
import(process.env.LISTENFDS_DIST)
  .then((library) => examples[basename(process.argv[1], '.example')](library))
  .then(() => announced().length > 0 && Promise.reject(new Error('Can not unset envs')))
  .then(() => process.exit()) // the clients stay connected
  .catch((error) => {
    console.error(error);
    process.exit(2);
  });
