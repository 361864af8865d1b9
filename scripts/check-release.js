// Whether this checkout is what a tag says: `node scripts/check-release.js v1.2.3`.
import { readFileSync } from 'node:fs';

const tag = process.argv[2] ?? '';
const { version, repository } = JSON.parse(readFileSync('package.json', 'utf8'));
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const wrong = [];
if (tag !== `v${version}`) wrong.push(`the tag is ${tag}, and the version in package.json ${version}`);
if (lock.version !== version) wrong.push(`package-lock.json says ${lock.version}`);
if (!new RegExp(`^## ${version.replaceAll('.', '\\.')}(?:\\s|$)`, 'm').test(readFileSync('CHANGELOG.md', 'utf8'))) {
  wrong.push(`CHANGELOG.md has no section ${version}`);
}
if (!repository) wrong.push('package.json has no repository: the links of the published README need it');
for (const sentence of wrong) console.error(sentence);
if (wrong.length > 0) process.exitCode = 1;
