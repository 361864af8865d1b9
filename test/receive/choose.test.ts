import fc from 'fast-check';
import type { InheritedFd, Origin } from 'listenfds';
import { ListenFdsError } from 'listenfds';
import t from 'tap';
import type { Suitable, Wish } from '../../src/receive/choose.ts';
import * as insides from '../../dist/insides.js';

const { choose, matches, parseAddress } = insides;

type Sort = 'tcp' | 'unix' | 'udp' | 'fifo';
const sorts = {
  tcp: { kind: 'socket', family: 'inet', type: 'stream', protocol: 'tcp' },
  unix: { kind: 'socket', family: 'unix', type: 'stream', protocol: null },
  udp: { kind: 'socket', family: 'inet', type: 'dgram', protocol: 'udp' },
  fifo: { kind: 'fifo', family: null, type: null, protocol: null },
};

/** As listenFds() describes it: `fd 3 web inet stream 127.0.0.1:80 listening`, as far as choosing looks at it. */
function inherited(fd: number, name: string, sort: Sort, address: string, state = 'listening'): InheritedFd {
  const parsed = parseAddress(address);
  const shown =
    parsed.kind === 'unix'
      ? parsed.path
      : { address: parsed.kind === 'inet' ? (parsed.host ?? '::') : '', port: parsed.port, family: 'IPv4' };
  const facts = {
    fd,
    ...sorts[sort],
    listening: state === 'listening' || state === 'taken',
    connected: state === 'connected',
    address: shown,
  };
  const description = { ...facts, ipv6Only: false, boundInode: null };
  return { ...facts, name, origin: 'manager', taken: state === 'taken', description } as unknown as InheritedFd;
}

const suitable: Suitable = {
  what: 'a listening stream socket',
  is: ({ listening, type }) => listening && type === 'stream',
};

const wish = ({ name, at, required }: { name?: string; at?: string | string[]; required?: boolean }): Wish => ({
  name: name ?? null,
  addresses: at === undefined ? [] : [at].flat().map(parseAddress),
  suitable,
  required: required ?? false,
  asked: at === undefined ? '' : String(at),
  accepted: false,
});

const web = inherited(3, 'web', 'tcp', '127.0.0.1:80');
const admin = inherited(4, 'admin', 'tcp', '127.0.0.1:81');
const unix = inherited(5, 'local', 'unix', '/run/app.sock');
const dns = inherited(6, 'dns', 'udp', '127.0.0.1:53', '');
const stored = inherited(7, 'stored', 'tcp', '127.0.0.1:80', 'connected');
const gone = inherited(8, 'gone', 'tcp', '127.0.0.1:82', 'taken');

const all = [web, admin, unix, dns, stored, gone];
const listed =
  'Passed: fd 3 web inet stream 127.0.0.1:80 listening, fd 4 admin inet stream 127.0.0.1:81 listening, ' +
  'fd 5 local unix stream /run/app.sock listening, fd 6 dns inet dgram 127.0.0.1:53, ' +
  'fd 7 stored inet stream 127.0.0.1:80 connected, fd 8 gone inet stream 127.0.0.1:82 listening (taken).';

t.test('one descriptor is chosen: by name, by address, or as the only one', (t) => {
  const table: [says: string, passed: InheritedFd[], wish: Parameters<typeof wish>[0], expected: unknown][] = [
    ['the one of that name', all, { name: 'admin' }, { inherited: admin, mismatch: false }],
    ['wherever it is bound', all, { name: 'admin', at: '9999' }, { inherited: admin, mismatch: false }],
    ['the one at the address', all, { at: '127.0.0.1:81' }, { inherited: admin, mismatch: false }],
    ['the one at the port', all, { at: '81' }, { inherited: admin, mismatch: false }],
    ['the one at the path', all, { at: '/run/app.sock' }, { inherited: unix, mismatch: false }],
    ['one of several addresses', all, { at: ['10.0.0.1:81', '127.0.0.1:81'] }, { inherited: admin, mismatch: false }],
    ['the only one', [web, dns], {}, { inherited: web, mismatch: false }],
    ['the only one left', [gone, web], {}, { inherited: web, mismatch: false }],
    ['the only one, elsewhere', [web, dns], { at: '82' }, { inherited: web, mismatch: true }],
    ['the only one, of another family', [unix], { at: '82' }, { inherited: unix, mismatch: true }],
    ['nothing: no listener', [dns, stored], { at: '80' }, null],
    ['nothing: all are taken', [gone], { at: '82' }, null],
  ];
  for (const [says, passed, wanted, expected] of table) t.match(choose(passed, wish(wanted)), expected, says);

  const first = inherited(3, 'web', 'tcp', '127.0.0.1:80');
  const second = inherited(4, 'web', 'tcp', '127.0.0.1:80');
  const other = inherited(5, 'web', 'tcp', '127.0.0.1:81');
  t.equal(choose([first, second, other], wish({ at: '80' }))?.inherited.fd, 3, 'ReusePort=: each is as good');
  t.equal(choose([first, second, other], wish({ name: 'web', at: '81' }))?.inherited.fd, 5, 'name, then address');
  t.end();
});

