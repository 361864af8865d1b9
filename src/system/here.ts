// The folder of this code: dist/ of the package, or of a bundle.

/** The path of a file beside this code. A bundle of CommonJS has no import.meta.url. */
export function beside(place: string): string {
  const { fileURLToPath, pathToFileURL } = process.getBuiltinModule('node:url');
  return fileURLToPath(new URL(place, import.meta.url ?? pathToFileURL(__filename)));
}
