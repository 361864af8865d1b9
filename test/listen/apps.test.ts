// Every kind of app that listen() takes, over TCP and over a unix socket, started by a connection and started by hand.
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate, root } from '../support/activate.ts';
import { ask, type Place, type Protocol } from '../support/ask.ts';
import { makeCertificate } from '../support/certificate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { freePort } from '../support/port.ts';
import { installedModule } from '../support/programs.ts';
import { socketActivate } from '../support/socket-activate.ts';
import { without } from '../support/tools.ts';

interface Kind {
  readonly app: string;
  readonly protocol: Protocol;
  /** After the target. */
  readonly args?: readonly string[];
  /** Scheme of `url`; null where there is none. */
  readonly scheme: 'http' | 'https' | null;
}

const older = 'more-frameworks';
const kinds: readonly Kind[] = [
  { app: 'request-listener', protocol: 'http', scheme: 'http' },
  { app: 'net', protocol: 'tcp', scheme: null },
  { app: 'tls', protocol: 'tls', scheme: null },
  { app: 'http', protocol: 'http', scheme: 'http' },
  { app: 'https', protocol: 'https', scheme: 'https' },
  { app: 'http2', protocol: 'http2', scheme: 'http' },
  { app: 'http2-secure', protocol: 'http2-tls', scheme: 'https' },
  { app: 'express', protocol: 'http', scheme: 'http' },
  { app: 'express', args: [await installedModule(older, 'express4')], protocol: 'http', scheme: 'http' },
  { app: 'koa', protocol: 'http', scheme: 'http' },
  { app: 'fastify', protocol: 'http', scheme: 'http' },
  { app: 'fastify', args: [await installedModule(older, 'fastify4')], protocol: 'http', scheme: 'http' },
];

const skip = without('systemd-socket-activate', 'openssl');
const folder = temporaryFolder(t);
const { key, cert } = skip ? { key: '', cert: '' } : makeCertificate(folder);
const env = { KEY: key, CERT: cert };
t.jobs = 3;

async function onTcp(): Promise<{ address: string; place: Place; expected: unknown }> {
  const place = { host: '127.0.0.1', port: await freePort() };
  return { address: `${place.host}:${place.port}`, place, expected: { address: place.host, port: place.port } };
}

function onUnix(t: Test): { address: string; place: Place; expected: unknown } {
  const path = join(temporaryFolder(t), 'app.sock');
  return { address: path, place: { path }, expected: path };
}

/** The line in which a fixture says where it listens; the log of a framework may come before it. */
async function reported(program: { line(): Promise<string> }): Promise<unknown> {
  for (;;) {
    const line = await program.line();
    if (line.startsWith('{')) return JSON.parse(line);
  }
}

for (const { app, protocol, args = [], scheme } of kinds) {
  t.test(`${app} ${args.join(' ')}`.trim(), { skip, buffered: true }, async (t) => {
    for (const transport of ['TCP', 'unix']) {
      const started = transport === 'TCP' ? await onTcp() : onUnix(t);
      const { address, place, expected } = started;
      const url = scheme && 'port' in place ? `${scheme}://${address}/` : null;
      const command = [process.execPath, join(root, `test/fixtures/apps/${app}.js`), address, ...args];

      const activated = await socketActivate(t, command, { addresses: [address], names: ['web'], env });
      t.equal(await ask(protocol, place), 'hello', `${transport}, activated`);
      t.match(await reported(activated), {
        address: expected,
        source: 'inherited',
        name: 'web',
        url,
        pid: activated.pid,
      });
      t.notMatch((await activated.kill()).stderr, 'Warning');

      // The socket file that the activator leaves is stale by now, and replaced.
      const byHand = activate(t, command, { env });
      t.match(await reported(byHand), { address: expected, source: 'bound', name: null, url });
      t.equal(await ask(protocol, place), 'hello', `${transport}, by hand`);
      t.notMatch((await byHand.kill()).stderr, 'Warning');
    }
  });
}
