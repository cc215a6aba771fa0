import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SkepError } from '../base/errors.ts';
import {
  dissect,
  ethernet,
  formatIpv6,
  internetChecksum,
  ipv4,
  ipv6,
  linkTypes,
  type PacketBuilder,
  parseIpv4,
  parseIpv6,
  parseMac,
} from './index.ts';

test('addresses: text and bytes', () => {
  const cases: { text: string; printed?: string }[] = [
    { text: '::' },
    { text: '::1' },
    { text: '2001:db8::1' },
    { text: '2001:db8:0:0:0:0:0:1', printed: '2001:db8::1' },
    { text: '2001:db8:0:1:1:1:1:1' },
    { text: '2001:0:0:1::1', printed: '2001:0:0:1::1' },
    { text: '1:0:0:2:0:0:3:4', printed: '1::2:0:0:3:4' },
    { text: 'FE80::', printed: 'fe80::' },
    { text: '::ffff:192.0.2.1', printed: '::ffff:c000:201' },
  ];
  for (const { text, printed = text } of cases) assert.equal(formatIpv6(parseIpv6(text)), printed, text);
});

test('addresses: every IPv6 address reads back', () => {
  const sixteen = fc.uint8Array({ minLength: 16, maxLength: 16 });
  const sparse = sixteen.map((bytes) => bytes.map((byte) => (byte < 200 ? 0 : byte)));
  fc.assert(
    fc.property(fc.oneof(sixteen, sparse), (bytes) => assert.deepEqual(parseIpv6(formatIpv6(bytes)), bytes)),
  );
});

test('addresses: what is none', () => {
  for (const text of ['', '1.2.3', '1.2.3.256', '01.2.3.4', '1.2.3.4.5', 'a.b.c.d']) {
    assert.throws(() => parseIpv4(text), SkepError, text);
  }
  for (const text of [
    '',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'g::',
    '1::2:3:4:5:6:7:8',
    '::1.2.3',
  ]) {
    assert.throws(() => parseIpv6(text), SkepError, text);
  }
  for (const text of ['', '02:00:00:00:00', '02:00:00:00:00:0g', '020000000001']) {
    assert.throws(() => parseMac(text), SkepError, text);
  }
});

test('the checksum of RFC 1071 §3', () => {
  assert.equal(
    internetChecksum(Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7)),
    0xffff - 0xddf2,
  );
});

test('built packets, taken apart', () => {
  const cases: { name: string; packet: PacketBuilder; want: string }[] = [
    {
      name: 'TCP',
      packet: ethernet()
        .ipv4()
        .tcp({ srcPort: 1234, dstPort: 80, seq: 7, flags: ['syn'] }),
      want: 'IP 192.0.2.1.1234 > 192.0.2.2.80: Flags [S], seq 7, win 64240, length 0',
    },
    {
      name: 'TCP with options and payload',
      packet: ethernet()
        .ipv4({ options: Uint8Array.of(1) })
        .tcp({
          srcPort: 1,
          dstPort: 2,
          seq: 1,
          ack: 5,
          flags: ['psh', 'ack'],
          options: Uint8Array.of(2, 4, 5, 180),
        })
        .payload('hello'),
      want: 'IP 192.0.2.1.1 > 192.0.2.2.2: Flags [P.], seq 1:6, ack 5, win 64240, length 5',
    },
    {
      name: 'UDP over IPv6, two tags',
      packet: ethernet()
        .vlan({ id: 7, tagType: 0x88a8 })
        .vlan({ id: 42, priority: 3 })
        .ipv6()
        .udp()
        .payload(10),
      want: 'vlan 7, p 0, vlan 42, p 3, IP6 2001:db8::1.49152 > 2001:db8::2.53: UDP, length 10',
    },
    {
      name: 'ICMP',
      packet: ethernet().ipv4().icmp({ id: 3, seq: 4 }).payload(56),
      want: 'IP 192.0.2.1 > 192.0.2.2: ICMP echo request, id 3, seq 4, length 64',
    },
    {
      name: 'ICMPv6',
      packet: ethernet().ipv6().icmpv6({ type: 129 }),
      want: 'IP6 2001:db8::1 > 2001:db8::2: ICMP6, echo reply, id 1, seq 1, length 8',
    },
    {
      name: 'first fragment',
      packet: ethernet().ipv4({ moreFragments: true }).udp({ srcPort: 5, dstPort: 6 }).payload(8),
      want: 'IP 192.0.2.1.5 > 192.0.2.2.6: frag (0|16) UDP, length 8',
    },
    {
      name: 'later fragment',
      packet: ethernet().ipv4({ fragmentOffset: 16, protocol: 17 }).payload(8),
      want: 'IP 192.0.2.1 > 192.0.2.2: frag (16|8)',
    },
    {
      name: 'later IPv6 fragment',
      packet: ethernet().ipv6().ipv6Fragment({ offset: 1448, nextHeader: 17 }).payload(9),
      want: 'IP6 2001:db8::1 > 2001:db8::2: frag (1448|9)',
    },
    {
      name: 'unknown protocol',
      packet: ethernet().ipv4({ protocol: 99 }).payload(3),
      want: 'IP 192.0.2.1 > 192.0.2.2: protocol 99, length 3',
    },
    {
      name: 'unknown EtherType',
      packet: ethernet({ etherType: 0x88cc }).payload(3),
      want: '02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype 0x88cc, length 3',
    },
  ];
  for (const { name, packet, want } of cases) assert.equal(dissect(packet.build()).summary, want, name);
});

