// Every function of the addon, with right and wrong arguments in any mixture: node calls.js EXECUTIONS [SEED]. Right ones are
// descriptors of this process's own, open or closed; wrong ones are of every type, detached and resized arrays, arrays whose
// elements throw, numbers beside their range. A wrong one is a TypeError; a right one gives what the kernel says, but
// never EFAULT: that would be a pointer to nowhere. Prints what was called and what came of it.
// Nothing outside a folder of its own is named, and no descriptor of Node.js is closed.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { binding } from '../../dist/insides.js';

const executions = Number(process.argv[2] ?? 10_000);
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 32);
const addon = binding();
const EFAULT = -14;

// mulberry32: the same numbers for the same seed
let state = seed | 0;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = (limit) => Math.floor(random() * limit);
const pick = (list) => list[below(list.length)];

const folder = fs.mkdtempSync(join(tmpdir(), 'lfd-calls-'));
process.chdir(folder);
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));

// ---------------------------------------------------------------------------------------------------------------------
// What is right

const [UNIX, INET, INET6, NETLINK] = [1, 2, 10, 16];
const [STREAM, DGRAM, RAW, SEQPACKET] = [1, 2, 3, 5];
const USERSOCK = 2;

/** Descriptors of this program's own. */
const own = new Set();
const keep = (fd) => {
  if (fd >= 0) own.add(fd);
  return fd;
};
let names = 0;
const queueName = () => `/lfd-calls-${process.pid}-${below(4)}`;

const makers = [
  () => addon.openSocket(UNIX, pick([STREAM, DGRAM, SEQPACKET]), 0),
  () => addon.openSocket(pick([INET, INET6]), pick([STREAM, DGRAM]), 0),
  () => addon.openSocket(NETLINK, RAW, USERSOCK),
  () => addon.openMessageQueue(queueName(), 0o600, 4, 64),
  () => addon.duplicate(addon.openSocket(UNIX, DGRAM, 0)),
  () => fs.openSync('/dev/null', 'r+'),
  () => fs.openSync('/dev/zero'),
  () => fs.openSync(folder),
  () => {
    const ends = addon.pipe();
    keep(ends[1]);
    return ends[0];
  },
  // One that has a message with a descriptor waiting.
  () => {
    const path = Buffer.from(`\0lfd-calls-${process.pid}-${names++}`);
    const receiver = addon.openSocket(UNIX, DGRAM, 0);
    addon.bindUnix(receiver, path);
    addon.setSocketOption(receiver, 'PassCredentials', 1);
    const sender = addon.openSocket(UNIX, DGRAM, 0);
    for (let i = 0; i < 3; i++) addon.sendMessage(sender, Buffer.alloc(below(300)), path, Int32Array.of(0, 1));
    addon.closeFd(sender);
    return receiver;
  },
];

function descriptor() {
  if (own.size < 24) keep(pick(makers)());
  const kind = below(20);
  if (kind === 0) return pick([-1, -(2 ** 31), 2 ** 31 - 1, 1_000_000]);
  if (kind === 1) {
    const fd = pick([...own]); // a closed one
    own.delete(fd);
    addon.closeFd(fd);
    return fd;
  }
  return pick([...own]);
}

const flag = () => random() < 0.5;
const int = () => pick([0, 1, 2, 8, 511, 65_536, -1, 2 ** 31 - 1, -(2 ** 31), below(1000)]);
const uint = () => pick([0, 1, 16, 1024, 65_535, 2 ** 31, 2 ** 32 - 1, below(5000)]);
const size = () => pick([0, 1, 10, 8192, 2 ** 31, 2 ** 53 - 1]);
const name = () => pick(['a', 'b', `c${below(20)}`, 'fifo', './d', 'x'.repeat(300)]);
const text = () => pick(['READY=1', 'STATUS=\0', '\0lfd-calls', 'ü'.repeat(below(3000)), 'fifo', '', '\ud800']);
const host = () => pick(['127.0.0.1', '::1', 'fe80::1%lo', '::1%', '1'.repeat(60), 'localhost', '%', '::ffff:1.2.3.4']);

const shared = new SharedArrayBuffer(8192);
function memory(Type) {
  const length = pick([0, 1, 16, 64, 512, 4360, 70_000]);
  switch (below(4)) {
    case 0:
      return new Type(shared, 0, below(512));
    case 1: {
      // Longer or shorter than when the array was made; an array may lie outside by now.
      const buffer = new ArrayBuffer(length * 4 + 16, { maxByteLength: length * 4 + 4096 });
      const array = flag() ? new Type(buffer) : new Type(buffer, 0, length);
      buffer.resize(pick([0, 4, length * 4, length * 4 + 4096]));
      return array;
    }
    default:
      return new Type(length);
  }
}
const bytes = () =>
  flag() ? memory(Uint8Array) : Buffer.from(pick([`\0lfd${below(9)}`, 'socket', '', 'x'.repeat(200)]));