t.test('what is refused lists what was passed', (t) => {
  const table: [says: string, passed: InheritedFd[], wish: Parameters<typeof wish>[0], code: string, why: string][] = [
    ['an unknown name', all, { name: 'nope' }, 'NAME_NOT_FOUND', "There is no inherited descriptor named 'nope'"],
    [
      'a datagram socket',
      all,
      { name: 'dns' },
      'WRONG_KIND',
      "No inherited descriptor named 'dns' is a listening stream socket",
    ],
    [
      'a connection',
      all,
      { name: 'stored' },
      'WRONG_KIND',
      "No inherited descriptor named 'stored' is a listening stream socket",
    ],
    ['a taken one', all, { name: 'gone' }, 'TAKEN', "Every inherited descriptor named 'gone' is taken"],
    ['no address', all, {}, 'AMBIGUOUS', '3 inherited descriptors would do and no address was asked for'],
    [
      'an address of none',
      all,
      { at: '127.0.0.1:9' },
      'AMBIGUOUS',
      '3 inherited descriptors would do and none is bound to 127.0.0.1:9',
    ],
    [
      'an address of several',
      all,
      { at: ['127.0.0.1:80', '127.0.0.1:81'] },
      'AMBIGUOUS',
      '3 inherited descriptors would do and 127.0.0.1:80 or 127.0.0.1:81 fits several',
    ],
  ];
  for (const [says, passed, wanted, code, why] of table) {
    const expected = { code: `LISTENFDS_${code}`, message: `${why}. ${listed}` };
    let caught: unknown;
    try {
      choose(passed, wish(wanted));
    } catch (error) {
      caught = error;
    }
    t.ok(caught instanceof ListenFdsError, says);
    const { code: actual, message } = caught as ListenFdsError;
    t.equal(actual, expected.code);
    t.equal(message.slice(0, expected.message.length), expected.message);
  }
  t.throws(() => choose([dns], wish({ required: true })), { code: 'LISTENFDS_WRONG_KIND' });
  t.throws(() => choose([gone], wish({ required: true })), {
    code: 'LISTENFDS_NOT_ACTIVATED',
    message: /^Every inherited descriptor that is a listening stream socket is taken\. Passed: fd 8/,
  });
  t.end();
});

/** The same, but from elsewhere than the manager's socket unit. */
const from = (origin: Origin, one: InheritedFd): InheritedFd => Object.assign(Object.create(one), { origin });

t.test('where it came from decides whose address counts', (t) => {
  const at = '127.0.0.1:80';
  const chosen = (passed: InheritedFd[], wanted: Parameters<typeof wish>[0]): unknown => {
    const choice = choose(passed, wish(wanted));
    return choice && [choice.inherited.origin, choice.mismatch];
  };
  for (const origin of ['predecessor', 'store'] as const) {
    const one = from(origin, web);
    t.same(chosen([one], { at }), [origin, false], `${origin}: the very address`);
    t.same(chosen([one], { at, name: 'other' }), [origin, false], `${origin}: by whatever name`);
    t.equal(chosen([one], { at: '127.0.0.1:81' }), null, `${origin}: another port is bound anew`);
    t.equal(chosen([one], { at: '0.0.0.0:80' }), null, `${origin}: so is a wider address`);
    t.equal(chosen([one], { at: '80' }), null, `${origin}: and any address`);
    t.equal(
      chosen([one], { at: '127.0.0.1:81', name: 'web' }),
      null,
      `${origin}: a name does not stand for an address`,
    );
    t.same(
      chosen([one, admin], { at: '127.0.0.1:82' }),
      ['manager', true],
      `${origin}: the manager's is the only one left`,
    );
    t.throws(() => choose([one], wish({ at: '127.0.0.1:81', required: true })), { code: 'LISTENFDS_NOT_ACTIVATED' });
  }
  t.same(chosen([web], { at: '127.0.0.1:81' }), ['manager', true], 'manager: the unit decides');

  const path = import.meta.filename;
  const bound = from('predecessor', inherited(3, 'unknown', 'unix', path));
  t.same(chosen([bound], { at: path }), ['predecessor', false], 'a path');
  t.equal(chosen([bound], { at: `${path}.other` }), null, 'another path');
  const gone = from('predecessor', inherited(3, 'unknown', 'unix', `${path}.gone`));
  t.equal(chosen([gone], { at: `${path}.gone` }), null, 'a path whose file is gone');
  t.end();
});

