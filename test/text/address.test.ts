import { isIPv6, type AddressInfo } from 'node:net';
import fc from 'fast-check';
import { ListenFdsError } from 'listenfds';
import t from 'tap';
import * as insides from '../../dist/insides.js';

const { formatAddress, matchesInet, parseAddress } = insides;

t.test('address strings are those of ListenStream=', (t) => {
  const table: [text: string, address: unknown][] = [
    ['8080', { kind: 'inet', host: null, port: 8080 }],
    ['0', { kind: 'inet', host: null, port: 0 }],
    ['65535', { kind: 'inet', host: null, port: 65535 }],
    ['127.0.0.1:80', { kind: 'inet', host: '127.0.0.1', port: 80 }],
    ['[::1]:80', { kind: 'inet', host: '::1', port: 80 }],
    ['[fe80::1%eth0]:80', { kind: 'inet', host: 'fe80::1%eth0', port: 80 }],
    ['/run/app.sock', { kind: 'unix', path: '/run/app.sock' }],
    ['@app', { kind: 'unix', path: '\0app' }],
    ['@/a:b', { kind: 'unix', path: '\0/a:b' }],
    [`/${'x'.repeat(106)}`, { kind: 'unix', path: `/${'x'.repeat(106)}` }],
    [`@${'x'.repeat(107)}`, { kind: 'unix', path: `\0${'x'.repeat(107)}` }],
    ['vsock:2:1234', { kind: 'vsock', cid: 2, port: 1234 }],
    ['vsock::1234', { kind: 'vsock', cid: null, port: 1234 }],
    ['vsock-stream:2:1234', { kind: 'vsock', cid: 2, port: 1234 }],
  ];
  for (const [text, address] of table) t.same(parseAddress(text), address, text);
  t.end();
});

t.test('anything else is refused with the reason', (t) => {
  const table: [text: string, why: RegExp][] = [
    ['', /not a port/],
    ['web', /not a port/],
    ['localhost:80', /not a port.*give host names as \{ host, port \}/],
    ['::1:80', /not a port/],
    [':80', /not a port/],
    ['app.sock', /not a port/],
    ['./app.sock', /not a port/],
    ['-1', /not a port/],
    ['80 ', /not a port/],
    ['1e3', /not a port/],
    ['65536', /from 0 to 65535/],
    ['127.0.0.1:65536', /from 0 to 65535/],
    ['127.0.0.1:', /from 0 to 65535/],
    ['127.0.0.1:http', /from 0 to 65535/],
    ['127.0.0.1', /not a port/],
    ['[::1]', /not a port/],
    ['[::1]:', /from 0 to 65535/],
    ['[127.0.0.1]:80', /not an IPv6 address/],
    ['@', /cannot be empty/],
    [`/${'x'.repeat(107)}`, /108 bytes are more than the 107/],
    [`/${'ü'.repeat(60)}`, /121 bytes are more than the 107/],
    [`@${'x'.repeat(108)}`, /more than the 107/],
    ['/run/\0app', /a NUL/],
    ['vsock:x:1', /from 0 to 4294967295/],
    ['vsock:1:', /from 0 to 4294967295/],
    ['vsock:1', /not a port/],
  ];
  for (const [text, message] of table) {
    t.throws(() => parseAddress(text), { code: 'LISTENFDS_BAD_ADDRESS', message }, JSON.stringify(text));
  }
  t.end();
});

const port = fc.integer({ min: 0, max: 65535 });
const inet = fc.oneof(
  port.map(String),
  fc.tuple(fc.ipV4(), port).map(([host, port]) => `${host}:${port}`),
  fc.tuple(fc.ipV6(), port).map(([host, port]) => `[${host}]:${port}`),
);
const valid = fc.oneof(
  inet,
  fc.string({ minLength: 1, maxLength: 20 }).map((name) => `@${name.replaceAll('\0', '')}x`),
  fc.string({ maxLength: 20 }).map((path) => `/${path.replaceAll('\0', '')}`),
  fc.tuple(fc.nat(0xfffffffe), fc.nat()).map(([cid, port]) => `vsock:${cid}:${port}`),
);

t.test('what is written is read back as the same', (t) => {
  fc.assert(
    fc.property(valid, (text) => {
      const address = parseAddress(text);
      return JSON.stringify(parseAddress(formatAddress(address))) === JSON.stringify(address);
    }),
    { numRuns: 300 },
  );
  t.end();
});