test('checksums of built packets are right', () => {
  const pseudo = (protocol: number, length: number) =>
    Uint8Array.of(0, 0, length >> 8, length & 255, 0, 0, 0, protocol);
  for (const payload of ['', 'a', 'ab', 'odd', 'x'.repeat(1001)]) {
    const four = ipv4().tcp().payload(payload).build();
    assert.equal(internetChecksum(four.subarray(0, 20)), 0);
    const segment = four.subarray(20);
    assert.equal(internetChecksum(four.subarray(12, 20), pseudo(6, segment.length), segment), 0);
    const six = ipv6().udp().payload(payload).build();
    const datagram = six.subarray(40);
    assert.equal(internetChecksum(six.subarray(8, 40), pseudo(17, datagram.length), datagram), 0);
    assert.equal(internetChecksum(ipv4().icmp().payload(payload).build().subarray(20)), 0);
  }
});

test('layers below IP, and padding', () => {
  const ip = ipv4({ id: 9, dontFragment: true, ttl: 3 })
    .udp({ srcPort: 1, dstPort: 2 })
    .payload('abc')
    .build();
  const raw = dissect(ip, linkTypes.raw);
  assert.deepEqual(raw.ipv4, {
    src: '192.0.2.1',
    dst: '192.0.2.2',
    protocol: 17,
    ttl: 3,
    id: 9,
    dontFragment: true,
    headerLength: 20,
    totalLength: 31,
  });
  assert.equal(dissect(Uint8Array.of(2, 0, 0, 0, ...ip), linkTypes.null).summary, raw.summary);
  const cooked = Uint8Array.of(...new Uint8Array(14), 8, 0, ...ip);
  assert.equal(dissect(cooked, linkTypes.linuxSll).summary, raw.summary);
  const cooked2 = Uint8Array.of(8, 0, ...new Uint8Array(18), ...ip);
  assert.equal(dissect(cooked2, linkTypes.linuxSll2).summary, raw.summary);
  assert.match(dissect(ip, 147).summary, /link type 147 is not taken apart/);
  const padded = dissect(Uint8Array.of(...ethernet().ipv4().udp().payload('abc').build(), 0, 0, 0));
  assert.deepEqual(padded.payload, new TextEncoder().encode('abc'));
});

test('IPv6 extension headers', () => {
  const hop = Uint8Array.of(60, 0, 1, 4, 0, 0, 0, 0); // hop-by-hop, then destination options
  const destination = Uint8Array.of(17, 1, ...new Uint8Array(14));
  const udp = Uint8Array.of(0, 5, 0, 6, 0, 8, 0, 0);
  const packet = ethernet()
    .ipv6({ nextHeader: 0 })
    .payload(Uint8Array.of(...hop, ...destination, ...udp))
    .build();
  const { ipv6: layer, udp: ports } = dissect(packet);
  assert.deepEqual(layer?.extensions, [0, 60]);
  assert.equal(layer?.protocol, 17);
  assert.equal(ports?.dstPort, 6);
});

test('malformed packets say what is wrong', () => {
  const whole = ethernet().ipv4().tcp().build();
  const cases: { name: string; packet: Uint8Array; want: RegExp }[] = [
    { name: 'nothing', packet: new Uint8Array(), want: /unknown packet \[Ethernet header cut short\]/ },
    { name: 'IPv4 cut', packet: whole.subarray(0, 30), want: /\[IPv4 header cut short\]/ },
    { name: 'TCP cut', packet: whole.subarray(0, 50), want: /^IP 192.* \[TCP header cut short\]/ },
    { name: 'version', packet: whole.with(14, 0x65), want: /version 6/ },
    { name: 'header length', packet: whole.with(14, 0x44), want: /IPv4 header of 16 bytes/ },
    { name: 'total length', packet: whole.with(17, 10), want: /IPv4 total length of 10/ },
    { name: 'TCP header length', packet: whole.with(46, 0x40), want: /TCP header of 16 bytes/ },
    {
      name: 'tag cut',
      packet: ethernet().vlan({ id: 1 }).build().subarray(0, 16),
      want: /VLAN tag cut short/,
    },
  ];
  for (const { name, packet, want } of cases) assert.match(dissect(packet).summary, want, name);
});

test('dissect never throws, and says one line', () => {
  const seeds = [
    ethernet().vlan({ id: 1 }).ipv4().tcp().payload(9).build(),
    ethernet().ipv6().ipv6Fragment().udp().payload(9).build(),
  ];
  const mutated = fc
    .tuple(
      fc.constantFrom(...seeds),
      fc.array(fc.tuple(fc.nat({ max: 80 }), fc.nat({ max: 255 })), { maxLength: 6 }),
      fc.nat({ max: 90 }),
    )
    .map(([seed, edits, length]) => {
      const bytes = Uint8Array.from(seed);
      for (const [at, value] of edits) bytes[at] = value;
      return bytes.subarray(0, length);
    });
  const types = fc.constantFrom(...Object.values(linkTypes), 9999);
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), types, (bytes, type) => {
      assert.doesNotMatch(dissect(bytes, type).summary, /\n/);
    }),
    { numRuns: 2000 },
  );
});

test('the builder refuses what does not fit', () => {
  assert.throws(() => ethernet().ipv4({ options: new Uint8Array(41) }), SkepError);
  assert.throws(
    () =>
      ethernet()
        .ipv4()
        .tcp({ options: new Uint8Array(41) }),
    SkepError,
  );
  for (const packet of [
    ethernet().ipv4().tcp({ dstPort: 65536 }),
    ethernet().ipv4().udp({ srcPort: -1 }),
    ethernet().ipv4().tcp({ seq: 1.5 }),
    ethernet().ipv4().payload(65536),
    ethernet().vlan({ id: 1, priority: 8 }),
  ]) {
    assert.throws(() => packet.build(), SkepError);
  }
});
