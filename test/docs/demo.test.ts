import { join } from 'node:path';
import t from 'tap';
import { activate, root } from '../support/activate.ts';

t.test('npm run demo tells five things and ends by itself', async (t) => {
  const { stdout, stderr, code } = await activate(t, [process.execPath, join(root, 'examples/demo.js')]).ended;
  t.equal(code, 0, stderr);
  t.match(stdout.trim().split('\n'), [
    /^1\. The socket is open at http:\/\/127\.0\.0\.1:\d+\/, and no process runs\.$/,
    /^2\. The first request starts the service, process \d+/,
    /^3\. .* restarted under \d+ requests: 0 were lost\.$/,
    /^4\. .* it has left\. The socket is still open\.$/,
    /^5\. The next request has started it again, process \d+/,
  ]);
  t.equal(stderr, '');
});
