// The package as others have it in their node_modules, wherever the addon lies: built here, or shipped.
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './activate.ts';

const addons = ['build/Release/listenfds.node', 'prebuilds'];

/** The addon that is loaded from here. */
export const addon = [`prebuilds/linux-${process.arch}/listenfds.node`, addons[0]!]
  .map((place) => join(root, place))
  .find((file) => existsSync(file))!;

/** Copies package.json, dist and the addon to `folder`. */
export function copyPackage(folder: string): void {
  for (const part of ['package.json', 'dist', 'native', ...addons]) {
    if (existsSync(join(root, part))) cpSync(join(root, part), join(folder, part), { recursive: true });
  }
}

/** The addon as a package ships it: `folder` becomes its prebuilds/. */
export function shipAddon(folder: string): void {
  const place = join(folder, `linux-${process.arch}`);
  mkdirSync(place, { recursive: true });
  cpSync(addon, join(place, 'listenfds.node'));
}
