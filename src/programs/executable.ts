// Finds a program as a shell does, sh(1), "Command Search and Execution".
import { fs, path } from '../system/builtins.js';

export type FoundExecutable =
  { readonly path: string; readonly error: null } | { readonly path: null; readonly error: 'ENOENT' | 'EACCES' };

function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/** The program's path from the root, by PATH if it has no slash. */
export function findExecutable(
  program: string,
  env: NodeJS.ProcessEnv = process.env,
  cwd: string = process.cwd(),
): FoundExecutable {
  const candidates = program.includes('/')
    ? [path.resolve(cwd, program)]
    : (env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin').split(':').map((dir) => path.resolve(cwd, dir, program));
  const found = candidates.find(isExecutable);
  if (found !== undefined) return { path: found, error: null };
  const named = program.includes('/');
  const exists = candidates.some((file) => fs.existsSync(file) && (named || !fs.statSync(file).isDirectory()));
  return { path: null, error: exists ? 'EACCES' : 'ENOENT' };
}
