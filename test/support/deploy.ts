// A program as it would be deployed: bundled into one file, with this package beside it, in a folder of a lab. The checkout
// itself may be where a hardened service is not let in, a home directory or /tmp.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { root } from './activate.ts';
import { copyPackage } from './package.ts';
import type { Lab } from './systemd.ts';

/** Puts a program of test/fixtures into `folder` of the lab, as app.js. */
export async function deploy(lab: Lab, fixture: string, folder: string): Promise<void> {
  const target = lab.path(folder);
  const own = join(target, 'node_modules/listenfds');
  mkdirSync(own, { recursive: true });
  copyPackage(own);
  await build({
    entryPoints: [join(root, 'test/fixtures', fixture)],
    outfile: join(target, 'app.js'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['listenfds'],
    // Express is CommonJS and requires Node's own modules.
    banner: { js: `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);` },
    logLevel: 'error',
  });
  writeFileSync(join(target, 'package.json'), '{ "type": "module" }');
}
