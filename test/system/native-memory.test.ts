// The addon, called very often, and loaded by very many threads: memory stays flat, no descriptor is left open. The
// counts here are short; LISTENFDS_MANY=1000000 is what `npm run test:sanitize` runs.
import { join } from 'node:path';
import t from 'tap';
import { activate, root } from '../support/activate.ts';

const many = Number(process.env['LISTENFDS_MANY'] ?? 50_000);
const counts = {
  describe: many,
  peerCredentials: many,
  notify: many,
  // Starting a thread takes longer than a thousand calls.
  worker: Math.max(20, Math.floor(many / 1000)),
};

for (const [kind, count] of Object.entries(counts)) {
  t.test(`${count} times ${kind}: memory is flat`, { timeout: 600_000 }, async (t) => {
    const command = [
      process.execPath,
      '--expose-gc',
      join(root, 'test/fixtures/native-memory.js'),
      kind,
      String(count),
    ];
    const { code, stdout, stderr } = await activate(t, command).ended;
    t.equal(code, 0, stderr);
    const { rss, fds } = JSON.parse(stdout) as { rss: [number, number]; fds: [number, number] };
    t.comment(`${kind}: ${rss[0]} kB after ${Math.floor(count / 10)}, ${rss[1]} kB after ${count}`);
    t.equal(fds[1], fds[0], 'as many descriptors');
    // A leak of 16 bytes a call shows from a million on, one of 100 bytes or more here; V8 takes and gives back some MB.
    const most = kind === 'worker' ? 12_000 + count * 8 : 8_000;
    t.ok(rss[1] - rss[0] < most, `${rss[1] - rss[0]} kB more`);
  });
}
