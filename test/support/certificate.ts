// A certificate that nobody trusts.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Writes a key and a certificate for localhost into a folder; paths of both. */
export function makeCertificate(folder: string): { readonly key: string; readonly cert: string } {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const files = ['-keyout', key, '-out', cert];
  execFileSync('openssl', ['req', '-x509', '-nodes', '-days', '2', '-subj', '/CN=localhost', ...curve, ...files], {
    stdio: 'ignore',
  });
  return { key, cert };
}
