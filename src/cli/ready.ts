// Whether a program is likely to say READY=1. One that does not, under Type=notify, is killed when TimeoutStartSec= is over,
// again and again; so Type=notify is only for those that have this package to say it with.
import { fs, path } from '../system/builtins.js';
import { stat } from '../system/files.js';

const packageName = 'listenfds';

/** The name in the package.json of a folder; null if there is none. */
function nameIn(folder: string): unknown {
  try {
    return (JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')) as { name?: unknown }).name;
  } catch {
    return null;
  }
}

/** As `import 'listenfds'` in that folder looks for it: in node_modules here or above, or as the name of the package itself. */
function isPackageFound(folder: string): boolean {
  let own: unknown = null;
  for (let here = folder; ; here = path.dirname(here)) {
    own ??= nameIn(here); // the nearest one counts
    if (own === packageName || stat(path.join(here, 'node_modules', packageName))?.isDirectory()) return true;
    if (here === path.dirname(here)) return false;
  }
}

/** Where Node.js looks from: the folder of the script, and that of the file a link leads to. */
function foldersOf(file: string): string[] {
  try {
    return [path.dirname(file), path.dirname(fs.realpathSync(file))];
  } catch {
    return [];
  }
}

/**
 * @param command with the program's path from the root
 * @param inImage its files cannot be looked at
 */
export function maySayReady(command: readonly string[], directory: string, inImage: boolean): boolean {
  const [program = '', ...args] = command;
  const isNode = /^node(?:js)?(?:-?\d+)?$/.test(path.basename(program));
  if (inImage) return isNode;
  if (args.some((word) => word.includes(packageName))) return true; // the preload, however it is named
  const script = isNode ? args.find((word) => !word.startsWith('-')) : program;
  const folders = script === undefined ? [] : foldersOf(path.resolve(directory, script));
  return [...(isNode ? [directory] : []), ...folders].some(isPackageFound);
}
