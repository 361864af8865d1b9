// Clients of event streams and WebSockets, of the load in mixed-load.js: they stay until the service tells them to leave, and
// come back half a second later, as EventSource does. Each beginning is a request; an end without a word is a failed one.
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';

/** What `retry:` of the stream says. Milliseconds. */
const retry = 500;
const patience = 20_000;
const now = () => performance.timeOrigin + performance.now();

class StreamClient {
  #report;
  #running = true;
  #end = () => {};
  /** Since when it wants to be served. */
  #since = now();

  constructor(report) {
    this.#report = report;
  }

  async run(ready) {
    while (this.#running) {
      this.#since = now();
      const late = setTimeout(() => this.fail('no answer'), patience);
      const begun = () => {
        clearTimeout(late);
        if (this.#since !== null)
          this.#report({ kind: this.kind, at: this.#since, ms: now() - this.#since, error: null });
        this.#since = null;
        ready();
        ready = () => {};
      };
      await new Promise((resolve) => {
        this.#end = resolve;
        this.begin(begun);
      });
      clearTimeout(late);
      if (this.#running) await sleep(retry);
    }
    this.leave();
  }

  /** The service has said goodbye, before it said anything or later. */
  end() {
    this.#end();
  }

  fail(why) {
    const at = this.#since ?? now();
    if (this.#running) this.#report({ kind: this.kind, at, ms: now() - at, error: why });
    this.#end();
  }

  close() {
    this.#running = false;
    this.#end();
  }
}

export class EventStreamClient extends StreamClient {
  kind = 'event stream, tcp';
  #address;
  #agent = new http.Agent({ keepAlive: true, maxSockets: 1, timeout: 60_000 });
  #request = null;

  constructor(address, report) {
    super(report);
    this.#address = address;
  }

  begin(begun) {
    const options = { ...this.#address, path: '/events', agent: this.#agent };
    const request = (this.#request = http.get(options, (response) => {
      response.setEncoding('utf8').on('data', (text) => text.includes('data:') && begun());
      response.on('error', ({ code }) => this.fail(`${code} in the stream`)).on('end', () => this.end());
    }));
    request.on('error', ({ code, message }) => this.fail(code ?? message));
  }

  leave() {
    this.#request.destroy();
    this.#agent.destroy();
  }
}

export class WebSocketClient extends StreamClient {
  kind = 'WebSocket, tcp';
  #url;
  #socket = null;

  constructor({ host, port }, report) {
    super(report);
    this.#url = `ws://${host}:${port}/socket`;
  }

  begin(begun) {
    const socket = (this.#socket = new WebSocket(this.#url));
    let failure = null;
    socket.on('open', () => socket.send('hello')).on('message', begun);
    socket.on('error', ({ code, message }) => (failure = code ?? message));
    socket.on('close', (code) => (code === 1012 ? this.end() : this.fail(failure ?? `closed with ${code}`)));
  }

  leave() {
    this.#socket.terminate();
  }
}
