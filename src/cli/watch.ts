// --watch: tells when a file that matches a glob changes. One inotify watch a directory, no polling.
import type { FSWatcher } from 'node:fs';
import { fs, path } from '../system/builtins.js';
import { CommandError } from './command-line.js';

/** Folders that nobody edits, unless a glob names them. */
const leftOut = new Set(['node_modules', '.git']);

const magic = /[*?[\]{}]/;

/** `[a-z]`, `[!a-z]`; a `]` that comes first is one of the characters. */
const sets = /^\[([!^]?)(\]?[^\]]*)\]/;

/** `*`, `?`, `[a-z]`, `{a,b}` within a name, `**` across directories. */
export function globToRegExp(glob: string): RegExp {
  let source = '';
  let depth = 0;
  for (let i = 0; i < glob.length; i++) {
    const character = glob[i]!;
    if (glob.startsWith('**/', i)) {
      source += '(?:.*/)?';
      i += 2;
    } else if (glob.startsWith('**', i)) {
      source += '.*';
      i += 1;
    } else if (character === '*') source += '[^/]*';
    else if (character === '?') source += '[^/]';
    else if (sets.test(glob.slice(i))) {
      const [whole, not, characters] = sets.exec(glob.slice(i))!;
      source += `[${not ? '^/' : ''}${characters!.replaceAll(/[\\\]^]/g, '\\$&')}]`;
      i += whole.length - 1;
    } else if (character === '{') {
      source += '(?:';
      depth += 1;
    } else if (character === '}' && depth > 0) {
      source += ')';
      depth -= 1;
    } else if (character === ',' && depth > 0) source += '|';
    else source += character.replace(/[\\^$.|+()[\]{}]/, '\\$&');
  }
  return new RegExp(`^${source}${')'.repeat(depth)}$`);
}

interface Pattern {
  /** The directory in which everything that matches lies. */
  readonly base: string;
  readonly matches: RegExp;
  /** How many directories below base can matter. */
  readonly depth: number;
}

function isDirectory(file: string): boolean {
  return fs.statSync(file, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function parsePattern(glob: string): Pattern {
  const whole = path.resolve(glob.replace(/\/+$/, ''));
  if (!magic.test(glob) && isDirectory(whole)) {
    return { base: whole, matches: globToRegExp(`${whole}/**`), depth: Number.POSITIVE_INFINITY };
  }
  const parts = whole.split('/');
  const first = parts.findIndex((part) => magic.test(part));
  const own = first === -1 ? parts.length - 1 : first;
  const rest = parts.slice(own);
  const deep = rest.some((part) => part.includes('**'));
  return {
    base: parts.slice(0, own).join('/') || '/',
    matches: globToRegExp(whole),
    depth: deep ? Number.POSITIVE_INFINITY : rest.length - 1,
  };
}

/** Watches for the life of the process, which it does not keep alive. */
export class Watch {
  readonly #patterns: Pattern[];
  readonly #onChange: (file: string) => void;
  // inotify(7) watches the directory that there is, not a later one of that name.
  readonly #watchers = new Map<string, FSWatcher>();

  /** @throws CommandError if the directory of a glob does not exist, or inotify has no watch left */
  constructor(globs: readonly string[], onChange: (file: string) => void) {
    this.#patterns = globs.map(parsePattern);
    this.#onChange = onChange;
    for (const { base } of this.#patterns) {
      if (!isDirectory(base)) throw new CommandError(`--watch: there is no directory ${base}`);
    }
    for (const { base } of this.#patterns) {
      this.#add(base);
      this.#watchName(base);
    }
  }

  /** A build may remove the directory of a pattern and make it anew, or put another in its place. */
  #watchName(base: string): void {
    const name = path.basename(base);
    if (name === '') return;
    const options = { persistent: false };
    const watcher = fs.watch(path.dirname(base), options, (event, changed) => {
      if (changed === name) this.#changed(path.dirname(base), event, name);
    });
    watcher.on('error', () => watcher.close());
  }

  #isWanted(directory: string): boolean {
    return this.#patterns.some(({ base, depth }) => {
      if (directory === base) return true;
      if (!directory.startsWith(base === '/' ? '/' : `${base}/`)) return false;
      const below = path.relative(base, directory).split('/');
      return below.length <= depth && !below.some((part) => leftOut.has(part));
    });
  }

  #matches(file: string): boolean {
    return this.#patterns.some(({ matches }) => matches.test(file));
  }

  /** A directory and all below it. Returns a file in it that matches: it may have come before the watch. */
  #add(directory: string): string | null {
    if (this.#watchers.has(directory) || !this.#isWanted(directory)) return null;
    try {
      const options = { persistent: false };
      const watcher = fs.watch(directory, options, (event, name) => this.#changed(directory, event, name));
      watcher.on('error', () => this.#remove(directory));
      this.#watchers.set(directory, watcher);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return null;
      const hint = code === 'ENOSPC' ? 'raise fs.inotify.max_user_watches, or watch less' : null;
      throw new CommandError(`--watch: ${(error as Error).message}`, hint);
    }
    let found: string | null = null;
    for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
      const file = path.join(directory, entry.name);
      if (entry.isDirectory()) found = this.#add(file) ?? found;
      else if (this.#matches(file)) found = file;
    }
    return found;
  }

  /** With all that is below it. */
  #remove(directory: string): void {
    for (const [name, watcher] of this.#watchers) {
      if (name !== directory && !name.startsWith(`${directory}/`)) continue;
      watcher.close();
      this.#watchers.delete(name);
    }
  }

  #changed(directory: string, event: string, name: string | null): void {
    if (name === null) return;
    const file = path.join(directory, name);
    if (isDirectory(file)) {
      // It has come, or another one has; the numbers of inodes are used again.
      if (event === 'rename') this.#remove(file);
      const found = this.#add(file);
      if (found !== null) this.#onChange(found);
      return;
    }
    this.#remove(file); // in case it was a directory
    if (this.#matches(file)) this.#onChange(file);
  }
}
