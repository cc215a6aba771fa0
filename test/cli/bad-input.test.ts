/**
 * Bad input from the command line: one clear line on standard error, exit code 1, no stack trace. The bad
 * files are made from good ones.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { command, example, type Ran, readExample, scratch, skep } from './skep.ts';

const files = scratch();
after(() => files.remove());

const good = readExample('firewall.bpf.o');

/** The good object, changed. */
function object(name: string, change: (bytes: Uint8Array, view: DataView) => Uint8Array | undefined): string {
  const bytes = Uint8Array.from(good);
  return files.write(name, change(bytes, new DataView(bytes.buffer)) ?? bytes);
}

/** Replaces every occurrence of an ASCII text by one of the same length. */
function replaceText(bytes: Uint8Array, from: string, to: string): undefined {
  assert.equal(from.length, to.length);
  let found = 0;
  for (let at = 0; (at = Buffer.from(bytes.buffer).indexOf(from, at)) >= 0; at += from.length, found++) {
    bytes.set(new TextEncoder().encode(to), at);
  }
  assert.ok(found > 0, `no ${from} in the object`);
}

/** Where a section's bytes are in an ELF64 file. */
function section(view: DataView, wanted: string): { at: number; size: number } {
  const headers = Number(view.getBigUint64(40, true));
  const header = (index: number) => headers + index * view.getUint16(58, true);
  const offset = (index: number) => Number(view.getBigUint64(header(index) + 24, true));
  const names = offset(view.getUint16(62, true));
  for (let index = 1; index < view.getUint16(60, true); index++) {
    let name = '';
    for (let at = names + view.getUint32(header(index), true); view.getUint8(at) !== 0; at++) {
      name += String.fromCharCode(view.getUint8(at));
    }
    if (name === wanted)
      return { at: offset(index), size: Number(view.getBigUint64(header(index) + 32, true)) };
  }
  throw new Error(`no section ${wanted}`);
}

/** Points the first typedef, const or volatile of the BTF at itself. */
function cyclicBtf(_: Uint8Array, view: DataView): undefined {
  const btf = section(view, '.BTF').at;
  const types = btf + view.getUint32(btf + 4, true) + view.getUint32(btf + 8, true);
  const sizes: Record<number, (vlen: number) => number> = {
    1: () => 4,
    3: () => 12,
    4: (n) => 12 * n,
    5: (n) => 12 * n,
    6: (n) => 8 * n,
    13: (n) => 8 * n,
    14: () => 4,
    15: (n) => 12 * n,
    17: () => 4,
    19: (n) => 12 * n,
  };
  for (let at = types, id = 1; ; id++) {
    const info = view.getUint32(at + 4, true);
    const kind = (info >>> 24) & 0x1f;
    if (kind === 8 || kind === 9 || kind === 10) {
      view.setUint32(at + 8, id, true);
      return undefined;
    }
    at += 12 + (sizes[kind]?.(info & 0xffff) ?? 0);
  }
}

function oneLine(ran: Ran, want: RegExp, what: string): void {
  assert.equal(ran.code, 1, `${what}: exit code of: ${ran.stderr}`);
  assert.match(ran.stderr, /^skep: [^\n]+\n$/, `${what}: one line`);
  assert.match(ran.stderr, want, what);
  assert.doesNotMatch(ran.stderr, /a bug in skep| {4}at /, what);
}

test('objects that are none', () => {
  const cases: { name: string; path: string; want: RegExp }[] = [
    { name: 'missing', path: files.path('missing.o'), want: /missing\.o: no such file/ },
    { name: 'a folder', path: files.path(''), want: /: it is a directory, not a file/ },
    {
      name: 'a file as a folder',
      path: `${example('firewall.bpf.o')}/x`,
      want: /a part of the path is not a directory/,
    },
    { name: 'empty', path: files.write('empty.o', ''), want: /empty\.o: .+/ },
    {
      name: 'text',
      path: files.write('text.o', 'hello, I am a text file of some length\n'.repeat(4)),
      want: /text\.o: .*ELF/,
    },
    {
      name: 'x86-64',
      path: object('x86.o', (_, view) => void view.setUint16(18, 62, true)),
      want: /x86\.o: .*(machine|BPF|x86)/,
    },
    {
      name: 'big-endian',
      path: object('big.o', (bytes) => void (bytes[5] = 2)),
      want: /big\.o: .*big-endian/,
    },
    { name: 'header only', path: object('header.o', (bytes) => bytes.slice(0, 64)), want: /header\.o: .+/ },
    {
      name: 'unknown section',
      path: object('section.o', (bytes) => replaceText(bytes, 'xdp\0', 'xyz\0')),
      want: /program 'firewall' not loaded: SEC\("xyz"\) is no section name/,
    },
    { name: 'cyclic BTF', path: object('cyclic.o', cyclicBtf), want: /cyclic\.o: .+/ },
  ];
  for (const { name, path, want } of cases) oneLine(skep(['verify', path]), want, name);
});

