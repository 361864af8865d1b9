// The part of a page in docs/ that a script measures, between `<!-- NAME -->` and `<!-- end of NAME -->`.
import { readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';

/**
 * Puts `body` there.
 *
 * @param {string} page
 * @param {string} name
 * @param {string} body Markdown
 * @returns {Promise<void>}
 */
export async function writeSection(page, name, body) {
  const text = readFileSync(page, 'utf8');
  const [start, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`].map((mark) => text.indexOf(mark));
  if (start < 0 || end < 0) throw new Error(`${page} has no place for ${name}`);
  const written = `${text.slice(0, start)}<!-- ${name} -->\n\n${body}\n\n${text.slice(end)}`;
  writeFileSync(page, await format(written, { ...(await resolveConfig(page)), filepath: page }));
}
