// Makes dist/insides.js of test/support/insides.ts, for the tests. It is not packed.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

export async function buildInsides(folder) {
  await build({
    entryPoints: [join(folder, 'test/support/insides.ts')],
    outfile: join(folder, 'dist/insides.js'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    external: ['*/room.js'],
    sourcemap: true,
    logLevel: 'warning',
  });
  writeFileSync(join(folder, 'dist/insides.d.ts'), `export * from '../test/support/insides.ts';\n`);
}
