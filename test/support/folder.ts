// Folders with paths short enough for unix sockets; t.testdir() makes longer ones.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** An empty folder of the test's own; it goes with the test. */
export function temporaryFolder(t: { teardown(action: () => unknown): unknown }): string {
  const folder = mkdtempSync(join(tmpdir(), 'lfd-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
