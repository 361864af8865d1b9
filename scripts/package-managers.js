// The package managers that scripts/install-table.js tries, and what people do with each.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * How each manager is started, and what is done with it, one step after the other, in one project. `layer` is what is done in a
 * layer of a container, where there is the lock file and no more. `node` is what a program needs on the command line.
 */
const npm = {
  program: (home) => join(home, 'node_modules/npm/bin/npm-cli.js'),
  steps: ['install', 'ci', 'rebuild', 'update', 'ci --omit=dev', 'ci --ignore-scripts', 'ci --foreground-scripts'],
  layer: 'ci --omit=dev',
};
const npmAllow = '--dangerously-allow-all-scripts';
const pnpm = {
  program: (home) =>
    join(
      home,
      'node_modules/pnpm/bin',
      existsSync(join(home, 'node_modules/pnpm/bin/pnpm.mjs')) ? 'pnpm.mjs' : 'pnpm.cjs',
    ),
  steps: [
    'install',
    'install --frozen-lockfile',
    'rebuild',
    'update',
    'install --prod --frozen-lockfile',
    'install --frozen-lockfile --ignore-scripts',
  ],
  layer: 'install --prod --frozen-lockfile',
};
const pnpmAllow = '--config.dangerously-allow-all-builds=true';
const yarn1 = {
  program: (home) => join(home, 'node_modules/yarn/bin/yarn.js'),
  steps: ['install', 'install --frozen-lockfile', 'install --force', 'upgrade', 'install --ignore-scripts --force'],
  layer: 'install --production --frozen-lockfile',
};
const yarn = {
  version: ['@yarnpkg/cli-dist', '4'],
  program: (home) => join(home, 'node_modules/@yarnpkg/cli-dist/bin/yarn.js'),
  steps: ['install', 'install --immutable', 'rebuild', 'up listenfds', 'install --mode=skip-build'],
  layer: 'install --immutable',
};
const yarnFiles = (linker) => ({
  '.yarnrc.yml': `nodeLinker: ${linker}\nenableScripts: true\nenableTelemetry: false\nenableGlobalCache: false\n`,
  'yarn.lock': '',
});

/** One version of a manager; with scripts that are off there, also what switches them on. */
const versions = (manager, name, numbers, allow) =>
  Object.fromEntries(
    numbers.map((number) => {
      const steps = allow ? [...manager.steps, `${manager.steps[1]} ${allow}`, `rebuild ${allow}`] : manager.steps;
      return [`${name} ${number}`, { ...manager, steps, version: [name, number] }];
    }),
  );

export const managers = {
  ...versions(npm, 'npm', ['10', '11']),
  ...versions(npm, 'npm', ['12'], npmAllow),
  ...versions(pnpm, 'pnpm', ['9']),
  ...versions(pnpm, 'pnpm', ['10', '11', '12'], pnpmAllow),
  'yarn 1': { ...yarn1, version: ['yarn', '1'] },
  'yarn 4, node-modules': { ...yarn, files: yarnFiles('node-modules') },
  'yarn 4, pnp': {
    ...yarn,
    files: yarnFiles('pnp'),
    node: (folder) => [
      '--require',
      join(folder, '.pnp.cjs'),
      '--experimental-loader',
      pathToFileURL(join(folder, '.pnp.loader.mjs')).href,
      '--no-warnings',
    ],
  },
};

/** Where the package comes from, or where the project is. */
export const ways = {
  'from the tarball': {},
  'from a registry': { registry: true },
  'in a workspace, in a folder with spaces': { workspace: true, folder: 'a folder, with spaces' },
};
