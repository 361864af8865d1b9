// After `npm install` in a checkout: builds it. npm runs this before it packs as well, after scripts/prepack.js, which has
// then built what is packed; `npm run build` would remove it.
import { execFileSync } from 'node:child_process';

if (process.env['npm_command'] !== 'pack' && process.env['npm_command'] !== 'publish') {
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
}
