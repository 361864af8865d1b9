// HTTPS. `systemctl reload` (SIGHUP) reads the certificate anew, as after a renewal; connections that are open stay open.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { serve } from 'listenfds';

const readCertificate = () => ({
  key: readFileSync(process.env.TLS_KEY ?? 'key.pem'),
  cert: readFileSync(process.env.TLS_CERT ?? 'cert.pem'),
});

const server = createServer(readCertificate(), (_request, response) => response.end('Hello over TLS\n'));

const { listening } = await serve(server, {
  port: process.env.PORT ?? 3443,
  onReload: () => server.setSecureContext(readCertificate()),
});
console.log(listening[0].url);
