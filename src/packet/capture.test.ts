import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { fuzzReader } from '../../test/support/fuzz.ts';
import { concatBytes, fromHex } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import { type CapturedPacket, CaptureWriter, dissect, readCapture, writeCapture } from './index.ts';

const network = readFileSync(new URL('../../examples/captures/network.pcap', import.meta.url));
const networkNg = readFileSync(new URL('../../examples/captures/network.pcapng', import.meta.url));

/** All packets, and the error that ended them. */
async function collect(
  chunks: Iterable<Uint8Array>,
): Promise<{ packets: CapturedPacket[]; error: SkepError | undefined }> {
  const packets: CapturedPacket[] = [];
  try {
    for await (const packet of readCapture(chunks)) packets.push(packet);
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    return { packets, error };
  }
  return { packets, error: undefined };
}

function* cutInto(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const hex = (text: string): Uint8Array => fromHex(text);

test('the recorded capture: as many packets as tcpdump counts, with its addresses', async (t) => {
  if (spawnSync('tcpdump', ['--version']).status !== 0) return t.skip('tcpdump is not installed');
  const lines = execFileSync('tcpdump', ['-n', '-t', '-r', '-'], {
    input: network,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
    .toString()
    .trimEnd()
    .split('\n');
  const { packets, error } = await collect([network]);
  assert.equal(error, undefined);
  assert.equal(packets.length, lines.length);
  for (const [i, packet] of packets.entries()) {
    const line = lines[i] ?? '';
    const summary = dissect(packet.data).summary.replace(/^(vlan \d+, p \d+, )+/, '');
    // tcpdump has the ports of an IPv6 fragment after the colon.
    const text = (line: string) =>
      /^IP6 .*: frag/.test(line) ? line.replace(/\.\d+ > (\S+)\.\d+:/, ' > $1:') : line;
    const ends = (line: string) => /^(ARP, \w+ \S+ \S+|IP6? \S+ > \S+:)/.exec(text(line))?.[0] ?? line;
    assert.equal(ends(summary), ends(line));
  }
});

test('the recorded capture reads the same in chunks of any size, and as pcapng', async () => {
  const want = (await collect([network])).packets;
  assert.equal(want.length, 77);
  for (const size of [1, 7, 24, 40, 1000, 65536]) {
    assert.deepEqual(await collect(cutInto(network, size)), { packets: want, error: undefined });
    assert.deepEqual(await collect(cutInto(networkNg, size)), { packets: want, error: undefined });
  }
});

test('what the writer writes, the reader reads', async () => {
  const packet = fc.record({
    data: fc.uint8Array({ maxLength: 200 }),
    timestampNs: fc.bigInt({ min: 0n, max: (1_000_000_000n << 32n) - 1n }),
    length: fc.nat({ max: 0xffffffff }),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(packet, { maxLength: 5 }),
      fc.constantFrom('pcap' as const, 'pcapng' as const),
      fc.constantFrom(1, 101, 113),
      async (packets, format, linkType) => {
        const { packets: got, error } = await collect([writeCapture(packets, { format, linkType })]);
        assert.equal(error, undefined);
        assert.deepEqual(
          got,
          packets.map(({ data, timestampNs, length }) => ({ data, timestampNs, length, linkType })),
        );
      },
    ),
    { numRuns: 100 },
  );
});

test('tcpdump reads what the writer writes', (t) => {
  if (spawnSync('tcpdump', ['--version']).status !== 0) return t.skip('tcpdump is not installed');
  const packets = [{ data: new Uint8Array(60), timestampNs: 1_000_000_007n }, { data: new Uint8Array(61) }];
  for (const format of ['pcap', 'pcapng'] as const) {
    const out = spawnSync('tcpdump', ['-n', '-tt', '--nano', '-r', '-'], {
      input: writeCapture(packets, { format }),
    });
    assert.match(
      out.stdout.toString(),
      /^1\.000000007 [^\n]*\n0\.000000000 [^\n]*\n$/,
      out.stderr.toString(),
    );
  }
});

test('byte orders and clocks of pcap', async () => {
  const cases: { name: string; magic: string; order: 'big' | 'little'; fraction: number; want: bigint }[] = [
    { name: 'µs, big', magic: 'a1b2c3d4', order: 'big', fraction: 5, want: 2_000_005_000n },
    { name: 'µs, little', magic: 'd4c3b2a1', order: 'little', fraction: 5, want: 2_000_005_000n },
    { name: 'ns, big', magic: 'a1b23c4d', order: 'big', fraction: 5, want: 2_000_000_005n },
    { name: 'ns, little', magic: '4d3cb2a1', order: 'little', fraction: 5, want: 2_000_000_005n },
  ];
  for (const { name, magic, order, fraction, want } of cases) {
    const u32 = (value: number) => {
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, value, order === 'little');
      return bytes;
    };
    const version = order === 'little' ? hex('02000400') : hex('00020004');
    const header = [hex(magic), version, u32(0), u32(0), u32(65535), u32(0xf000_0001)];
    const packet = [u32(2), u32(fraction), u32(3), u32(9), hex('010203')];
    const { packets, error } = await collect([concatBytes([...header, ...packet])]);
    assert.equal(error, undefined, name);
    assert.deepEqual(packets, [{ data: hex('010203'), timestampNs: want, length: 9, linkType: 1 }], name);
  }
});

/** Blocks of pcapng in either byte order. */
function ng(littleEndian: boolean) {
  const int = (width: number, value: bigint | number): Uint8Array => {
    const bytes = new Uint8Array(width);
    for (let i = 0; i < width; i++) {
      bytes[littleEndian ? i : width - 1 - i] = Number(
        (BigInt.asUintN(64, BigInt(value)) >> BigInt(8 * i)) & 255n,
      );
    }
    return bytes;
  };
  const u16 = (value: number) => int(2, value);
  const u32 = (value: number) => int(4, value);
  const block = (type: number, ...body: Uint8Array[]): Uint8Array => {
    const content = concatBytes(body);
    const padding = new Uint8Array(-content.length & 3);
    const length = u32(12 + content.length + padding.length);
    return concatBytes([u32(type), length, content, padding, length]);
  };
  return {
    block,
    u16,
    u32,
    section: (...options: Uint8Array[]) =>
      block(0x0a0d0d0a, u32(0x1a2b3c4d), u16(1), u16(0), int(8, -1n), ...options),
    interface: (linkType: number, snapshot: number, ...options: Uint8Array[]) =>
      block(1, u16(linkType), u16(0), u32(snapshot), ...options),
    option: (code: number, value: Uint8Array) =>
      concatBytes([u16(code), u16(value.length), value, new Uint8Array(-value.length & 3)]),
    seconds: (value: bigint) => int(8, value),
    enhanced: (id: number, ticks: bigint, length: number, data: Uint8Array) =>
      block(
        6,
        u32(id),
        u32(Number(ticks >> 32n)),
        u32(Number(ticks & 0xffffffffn)),
        u32(data.length),
        u32(length),
        data,
      ),
    obsolete: (id: number, ticks: bigint, length: number, data: Uint8Array) =>
      block(
        2,
        ...[u16(id), u16(3), u32(Number(ticks >> 32n)), u32(Number(ticks & 0xffffffffn)), u32(data.length)],
        u32(length),
        data,
      ),
    simple: (length: number, data: Uint8Array) => block(3, u32(length), data),
  };
}

for (const littleEndian of [true, false]) {
  test(`pcapng, ${littleEndian ? 'little' : 'big'}-endian: every packet block, interface clocks, sections`, async () => {
    const {
      section,
      interface: iface,
      option,
      enhanced,
      obsolete,
      simple,
      block,
      seconds,
    } = ng(littleEndian);
    const data = hex('0102030405');
    const other = ng(!littleEndian);
    const file = concatBytes([
      section(option(3, hex('4c696e7578')), option(0, hex(''))),
      block(0x0bad0bad, hex('00112233')),
      iface(1, 0),
      iface(101, 4, option(9, hex('09')), option(14, seconds(-1n)), option(0, hex(''))),
      iface(113, 0, option(9, hex('8a'))),
      enhanced(0, 7n, 100, data),
      enhanced(1, 3_000_000_000n, 4, hex('01020304')),
      enhanced(2, 1n << 33n, 5, data),
      obsolete(2, 1024n, 5, data),
      simple(5, data),
      other.section(),
      other.interface(1, 3),
      other.simple(9, hex('010203')),
    ]);
    const { packets, error } = await collect(cutInto(file, 11));
    assert.equal(error, undefined, error?.line);
    assert.deepEqual(packets, [
      { data, timestampNs: 7000n, length: 100, linkType: 1 },
      { data: hex('01020304'), timestampNs: 2_000_000_000n, length: 4, linkType: 101 },
      { data, timestampNs: ((1n << 33n) * 1_000_000_000n) / 1024n, length: 5, linkType: 113 },
      { data, timestampNs: 1_000_000_000n, length: 5, linkType: 113 },
      { data, timestampNs: 0n, length: 5, linkType: 1 },
      { data: hex('010203'), timestampNs: 0n, length: 9, linkType: 1 },
    ]);
  });
}

const { section, interface: iface, enhanced, u32, u16, block } = ng(true);
const pcapHeader = new CaptureWriter().header();

const bad: { name: string; input: Uint8Array; packets: number; want: RegExp }[] = [
  { name: 'empty', input: hex(''), packets: 0, want: /empty/ },
  { name: 'three bytes', input: hex('d4c3b2'), packets: 0, want: /not a capture: it starts with d4 c3 b2/ },
  { name: 'gzip', input: hex('1f8b0800'), packets: 0, want: /gunzip/ },
  { name: 'an object', input: hex('7f454c46'), packets: 0, want: /ELF/ },
  {
    name: 'header cut',
    input: network.subarray(0, 20),
    packets: 0,
    want: /in the middle of the file header/,
  },
  {
    name: 'packet cut',
    input: network.subarray(0, 1010),
    packets: 10,
    want: /in the middle of packet 11 .*10 whole packets/,
  },
  {
    name: 'packet header cut',
    input: network.subarray(0, 24 + 16 + 42 + 3),
    packets: 1,
    want: /header of packet 2 .*1 whole packet/,
  },
  {
    name: 'pcap version',
    input: hex('d4c3b2a1 01000000 00000000 00000000 ffff0000 01000000'),
    packets: 0,
    want: /version 1\.0/,
  },
  {
    name: 'packet over 256 KiB',
    input: concatBytes([pcapHeader, u32(0), u32(0), u32(0x40001), u32(0x40001)]),
    packets: 0,
    want: /packet 1 has 262145 bytes, over the file's limit of 262144/,
  },
  {
    name: 'packet over its snapshot length',
    input: concatBytes([
      hex('d4c3b2a1 02000400 00000000 00000000 04000000 01000000'),
      u32(0),
      u32(0),
      u32(5),
      u32(5),
    ]),
    packets: 0,
    want: /limit of 4/,
  },
  {
    name: 'pcapng cut',
    input: networkNg.subarray(0, networkNg.length - 6),
    packets: 76,
    want: /middle of packet 77 .*76 whole packets/,
  },
  {
    name: 'pcapng block header cut',
    input: concatBytes([section(), hex('010000')]),
    packets: 0,
    want: /a block's header/,
  },
  {
    name: 'pcapng magic',
    input: block(0x0a0d0d0a, u32(7), u32(1), u32(0), u32(0)),
    packets: 0,
    want: /byte order magic/,
  },
  {
    name: 'pcapng version',
    input: block(0x0a0d0d0a, u32(0x1a2b3c4d), u16(2), u16(0), u32(0), u32(0)),
    packets: 0,
    want: /version 2/,
  },
  {
    name: 'pcapng without interface',
    input: concatBytes([section(), enhanced(0, 0n, 1, hex('01'))]),
    packets: 0,
    want: /interface 0/,
  },
  {
    name: 'pcapng interfaces end with their section',
    input: concatBytes([
      section(),
      iface(1, 0),
      enhanced(0, 0n, 1, hex('01')),
      section(),
      enhanced(0, 0n, 1, hex('01')),
    ]),
    packets: 1,
    want: /interface 0/,
  },
  {
    name: 'pcapng snapshot',
    input: concatBytes([section(), iface(1, 2), enhanced(0, 0n, 3, hex('010203'))]),
    packets: 0,
    want: /limit of 2/,
  },
  {
    name: 'pcapng packet longer than its block',
    input: concatBytes([
      section(),
      iface(1, 0),
      block(6, u32(0), u32(0), u32(0), u32(9), u32(9), hex('01020304')),
    ]),
    packets: 0,
    want: /packet 1 of 9 bytes in a block of 36/,
  },
  {
    name: 'pcapng block length',
    input: concatBytes([section(), u32(5), u32(13), hex('00')]),
    packets: 0,
    want: /a block of 13 bytes/,
  },
  {
    name: 'pcapng lengths differ',
    input: concatBytes([section(), u32(1), u32(20), u16(1), u16(0), u32(0), u32(24)]),
    packets: 0,
    want: /two lengths differ/,
  },
  {
    name: 'pcapng giant packet block',
    input: concatBytes([section(), u32(6), u32(0xfffffffc)]),
    packets: 0,
    want: /4294967292/,
  },
  {
    name: 'pcapng giant other block',
    input: concatBytes([section(), u32(9), u32(0xfffffffc)]),
    packets: 0,
    want: /middle of a block/,
  },
];

for (const { name, input, packets, want } of bad) {
  test(`bad capture: ${name}`, async () => {
    const got = await collect([input]);
    assert.equal(got.packets.length, packets);
    assert.match(got.error?.line ?? 'no error', want);
  });
}

test('the reader closes its source when its user stops early', async () => {
  let closed = false;
  function* source() {
    try {
      yield network;
      yield network;
    } finally {
      closed = true;
    }
  }
  for await (const packet of readCapture(source())) {
    assert.equal(packet.linkType, 1);
    break;
  }
  assert.ok(closed);
});

test('the writer refuses what a capture cannot hold', () => {
  const writer = new CaptureWriter();
  assert.throws(() => writer.packet({ data: new Uint8Array(256 * 1024 + 1) }), SkepError);
  assert.throws(() => writer.packet({ data: new Uint8Array(), timestampNs: -1n }), SkepError);
  assert.throws(() => writer.packet({ data: new Uint8Array(), timestampNs: 1n << 63n }), SkepError);
});

test('damaged captures fail with SkepError only', async () => {
  const inputs: Uint8Array[] = [];
  const small = concatBytes([network.subarray(0, 1200)]);
  const smallNg = writeCapture([{ data: hex('0102') }, { data: hex('030405') }], { format: 'pcapng' });
  fuzzReader((bytes) => inputs.push(bytes), [small, smallNg]);
  for (const input of inputs) {
    const { error } = await collect([input]);
    assert.doesNotMatch(error?.line ?? '', /\n/);
  }
});

test('100 MB stream through in bounded memory', async () => {
  const one = new CaptureWriter().packet({ data: new Uint8Array(1400) });
  const chunk = concatBytes(Array<Uint8Array>(64).fill(one));
  function* source() {
    yield pcapHeader;
    for (let sent = 0; sent < 100e6; sent += chunk.length) yield Uint8Array.from(chunk);
  }
  const before = process.memoryUsage().rss;
  let count = 0;
  let most = before;
  for await (const packet of readCapture(source())) {
    if (packet.data.length === 1400) count++;
    if (count % 4096 === 0) most = Math.max(most, process.memoryUsage().rss);
  }
  assert.equal(count, Math.ceil(100e6 / chunk.length) * 64);
  assert.ok(most < 250e6 || most - before < 100e6, `${Math.round(most / 1e6)} MB resident`);
});