test('an object cut off anywhere', () => {
  for (let cut = 0; cut < good.length; cut += Math.ceil(good.length / 7)) {
    oneLine(skep(['verify', files.write('cut.o', good.slice(0, cut))]), /cut\.o: /, `cut at ${cut}`);
  }
});

test('a map of 2^31 entries', () => {
  const path = object('huge.o', (_, view) => {
    // __uint(max_entries, 1024) is an array of 1024 ints in BTF.
    const { at, size } = section(view, '.BTF');
    let found = 0;
    for (let offset = at; offset + 4 <= at + size; offset += 4) {
      if (view.getUint32(offset, true) !== 1024) continue;
      view.setUint32(offset, 2 ** 31, true);
      found++;
    }
    assert.ok(found > 0);
    return undefined;
  });
  oneLine(
    skep(['run', path]),
    /huge\.o: .*map 'blocked' \(hash, key 2 bytes, value 4 bytes, 2147483648 entries\) was not created/,
    'huge map',
  );
});

test('captures that are cut or none', () => {
  const capture = readExample('captures/network.pcap');
  const firewall = example('firewall.bpf.o');
  const cases = [
    {
      name: 'in a packet',
      data: capture.slice(0, 24 + 16 + 20),
      want: /cut\.pcap: the capture ends in the middle of/,
    },
    {
      name: 'in a packet header',
      data: capture.slice(0, 24 + 7),
      want: /cut\.pcap: the capture ends in the middle of/,
    },
    { name: 'in the file header', data: capture.slice(0, 10), want: /cut\.pcap: / },
    { name: 'empty', data: new Uint8Array(), want: /cut\.pcap: the capture is empty/ },
    { name: 'an object', data: good, want: /cut\.pcap: not a capture.*ELF/ },
  ];
  for (const { name, data, want } of cases) {
    const ran = skep(['run', firewall, '--pcap', files.write('cut.pcap', data)]);
    assert.equal(ran.code, 1, name);
    assert.match(ran.stderr, want, name);
    assert.doesNotMatch(ran.stderr, /a bug in skep| {4}at /, name);
  }
});

test('other files that are wrong', () => {
  const firewall = example('firewall.bpf.o');
  const cases: { args: string[]; input?: string; want: RegExp }[] = [
    { args: ['run', firewall, '--pcap', files.path('none')], want: /none: no such file/ },
    { args: ['verify', '/dev/zero'], want: /\/dev\/zero: it has more than 64 MiB/ },
    { args: ['run', firewall, '--strace', files.path('none')], want: /none: no such file/ },
    { args: ['prog', 'run', firewall, '--data-in', files.path('none')], want: /none: no such file/ },
    {
      args: ['prog', 'run', firewall, '--prog', 'x'],
      want: /there is no program 'x' \(there are firewall\)/,
    },
    { args: ['map', 'dump', firewall, '--map', 'x'], want: /there is no map 'x'/ },
    { args: ['run', firewall, '--set', 'nothing=1'], want: /--set nothing=1: the object has neither/ },
    { args: ['run', firewall, '--set', 'blocked.99999=1'], want: /key of map 'blocked'/ },
    { args: ['asm'], input: 'r0 = 1\nr99 = 2\n', want: /standard input: line 2, column 1: / },
    { args: ['disasm'], input: 'xyz', want: /standard input: 3 bytes are no program/ },
    { args: ['disasm'], input: 'ff00000000000000', want: /standard input: / },
  ];
  for (const { args, input, want } of cases) {
    const ran = skep(args, input === undefined ? {} : { input });
    assert.equal(ran.code, 1, `${args}: ${ran.stderr}`);
    assert.match(ran.stderr, want);
    assert.doesNotMatch(ran.stderr, /a bug in skep| {4}at /);
  }
});

test('standard input cannot be two files', () => {
  const ran = skep(['run', '-', '--pcap', '-'], { input: good });
  assert.equal(ran.code, 2);
  assert.match(ran.stderr, /skep: standard input \('-'\) is given for two files\n$/);
});

test('a closed pipe ends it quietly', () => {
  const script = 'set -o pipefail; "$@" | head -n 1 && echo quiet';
  const big = files.write('big.s', `${'r0 = 1\n'.repeat(200_000)}exit\n`);
  const args = ['-c', script, 'bash', ...command, 'asm', big];
  const out = execFileSync('bash', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  assert.equal(out, 'b7 00 00 00 01 00 00 00\nquiet\n');
  assert.ok(readFileSync(big).length > 1e6);
});
