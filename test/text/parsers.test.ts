// The parsers of text that others have written, with whatever may stand there: the right value comes back, or an error
// of ours. environment, address, choose and notify-state have properties of their own in the tests named after them.
import { deepEqual, equal, ok } from 'node:assert/strict';
import fc from 'fast-check';
import { ListenFdsError } from 'listenfds';
import t from 'tap';
import { parseCommandLine, UsageError } from '../../src/cli/command-line.ts';
import { commands } from '../../src/cli/commands.ts';
import { awaitedIn, closesOnExec, commandIn, environmentIn, statusIn, unitIn } from '../../src/cli/proc.ts';
import { unitFiles } from '../../src/cli/unit-files.ts';
import { longestTimeout, parseSpan } from '../../src/text/duration.ts';
import { parseUevent } from '../../src/sockets/netlink.ts';
import * as insides from '../../dist/insides.js';

const { parseTarget, parseNotifyAddress, formatAddress } = insides;

/** Runs; an error of the library is an answer, any other is none. */
function answer<T>(parse: () => T): T | 'refused' {
  try {
    return parse();
  } catch (error) {
    if (error instanceof ListenFdsError || error instanceof UsageError) return 'refused';
    throw error;
  }
}

const noNul = fc.string({ unit: 'binary', maxLength: 12 }).map((text) => text.replaceAll('\0', ''));

t.test('every time span is read as systemd reads it, but for one without a unit', (t) => {
  const units: Record<string, number> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, days: 86_400_000 };
  const part = fc.tuple(fc.integer({ min: 1, max: 99 }), fc.constantFrom(...Object.keys(units)));
  const space = fc.constantFrom(' ', '  ', '\t');
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 3 }), space, space, (parts, between, inside) => {
      const total = parts.reduce((sum, [amount, unit]) => sum + amount * units[unit]!, 0);
      const text = parts.map(([amount, unit]) => `${amount}${inside}${unit}`).join(between);
      equal(parseSpan(text), total, text);
    }),
  );
  const alphabet = fc.constantFrom(...'0123456789. \tmshd!-+eE_', 'constructor', 'ms', 'min');
  fc.assert(
    fc.property(fc.array(alphabet, { maxLength: 60 }), (letters) => {
      const found = parseSpan(letters.join(''));
      return found === null || found >= 0;
    }),
  );
  t.equal(parseSpan(`${'1'.repeat(100_000)}!`), null);
  t.equal(parseSpan('24days')! <= longestTimeout, true);
  t.end();
});

t.test('every target and notify address is read or refused with a code', (t) => {
  const pieces = fc.constantFrom(
    '/',
    '@',
    ':',
    '[',
    ']',
    '::1',
    '127.0.0.1',
    '80',
    'vsock',
    '-stream',
    '%lo',
    '\0',
    'a',
    ' ',
    '4294967295',
  );
  const text = fc.oneof(
    noNul,
    fc.array(pieces, { maxLength: 8 }).map((all) => all.join('')),
  );
  fc.assert(
    fc.property(text, (given) => {
      const wanted = answer(() => parseTarget(given));
      if (wanted === 'refused' || wanted.address === null) return;
      // What it was understood as is understood as the same.
      const again = parseTarget(formatAddress(wanted.address));
      deepEqual(again.address, wanted.address, JSON.stringify(given));
    }),
  );
  fc.assert(fc.property(fc.anything(), (given) => void answer(() => parseTarget(given as string))));
  fc.assert(
    fc.property(text, (given) => {
      const found = answer(() => parseNotifyAddress(given));
      if (found === 'refused') return;
      ok(found.kind === 'unix' ? Buffer.byteLength(found.path) <= 108 : found.port < 2 ** 32, given);
    }),
  );
  t.end();
});

