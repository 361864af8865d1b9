// Where this code is: dist/ of the package, or a bundle of the program.
import { url } from './builtins.js';

/** The path of what lies beside this code. A bundle of CommonJS has no import.meta.url. */
export const beside = (place: string): string =>
  url.fileURLToPath(new URL(place, import.meta.url ?? url.pathToFileURL(__filename)));
