import t from 'tap';
import { launcherOf } from '../../src/text/launchers.ts';

t.test('a launcher is known by the command that starts it', (t) => {
  const table: [command: string, name: string | null][] = [
    ['npm start', 'npm'],
    ['/usr/bin/npx serve', 'npx'],
    ['pnpm exec node app.js', 'pnpm'],
    ['yarn start', 'yarn'],
    ['node /usr/lib/node_modules/npm/bin/npm-cli.js start', 'npm'],
    ['node_modules/.bin/tsx app.ts', 'tsx'],
    ['node node_modules/tsx/dist/cli.mjs app.ts', 'tsx'],
    ['nodemon app.js', 'nodemon'],
    ['/srv/node_modules/nodemon/bin/nodemon.js app.js', 'nodemon'],
    ['cross-env A=1 node app.js', 'cross-env'],
    ['node --watch app.js', 'node --watch'],
    ['node --watch-path=src app.js', 'node --watch-path=src'],
    ['/opt/node/bin/node --run start', 'node --run'],
    ['node app.js', null],
    ['node --import tsx app.ts', null],
    ['node app.js --watch', null],
    ['node npm.test.js', null],
    ['/srv/cli.js', null],
    ['./my-npm', null],
    ['env A=1 node app.js', null],
    ['env -i A=1 PATH=/bin npm start', 'npm'],
    ['timeout -k 5 30s npx serve', 'npx'],
    ['tini -s -- node --watch app.js', 'node --watch'],
    ['tini -- node app.js', null],
    ['nice -n 5 pnpm start', 'pnpm'],
    ['npx -- tsx app.ts', 'npx'],
    ['', null],
  ];
  for (const [command, name] of table) t.equal(launcherOf(command.split(' '))?.name ?? null, name, command);
  for (const [script, name] of [
    ['npm start', 'npm'],
    ['npm run build && exec node app.js', 'npm'],
    ['cd /srv; A=1 exec tsx app.ts', 'tsx'],
    ['exec node app.js', null],
    ['echo npm', null],
  ] as const) {
    t.equal(launcherOf(['/bin/sh', '-ec', script])?.name ?? null, name, script);
  }
  t.match(launcherOf(['tsx', 'app.ts'])?.instead, /node --import tsx app\.ts/);
  t.end();
});
