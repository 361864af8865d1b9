// systemd's test-daemon.c: a service with two passed sockets, which names them and tells its manager of a whole life. What the
// manager is to hear stands in the C file, and each message is a test. It is compiled against libsystemd, or the program
// test-daemon.mjs of the current folder does the same, where it is there. Prints TAP.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { held } from '../held.js';

const { listenDatagram } = await import('../../../dist/sockets.js');
const folder = process.cwd();
const source = join(folder, 'src/test/test-daemon.c');
const ours = join(folder, 'test-daemon.mjs');

/** What the file takes from the rest of systemd. */
const rest = `#pragma once
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#define _cleanup_strv_free_
#define USEC_PER_SEC 1000000ULL
#define LOG_DEBUG 7
#define ASSERT_OK(call) ((call) >= 0 ? (void) 0 : abort())
#define log_error_errno(n, ...) fprintf(stderr, __VA_ARGS__)
#define log_info(...) (printf(__VA_ARGS__), puts(""), fflush(stdout))
typedef uint64_t usec_t;
static inline void test_setup_logging(int level) { (void) level; }
static inline int safe_atou(const char *text, unsigned *found) { *found = atoi(text); return 0; }
static inline void usleep_safe(usec_t duration) {
  nanosleep(&(struct timespec) { duration / USEC_PER_SEC, duration % USEC_PER_SEC * 1000 }, NULL);
}
`;

function compile() {
  const headers = join(folder, 'rest');
  mkdirSync(headers, { recursive: true });
  for (const name of ['parse-util.h', 'strv.h', 'time-util.h', 'tests.h']) writeFileSync(join(headers, name), rest);
  const program = join(folder, 'test-daemon');
  execFileSync('cc', ['-I', headers, '-I', '/usr/include/systemd', '-o', program, source, '-lsystemd']);
  return [program];
}

const texts = [...readFileSync(source, 'utf8').matchAll(/sd_notify\(0,\s*((?:"[^"]*"\s*)+)\)/g)];
const expected = texts.map(([, words]) => [...words.matchAll(/"([^"]*)"/g)].map(([, word]) => word).join(''));
const wanted = expected.map((text) => text.split('\\n').sort().join(' '));

const address = join(folder, 'notify');
const { socket } = await listenDatagram({ path: address, activation: 'never' });
const heard = [];
socket.on('message', (message) => {
  // When it was sent is not for everybody the same.
  const lines = String(message).trim().split('\n');
  heard.push(
    lines
      .filter((line) => !line.startsWith('MONOTONIC_USEC='))
      .sort()
      .join(' '),
  );
});
const names = ['web', 'admin'];
const listeners = await Promise.all(names.map(() => held(0, '127.0.0.1')));
for (const { release } of listeners) release();
const fds = listeners.map(({ fd }) => fd);
const command = existsSync(ours) ? [process.execPath, ours] : compile();
const child = spawn('sh', ['-c', 'LISTEN_PID=$$ exec "$@"', 'sh', ...command], {
  stdio: ['ignore', 'pipe', 'inherit', ...fds],
  env: { ...process.env, LISTEN_FDS: '2', LISTEN_FDNAMES: names.join(':'), NOTIFY_SOCKET: address },
});
let output = '';
child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
const [code] = await once(child, 'close');
await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
socket.close();

let number = 0;
const tell = (passed, title) => console.log(`${passed ? 'ok' : 'not ok'} ${++number} - ${title}`);
names.forEach((name, i) => tell(output.includes(`fd=${3 + i} name=${name}\n`), `fd=${3 + i} name=${name}`));
wanted.forEach((text, i) => tell(heard[i] === text, `message ${i + 1}: ${text}`));
tell(code === 0 && heard.length === wanted.length, `nothing else, and status 0`);
process.exit();
