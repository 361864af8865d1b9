// An update may replace the package, or remove it, under a process that runs on it.
import { appendFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { activate, type Activated } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { get } from '../support/http.js';
import { copyPackage } from '../support/package.ts';

const late = ['service.js', 'sockets.js', 'spawn.js'];

/** A program with a package of its own that tells when its files are read. Resolves when all are. */
async function start(t: Test, source: string): Promise<{ program: Activated; port: number; own: string }> {
  const folder = temporaryFolder(t);
  const own = join(folder, 'node_modules/listenfds');
  copyPackage(own);
  for (const file of late) appendFileSync(join(own, 'dist', file), `\nconsole.log('${file}');\n`);
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder, 'app.js'), source);
  const program = activate(t, [process.execPath, 'app.js'], { cwd: folder });
  const lines: string[] = [];
  while (lines.length < late.length + 1) lines.push(await program.line());
  const port = lines.find((line) => /^\d+$/.test(line));
  t.strictSame(lines.toSorted(), [port, ...late], 'all is read while the program is idle');
  return { program, port: Number(port), own };
}

t.test('a drain needs nothing of a package that is gone', async (t) => {
  const { program, port, own } = await start(
    t,
    `import { drain, listen } from 'listenfds';
    const { server, address } = await listen((request, response) => response.end('hello'), 0);
    console.log(address.port);
    process.once('SIGTERM', async () => console.log((await drain(server)).destroyed));`,
  );
  rmSync(own, { recursive: true });
  t.equal(await get({ port }), 'hello');
  program.child.kill('SIGTERM');
  t.equal(await program.line(), '0');
  t.match(await program.ended, { code: 0 });
});

t.test('an upgrade takes nothing from the new version', async (t) => {
  const { program, port, own } = await start(
    t,
    `import { serve } from 'listenfds';
    const app = (request, response) => response.end(String(process.pid));
    const { listening: [{ address }] } = await serve(app, { port: 0, upgrade: 'SIGUSR2' });
    console.log(address.port);`,
  );
  // The successor is the new version, and loads it.
  const tooLate = `\nif (process.pid === ${program.pid}) throw new Error('too late');\n`;
  for (const file of late) appendFileSync(join(own, 'dist', file), tooLate);
  t.equal(await get({ port }), String(program.pid));
  const gone = new Promise<number | null>((resolve) => program.child.once('exit', resolve));
  program.child.kill('SIGUSR2');
  t.equal(await gone, 0);
  const successor = Number(await get({ port }));
  t.not(successor, program.pid);
  process.kill(successor);
  t.equal((await program.ended).stderr, '');
});