t.test('no string makes it throw anything but its own error', (t) => {
  const pieces = fc.constantFrom('vsock', ':', '@', '/', '[', ']', '::1', '127.0.0.1', '80', '%', '-stream', '\0', ' ');
  const jumble = fc.array(pieces, { maxLength: 6 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.oneof(jumble, fc.string(), fc.string({ unit: 'binary' })), (text) => {
      try {
        parseAddress(text);
        return true;
      } catch (error) {
        return error instanceof ListenFdsError && error.code === 'LISTENFDS_BAD_ADDRESS';
      }
    }),
    { numRuns: 2000 },
  );
  t.end();
});

t.test('which bound address is the one asked for', (t) => {
  const at = (address: string): AddressInfo => ({ address, port: 80, family: address.includes(':') ? 'IPv6' : 'IPv4' });
  const asked = (host: string | null, actual: string, { port = 80, ipv6Only = false } = {}): boolean =>
    matchesInet({ kind: 'inet', host, port }, at(actual), ipv6Only);

  for (const actual of ['127.0.0.1', '0.0.0.0', '::', '::1', 'fe80::1%eth0']) {
    t.ok(asked(null, actual), `no host is no opinion: ${actual}`);
    t.ok(asked(actual, actual), `itself: ${actual}`);
    t.notOk(asked(actual, actual, { port: 81 }), `another port: ${actual}`);
    t.ok(asked(actual, actual, { port: 0 }), `any port: ${actual}`);
  }
  t.ok(asked('0.0.0.0', '::'), 'dual-stack serves IPv4 too');
  t.notOk(asked('0.0.0.0', '::', { ipv6Only: true }), 'not if it is IPv6 only');
  t.notOk(asked('::', '0.0.0.0'), 'IPv4 does not serve IPv6');
  t.ok(asked('::', '::', { ipv6Only: true }));
  t.notOk(asked('127.0.0.1', '0.0.0.0'), 'a wildcard serves more networks than loopback');
  t.notOk(asked('127.0.0.1', '::'));
  t.notOk(asked('::1', '::'));
  t.notOk(asked('0.0.0.0', '127.0.0.1'), 'loopback serves fewer than the wildcard');
  t.notOk(asked('10.0.0.1', '10.0.0.2'));
  t.ok(asked('localhost', '127.0.0.1'));
  t.ok(asked('localhost', '::1'));
  t.notOk(asked('localhost', '0.0.0.0'));
  t.notOk(asked('localhost', '127.0.0.2'));
  t.ok(asked('0:0:0:0:0:0:0:1', '::1'), 'IPv6 addresses have many spellings');
  t.ok(asked('2001:DB8::0001', '2001:db8::1'));
  t.ok(asked('FE80::0:1%eth0', 'fe80::1%eth0'));
  t.notOk(asked('fe80::1%eth1', 'fe80::1%eth0'));
  t.ok(asked('::ffff:127.0.0.1', '::ffff:127.0.0.1'), 'the kernel writes mapped addresses with dots');
  t.ok(asked('::ffff:7f00:1', '::ffff:127.0.0.1'));
  t.end();
});

t.test('an address matches itself, and a different particular one never', (t) => {
  fc.assert(
    fc.property(fc.ipV6(), fc.ipV6(), port, (one, other, port) => {
      const canonical = (host: string): string => new URL(`http://[${host}]`).hostname;
      const actual = { address: one, port, family: 'IPv6' };
      const same = canonical(one) === canonical(other);
      return (
        matchesInet({ kind: 'inet', host: one, port }, actual, false) &&
        matchesInet({ kind: 'inet', host: other, port }, actual, false) === same
      );
    }),
    { numRuns: 200 },
  );
  t.end();
});

t.test('what is an IPv6 address is what Node says is one', (t) => {
  const near = fc.oneof(
    fc.ipV6(),
    fc.string({ unit: fc.constantFrom(...'0123456789abfF:.%'), maxLength: 24 }),
    fc.constantFrom(
      'fe80::1%eth0',
      '::1%',
      'fe80::1%e_0',
      '::01.2.3.4',
      '::ffff:1.2.3.4.',
      '1::2::3',
      'fe80::1%a%b',
      ':',
      '',
    ),
  );
  const reads = (host: string): boolean => {
    try {
      parseAddress(`[${host}]:80`);
      return true;
    } catch {
      return false;
    }
  };
  fc.assert(
    fc.property(near, (host) => reads(host) === isIPv6(host)),
    { numRuns: 5000 },
  );
  t.end();
});