t.test('a connection is served only where the manager says that it was accepted', (t) => {
  const isConnection = ({ connected }: { connected: boolean }): boolean => connected;
  const served = (passed: InheritedFd[], more: Partial<Wish>): boolean =>
    choose(passed, { ...wish({}), suitable: { ...suitable, isConnection }, ...more }) !== null;
  const named = (name: string): InheritedFd => inherited(3, name, 'tcp', '127.0.0.1:80', 'connected');
  t.ok(served([named('connection')], {}), 'its default name');
  t.ok(served([named('web')], { accepted: true }), 'REMOTE_ADDR');
  t.ok(served([named('web')], { name: 'web' }), 'the name that was asked for');
  t.ok(served([named('unknown')], {}), 'a manager that sends no names has no store');
  t.notOk(served([named('session-42')], {}), 'a stored one');
  t.notOk(served([named('session-42')], { name: 'web' }), 'and where another name is asked for');
  t.notOk(served([named('unknown'), named('unknown')], {}), 'two of them');
  t.notOk(
    served(
      [named('connection')].map((one) => Object.assign(one, { taken: true })),
      {},
    ),
    'one that is taken',
  );
  t.end();
});

t.test('whatever is passed and asked for, the choice is one that may be taken', (t) => {
  const address = fc.constantFrom('127.0.0.1:80', '0.0.0.0:80', '[::]:80', '81', '[::1]:81', '/run/a', '/run/b', '@a');
  const one = fc.record({
    name: fc.constantFrom('web', 'admin', 'unknown', ''),
    sort: fc.constantFrom<Sort>('tcp', 'tcp', 'unix', 'udp', 'fifo'),
    address,
    state: fc.constantFrom('listening', 'listening', 'taken', 'connected'),
  });
  const wanted = fc.record(
    { name: fc.constantFrom('web', 'admin', 'nope'), at: fc.array(address, { maxLength: 2 }), required: fc.boolean() },
    { requiredKeys: [] },
  );
  const outcomes = new Set<string>();
  fc.assert(
    fc.property(fc.array(one, { maxLength: 4, minLength: 1 }), wanted, (specs, wanted) => {
      const passed = specs.map(({ name, sort, address, state }, i) => inherited(3 + i, name, sort, address, state));
      const wished = wish(wanted);
      const mayBeTaken = (one: InheritedFd): boolean =>
        !one.taken && suitable.is(one.description) && (!wished.name || one.name === wished.name);
      const right = passed.filter(mayBeTaken);
      try {
        const choice = choose(passed, wished);
        outcomes.add(choice === null ? 'none' : `taken ${choice.mismatch}`);
        const forOthers = passed.every((one) => one.connected && one.name !== wished.name);
        if (choice === null) return right.length === 0 && !wished.required && (wished.name === null || forOthers);
        const fits = wished.addresses.some((address) => matches(address, choice.inherited.description));
        const anyFits = right.some((one) => wished.addresses.some((address) => matches(address, one.description)));
        return right.includes(choice.inherited) && (fits || !anyFits) && (fits || right.length === 1);
      } catch (error) {
        if (!(error instanceof ListenFdsError)) throw error;
        outcomes.add(error.code);
        return right.length !== 1 && passed.every(({ fd }) => error.message.includes(`fd ${fd} `));
      }
    }),
    { numRuns: 3000 },
  );
  t.same([...outcomes].sort(), [
    'LISTENFDS_AMBIGUOUS',
    'LISTENFDS_NAME_NOT_FOUND',
    'LISTENFDS_NOT_ACTIVATED',
    'LISTENFDS_TAKEN',
    'LISTENFDS_WRONG_KIND',
    'none',
    'taken false',
    'taken true',
  ]);
  t.end();
});