const ints = () => (flag() ? memory(Int32Array) : Int32Array.from({ length: below(260) }, descriptor));
const words = () => memory(Uint32Array);
const orNull = (make) => () => (random() < 0.3 ? null : make());
const strings = () => Array.from({ length: below(5) }, () => pick(['a', 'PATH=/bin', '', 'x'.repeat(1000)]));

const polls = [];
const poll = () => (polls.length > 0 ? pick(polls) : {});

const launch = [
  () => pick(['/bin/true', '/', 'none', '/bin/false']),
  strings,
  strings,
  () => Int32Array.from({ length: below(8) }, descriptor),
  orNull(() => pick(['.', '/', 'nowhere'])),
  flag,
  flag,
  () => below(64),
];

/** Function → what makes each argument. */
const right = {
  facts: [descriptor],
  setCloexec: [descriptor, flag],
  setNonblock: [descriptor, flag],
  duplicate: [descriptor],
  replaceFd: [descriptor, descriptor],
  readBytes: [descriptor, bytes],
  writeBytes: [descriptor, bytes],
  pipe: [],
  socketPair: [],
  closeFd: [descriptor],
  closeElsewhere: [descriptor],
  createPoll: [descriptor, () => () => {}],
  startPoll: [poll, int],
  refPoll: [poll, flag],
  closePoll: [poll],
  openSocket: [() => pick([UNIX, INET, INET6]), () => pick([STREAM, DGRAM, SEQPACKET, 77]), () => 0],
  bindInet: [descriptor, host, () => 0, flag],
  bindUnix: [descriptor, bytes],
  bindVsock: [descriptor, uint, uint],
  bindNetlink: [descriptor, uint],
  connectUnix: [descriptor, orNull(bytes)],
  listenSocket: [descriptor, int],
  acceptSocket: [descriptor],
  shutdownSocket: [descriptor],
  setSocketOption: [descriptor, () => pick(['Broadcast', 'PassCredentials', 'ReceiveBuffer', 'none']), int],
  socketType: [descriptor],
  isListening: [descriptor],
  socketName: [descriptor],
  numericAddress: [host],
  peerCredentials: [descriptor, words, flag],
  peerLabel: [descriptor, uint],
  peerPidfd: [descriptor],
  listenerOwner: [descriptor],
  messageLayout: [],
  receiveMessages: [descriptor, bytes, ints, uint, uint, flag],
  sendMessage: [descriptor, bytes, orNull(bytes), orNull(ints)],
  sendNetlink: [descriptor, bytes, uint, uint],
  openMessageQueue: [queueName, uint, size, size],
  unlinkMessageQueue: [queueName],
  sendToMessageQueue: [descriptor, bytes, uint],
  receiveFromMessageQueue: [descriptor, bytes, words],
  isMessageQueue: [descriptor],
  notifyUnix: [text, text, orNull(ints), () => pick([0, process.pid, -1])],
  notifyVsock: [() => 1, uint, () => pick([0, 1, 2, 5]), text],
  makeFifo: [name, uint],
  userId: [() => pick(['root', 'nobody', 'listenfds-none', ''])],
  groupId: [() => pick(['root', 'listenfds-none', 'x'.repeat(5000)])],
  threadId: [],
  mayListen: [],
  pidfdInode: [() => pick([process.pid, -1, 0])],
  borrowFd: [() => pick([process.pid, -1]), descriptor],
  becomeSubreaper: [],
  reapProcess: [() => pick([-1, process.pid])],
  startProcess: launch,
  startGuardedProcess: launch,
};
for (const verb of Object.keys(right)) if (!Object.hasOwn(addon, verb)) throw new Error(`there is no ${verb}`);
const missing = Object.keys(addon).filter((one) => !Object.hasOwn(right, one));
if (missing.length > 0) throw new Error(`never called: ${missing.join(', ')}`);

// ---------------------------------------------------------------------------------------------------------------------
// What is wrong

class OwnFailure extends Error {}
const failing = () => {
  throw new OwnFailure();
};

