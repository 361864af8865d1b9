// The files of this package that a unit names, by paths that stay: systemd looks nothing up, and resolves nothing from a folder.
import { fs, path } from '../system/builtins.js';
import { beside } from '../system/here.js';
import { CommandError } from './command-line.js';

/**
 * The one that is installed beside the program, under the name that its folder was given; else the one of this command.
 *
 * @throws CommandError
 */
export function ownFile(name: string, directory: string): string {
  const installed = path.join(directory, 'node_modules/listenfds/dist', name);
  const own = beside(name);
  const found = [installed, own].find((file) => fs.existsSync(file));
  if (found !== undefined) return found;
  throw new CommandError(`there is neither ${installed} nor ${own}`, 'install listenfds in the folder of the program');
}

/** The command with the preload: as an option of node, or as what a script that starts node reads. */
export function withPreload(
  command: readonly string[],
  preload: string,
): { command: string[]; nodeOptions: string | null } {
  const [program = '', ...args] = command;
  if (/^node(js)?$/.test(path.basename(program))) {
    return { command: [program, '--require', preload, ...args], nodeOptions: null };
  }
  return { command: [...command], nodeOptions: `--require=${/\s/.test(preload) ? `"${preload}"` : preload}` };
}
