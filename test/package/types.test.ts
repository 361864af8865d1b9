// What TypeScript makes of the package in a consumer's project, and what the linters of published packages say.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t, { type Test } from 'tap';
import { root } from '../support/activate.ts';
import { temporaryFolder } from '../support/folder.ts';
import { packed } from '../support/packed.ts';
import { installed } from '../support/programs.ts';

const tarball = await packed();
const [nest, more] = [await installed('nest-12'), await installed('more-frameworks')];

/** A project with the published package, and what people use beside it. */
function project(t: Test): string {
  const folder = temporaryFolder(t);
  const modules = join(folder, 'node_modules');
  mkdirSync(join(modules, 'listenfds'), { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '--strip-components=1', '-C', join(modules, 'listenfds')]);
  const others = ['@types', '@hapi', 'express', 'fastify', 'koa', 'polka', 'socket.io', 'srvx', 'h3'];
  for (const name of others) symlinkSync(join(root, 'node_modules', name), join(modules, name));
  for (const [at, name] of [
    [nest, '@nestjs'],
    [more, 'fastify4'],
  ] as const) {
    symlinkSync(join(at, 'node_modules', name), join(modules, name));
  }
  return folder;
}

const common = `
  const service: Service = await serve((request, response) => response.end(request.url), {
    port: process.env['PORT'] ?? 3000, idleTimeout: '10min', onStop: ({ reason }) => console.log(reason) });
  const { address, source, url }: Listening = service.listening[0]!;
  const port: number | null = typeof address === 'object' && address ? address.port : null;
  const [first]: readonly InheritedFd[] = listenFds({ pid: 'parent' });
  const fd: number | undefined = first?.take();
  const ready: boolean = notify({ ready: true, status: 'up' });
  const result: DrainResult = await drain(service.listening[0]!.server, { timeout: 1000 });
  try { await listen(3 as never, { address: '/run/app.sock' }); } catch (error) {
    if (error instanceof ListenFdsError) { const code: ErrorCode = error.code; console.log(code); }
  }
  // @ts-expect-error: no such option
  await listen(() => {}, { prot: 3000 });
  // @ts-expect-error: no app
  await listen('app', 3000);
  console.log(source, url, port, fd, ready, result.completed);`;
const values = 'drain, listen, listenFds, ListenFdsError, notify, serve';
const types = 'DrainResult, ErrorCode, InheritedFd, Listening, Service';

const apps = `
import Hapi from '@hapi/hapi';
import { NestFactory } from '@nestjs/core';
import express from 'express';
import fastify from 'fastify';
import fastify4 from 'fastify4';
import { H3, serve as serveH3 } from 'h3';
import Koa from 'koa';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { Server } from 'socket.io';
import { serve as serveFetch } from 'srvx';
import { listen, serve, type App } from 'listenfds';
import 'listenfds/register';

export const apps: App[] = [
  express(), fastify(), fastify4(), new Koa(), Hapi.server(), await NestFactory.create(class {}),
  serveH3(new H3(), { manual: true }), serveFetch({ fetch: () => new Response(''), manual: true }),
  new Server(http.createServer()), http.createServer(), https.createServer(), http2.createServer(),
  http2.createSecureServer(), net.createServer(), tls.createServer(), (request, response) => response.end(request.url),
];
await listen(express(), 3000);
await serve([{ app: fastify(), name: 'web' }, { app: new Koa(), port: 9000 }]);
`;

function compile(t: Test, folder: string, options: object, files: Readonly<Record<string, string>>): void {
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  const compilerOptions = {
    strict: true,
    noEmit: true,
    target: 'es2022',
    types: ['node'],
    esModuleInterop: true,
    ...options,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: Object.keys(files) }));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8', env: { PATH: '' } });
  t.equal(stdout, '');
  t.equal(status, 0);
}

const esm = `import { ${values}, type ${types.replaceAll(', ', ', type ')} } from 'listenfds';\n${common}\n`;

t.jobs = 2;
t.setTimeout(300_000);

t.test('a project with module nodenext, its own declarations checked', (t) => {
  const folder = project(t);
  const strict = { exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true };
  compile(t, folder, { module: 'nodenext', skipLibCheck: false, ...strict }, { 'main.mts': esm });
  t.end();
});

t.test('every framework of docs/frameworks.md is an App', (t) => {
  compile(t, project(t), { module: 'nodenext', skipLibCheck: true }, { 'apps.mts': apps });
  t.end();
});

t.test('a bundler’s project', (t) => {
  const folder = project(t);
  compile(t, folder, { module: 'esnext', moduleResolution: 'bundler', skipLibCheck: true }, { 'main.ts': esm });
  t.end();
});

t.test('CommonJS: require() with nodenext, import() with node16', (t) => {
  const folder = project(t);
  const wrap = (head: string): string => `${head}\nasync function main(): Promise<void> {${common}\n}\nvoid main();\n`;
  const imported = types.split(', ').map((name) => `type ${name} = import('listenfds', MODE).${name};`);
  const dynamic = wrap(imported.join('\n').replaceAll('MODE', "{ with: { 'resolution-mode': 'import' } }")).replace(
    'Promise<void> {',
    `Promise<void> { const { ${values} } = await import('listenfds');`,
  );
  compile(t, folder, { module: 'node16', skipLibCheck: true }, { 'main.cts': dynamic });
  const required = wrap(`import { ${values}, type ${types.replaceAll(', ', ', type ')} } from 'listenfds';`);
  compile(t, folder, { module: 'nodenext', skipLibCheck: true }, { 'main.cts': required });
  t.end();
});

/** The linters, as far as they are used here. */
interface Linters {
  publint(options: { pack: { tarball: ArrayBuffer }; strict: boolean }): Promise<{ messages: unknown[] }>;
  createPackageFromTarballData(bytes: Uint8Array): unknown;
  checkPackage(tarball: unknown): Promise<{ problems?: { kind: string; resolutionKind?: string }[] }>;
}

async function linter<Name extends keyof Linters>(file: string): Promise<Pick<Linters, Name>> {
  return import(pathToFileURL(join(await installed('package-checks'), 'node_modules', file)).href);
}

t.test('publint has nothing to say', async (t) => {
  const { publint } = await linter<'publint'>('publint/src/index-node.js');
  const { messages } = await publint({ pack: { tarball: new Uint8Array(readFileSync(tarball)).buffer }, strict: true });
  t.strictSame(messages, []);
});

t.test('attw finds nothing but that the package is ESM only', async (t) => {
  const attw = await linter<'checkPackage' | 'createPackageFromTarballData'>('@arethetypeswrong/core/dist/index.js');
  const bytes = new Uint8Array(readFileSync(tarball));
  const { problems = [{ kind: 'no types' }] } = await attw.checkPackage(attw.createPackageFromTarballData(bytes));
  const esmOnly = new Set(['CJSResolvesToESM', 'NoResolution']); // node10 knows no exports
  t.strictSame(
    problems.filter(({ kind, resolutionKind = '' }) => {
      return !(kind === 'CJSResolvesToESM' || (esmOnly.has(kind) && resolutionKind === 'node10'));
    }),
    [],
  );
});