function detached(Type) {
  const array = new Type(16);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

const wrong = [
  () => undefined,
  () => null,
  () => true,
  () => NaN,
  () => pick([Infinity, -Infinity, 1.5, 2 ** 31, 2 ** 32, 2 ** 32 + 1e6, 2 ** 53, -(2 ** 31) - 1, 1e300]),
  () => '',
  () => 'x',
  () => pick(['a\0b', '/\0', '3', 'root\0']),
  () => Symbol('s'),
  () => 10n,
  () => ({}),
  () => [],
  () => [1, 'a', {}],
  () => ['a', 'b\0c'],
  () => Object.defineProperty(['a'], 0, { get: failing }),
  () => {
    const list = ['a', 'b', 'c', 'd'];
    return Object.defineProperty(list, 1, { get: () => ((list.length = 1), 'b') });
  },
  () => Array(1000),
  () => new Proxy(['a'], { get: failing }),
  () => new Proxy(new Uint8Array(8), {}),
  () => detached(pick([Uint8Array, Int32Array, Uint32Array])),
  () => new (pick([Float64Array, Int8Array, Uint16Array, Uint8ClampedArray, BigInt64Array]))(16),
  () => new DataView(new ArrayBuffer(64)),
  () => new ArrayBuffer(64),
  () => memory(pick([Uint8Array, Int32Array, Uint32Array])),
  () => () => {},
  () => new Date(),
  () => Object.create(poll()),
  () => new Proxy(poll(), {}),
  () => ({ valueOf: failing, toString: failing }),
  () => process,
];

// ---------------------------------------------------------------------------------------------------------------------

/** What is open now is closed, what was started is waited for. */
function settle(verb, args, result) {
  if (verb === 'createPoll' && typeof result === 'object') {
    own.delete(args[0]);
    polls.push(result);
  } else if (verb === 'closePoll') {
    const at = polls.indexOf(args[0]);
    if (at >= 0) polls.splice(at, 1);
  } else if (verb === 'closeFd' || verb === 'closeElsewhere') own.delete(args[0]);
  else if (verb === 'replaceFd' && result === 0) keep(args[1]);
  else if (/^(duplicate|openSocket|acceptSocket|peerPidfd|openMessageQueue|borrowFd)$/.test(verb)) {
    if (result >= 0) addon.closeFd(result);
  } else if ((verb === 'pipe' || verb === 'socketPair') && Array.isArray(result))
    for (const fd of result) addon.closeFd(fd);
}

const counts = { executions: 0, functions: Object.keys(right).length, refused: 0, errors: 0, fine: 0 };
process.on('uncaughtException', (error) => {
  console.error(error);
  process.exit(1);
});

const verbs = Object.keys(right);
for (let i = 0; i < executions; i++) {
  let verb = pick(verbs);
  // They take a thousand times as long as the others.
  if (verb.startsWith('start') && verb.endsWith('Process') && random() < 0.9) verb = pick(verbs.slice(0, 30));
  const args = right[verb].map((make) => (random() < 0.9 ? make : pick(wrong))());
  if (random() < 0.05) args.length = below(args.length + 1);
  // A blocking descriptor would wait for ever.
  if (
    /^(readBytes|writeBytes|acceptSocket|connectUnix|sendToMessageQueue|receiveFromMessageQueue)$/.test(verb) &&
    own.has(args[0])
  ) {
    addon.setNonblock(args[0], true);
  }
  counts.executions += 1;
  try {
    const result = addon[verb](...args);
    settle(verb, args, result);
    if (result instanceof Promise) await result;
    if (result === EFAULT) throw new Error(`${verb}() gave the kernel a wrong pointer`);
    if (typeof result === 'number' && result < 0) counts.errors += 1;
    else counts.fine += 1;
  } catch (error) {
    const expected =
      error instanceof OwnFailure || (error instanceof TypeError && error.code === 'ERR_INVALID_ARG_TYPE');
    if (!expected) {
      console.error(`seed ${seed}, execution ${i}: ${verb}`, args, error);
      process.exit(1);
    }
    counts.refused += 1;
  }
  if (i % 64 === 0) await turn();
  if (own.size > 64) {
    for (const fd of own) addon.closeFd(fd);
    own.clear();
  }
  if (polls.length > 16) for (const one of polls.splice(0)) addon.closePoll(one);
  if (i % 512 === 0) {
    while (typeof addon.reapProcess(-1) === 'object' && addon.reapProcess(-1) !== null);
    for (const file of fs.readdirSync('.')) fs.rmSync(file, { recursive: true });
    globalThis.gc?.();
  }
}
for (let i = 0; i < 4; i++) addon.unlinkMessageQueue(`/lfd-calls-${process.pid}-${i}`);
console.log(JSON.stringify({ ...counts, seed }));
process.exit();