t.test('what /proc says about a process', (t) => {
  const name = fc.stringMatching(/^[A-Z_a-z.]{1,8}$/);
  fc.assert(
    fc.property(fc.dictionary(name, noNul), (variables) => {
      const text = Object.entries(variables)
        .map(([key, value]) => `${key}=${value}\0`)
        .join('');
      deepEqual({ ...environmentIn(text) }, { ...variables });
    }),
  );
  fc.assert(
    fc.property(fc.array(noNul), (words) => deepEqual(commandIn(words.map((word) => `${word}\0`).join('')), words)),
  );
  fc.assert(
    fc.property(fc.nat(), fc.nat({ max: 0o3777777 }), fc.array(fc.nat()), (pid, flags, inodes) => {
      const status = { state: 'S', parent: pid, group: flags };
      deepEqual(statusIn(`3 (a) S 7 (b) S ${pid} ${flags} 3 34816 9\n`), status);
      equal(closesOnExec(`pos:\t0\nflags:\t0${flags.toString(8)}\nmnt_id:\t9\n`), (flags & 0o2000000) !== 0);
      const waits = inodes.map(
        (inode, i) => `tfd: ${i} events: 19 data: ${i}  pos:0 ino:${inode.toString(16)} sdev:8\n`,
      );
      deepEqual(awaitedIn(`pos:\t0\nflags:\t02\n${waits.join('')}`), inodes);
    }),
  );
  const part = fc.stringMatching(/^[a-z@-]{1,6}(\.service|\.slice|)$/);
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      const unit = parts.findLast((one) => one.endsWith('.service')) ?? null;
      equal(unitIn(`1:cpu:/a.service\n0::/${parts.join('/')}\n`), unit);
    }),
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      for (const parse of [environmentIn, commandIn, statusIn, closesOnExec, awaitedIn, unitIn]) parse(text);
    }),
  );
  t.end();
});

/** What systemd makes of a word in ExecStart=, systemd.service(5): quotes, then specifiers, then variables. */
function unquoted(line: string): string[] {
  const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, plain]) =>
    quoted === undefined ? plain! : quoted.replace(/\\(.)/g, (_, one: string) => ({ n: '\n', t: '\t' })[one] ?? one),
  );
  return words.map((word) => word.replaceAll('%%', '%').replaceAll('$$', '$'));
}

t.test('words of a unit file are read back as they were', (t) => {
  const odd = fc.constantFrom(' ', '"', '\\', '$', '%', ';', "'", '#', '\n', '\t', 'a', '${HOME}', '%i', 'ü');
  const words = fc.array(
    fc.array(odd, { maxLength: 6 }).map((all) => all.join('')),
    { maxLength: 4 },
  );
  const plan = {
    name: 'web',
    directory: '/srv',
    sockets: [],
    type: 'exec',
    user: false,
    template: false,
    image: null,
    nodeOptions: null,
    upgrade: null,
    runAs: null,
    mode: null,
    group: null,
    isLinked: false,
    privateNetwork: false,
    inHome: false,
    idleTimeout: null,
    watchdog: null,
    compileCache: false,
    origin: 'test',
  } as const;
  fc.assert(
    fc.property(words, (rest) => {
      const command = ['/usr/bin/node', ...rest];
      const text = unitFiles({ ...plan, command }).get('web.service')!;
      const line = /^ExecStart=(.*)$/m.exec(text)![1]!;
      deepEqual(unquoted(line), command, line);
    }),
  );
  t.end();
});

t.test('every command line is read or refused, never misread', (t) => {
  const word = fc.oneof(
    fc.constantFrom('--', '-', '--name', '--name=', '-l', '--nonsense', '--help', 'node', '8080'),
    noNul,
  );
  fc.assert(
    fc.property(fc.constantFrom(...Object.values(commands)), fc.array(word), (command, args) => {
      const found = answer(() => parseCommandLine(command, args));
      // The operands are the end of what was given, untouched.
      if (found !== 'refused') deepEqual(found.operands, args.slice(args.length - found.operands.length));
    }),
  );
  t.end();
});

t.test('no uevent crashes its parser', (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void parseUevent(Buffer.from(bytes))));
  // udev's, whose header says where its properties are: anywhere.
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.nat(0xffffffff), fc.uint8Array({ maxLength: 60 }), (offset, length, rest) => {
      const header = Buffer.alloc(40);
      header.write('libudev\0');
      header.writeUInt32BE(0xfeedcafe, 8);
      header.writeUInt32LE(offset, 16);
      header.writeUInt32LE(length, 20);
      parseUevent(Buffer.concat([header, rest]));
    }),
  );
  const value = fc.stringMatching(/^[a-z/0-9=]{1,9}$/);
  fc.assert(
    fc.property(fc.dictionary(fc.stringMatching(/^[A-Z]{1,8}$/), value), value, value, (more, action, devpath) => {
      const properties = { ...more, ACTION: action, DEVPATH: devpath };
      const lines = Object.entries(properties).map(([key, text]) => `${key}=${text}`);
      const found = parseUevent(Buffer.from(`${action}@${devpath}\0${lines.join('\0')}\0`));
      deepEqual(found, { action, devpath, properties, source: 'kernel' });
    }),
  );
  t.end();
});
