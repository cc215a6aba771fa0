import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TestRuntime } from '../../../test/support/runtime.ts';
import { assemble } from '../../asm/index.ts';
import { type Errno, errnos, helpers } from '../../uapi/index.ts';
import {
  helperImplementations,
  interpreter,
  MemoryFault,
  type PacketContext,
  ProgramFault,
} from '../index.ts';
import { formatTrace } from './format.ts';

const err = (errno: Errno) => -errnos[errno];
const signed = (r0: bigint) => Number(BigInt.asIntN(64, r0));
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** r`reg` = the 64-bit number, as an address. */
const load = (reg: number, value: number) => `r${reg} = ${value} ll\n`;

test('every helper that says it is real has an implementation', () => {
  const real = Object.entries(helpers).filter(([, facts]) => ['real', 'modelled'].includes(facts.label));
  const engineOwn = ['tail_call'];
  assert.deepEqual(
    real
      .map(([name]) => name)
      .filter((name) => !engineOwn.includes(name))
      .sort(),
    Object.keys(helperImplementations).sort(),
  );
});

test('map helpers: update, lookup, delete, and their errors', () => {
  const runtime = new TestRuntime();
  const map = runtime.map('hash', { maxEntries: 1 });
  const call = (id: number, setup: string) =>
    runtime.load(
      interpreter,
      assemble(`*(u32 *)(r10 - 4) = 7
      *(u64 *)(r10 - 16) = 99
      ${load(1, map.address)}r2 = r10
      r2 += -4
      ${setup}
      call ${id}
      exit`),
    );
  const lookup = call(1, '');
  const update = (flags: number) => call(2, `r3 = r10\nr3 += -16\nr4 = ${flags}`).run({ ctx: 0 });
  const remove = call(3, '');
  assert.equal(lookup.run({ ctx: 0 }), 0n);
  assert.equal(signed(update(2)), err('ENOENT'));
  assert.equal(update(0), 0n);
  assert.equal(signed(update(1)), err('EEXIST'));
  assert.equal(signed(update(9)), err('EINVAL'));
  const at = Number(lookup.run({ ctx: 0 }));
  assert.equal(runtime.memory.view.getBigUint64(at, true), 99n);
  assert.equal(remove.run({ ctx: 0 }), 0n);
  assert.equal(signed(remove.run({ ctx: 0 })), err('ENOENT'));
});

test('a per-CPU lookup gives the value of the CPU that runs', () => {
  const runtime = new TestRuntime();
  const map = runtime.map('percpu_array');
  const program = runtime.load(
    interpreter,
    assemble(`*(u32 *)(r10 - 4) = 1
    ${load(1, map.address)}r2 = r10
    r2 += -4
    call 1
    lock *(u64 *)(r0 + 0) += r10
    r0 = *(u64 *)(r0 + 0)
    exit`),
  );
  const first = program.run({ ctx: 0 });
  assert.ok(first > 0n);
  runtime.cpuNumber = 3;
  assert.equal(program.run({ ctx: 0 }), first);
});

test('helpers check what they are given', () => {
  const runtime = new TestRuntime();
  const map = runtime.map('hash');
  const noMap = assemble('r1 = 5\nr2 = r10\ncall 1\nexit');
  assert.throws(() => runtime.load(interpreter, noMap).run({ ctx: 0 }), ProgramFault);
  const keyOffStack = assemble(`${load(1, map.address)}r2 = r10\nr2 += -2\ncall 1\nexit`);
  assert.throws(() => runtime.load(interpreter, keyOffStack).run({ ctx: 0 }), MemoryFault);
  assert.throws(
    () => runtime.load(interpreter, assemble('r2 = 0\ncall 44\nexit'), 'xdp').run({ ctx: 0 }),
    ProgramFault,
  );
});

test('clock, randomness, CPU and task come from the runtime', () => {
  const runtime = new TestRuntime();
  runtime.now = 0x1234_5678_9abcn;
  runtime.randomValue = 0xffff_fff0;
  runtime.cpuNumber = 2;
  runtime.currentTask = { pid: 70_001, tgid: 70_000, uid: 1000, gid: 100, comm: 'a-very-long-command' };
  const call = (id: number) => runtime.load(interpreter, assemble(`call ${id}\nexit`)).run({ ctx: 0 });
  assert.equal(call(5), 0x1234_5678_9abcn);
  assert.equal(call(7), 0xffff_fff0n);
  assert.equal(call(8), 2n);
  assert.equal(call(14), (70_000n << 32n) | 70_001n);
  assert.equal(call(15), (100n << 32n) | 1000n);
});

test('bpf_get_current_comm: cut to its room, padded with zeros', () => {
  const runtime = new TestRuntime();
  runtime.currentTask = { ...runtime.currentTask, comm: 'a-very-long-command' };
  const rows: [size: number, want: string][] = [
    [16, 'a-very-long-com\0'],
    [4, 'a-v\0'],
    [20, 'a-very-long-com\0\0\0\0\0'],
    [1, '\0'],
  ];
  for (const [size, want] of rows) {
    const buffer = runtime.bytes(new Uint8Array(32).fill(0xff));
    const program = runtime.load(interpreter, assemble(`r2 = ${size}\ncall 16\nexit`));
    assert.equal(program.run({ ctx: buffer }), 0n);
    assert.equal(new TextDecoder().decode(runtime.memory.u8.subarray(buffer, buffer + size)), want);
  }
  assert.equal(
    signed(runtime.load(interpreter, assemble('r2 = 0\ncall 16\nexit')).run({ ctx: 0 })),
    err('EINVAL'),
  );
});

/** Recorded on Linux 6.18 with the arguments -65, 66 and 67: what it returned, and printed. */
const recorded: { format: string; want: number; text?: string }[] = [
  { format: 'plain', want: 5, text: 'plain' },
  { format: '%d %u %x', want: 9, text: '-65 66 43' },
  { format: '%5d|%-5d|%05d', want: 17, text: '  -65|66   |00067' },
  { format: '%ld %lx %llu', want: 9, text: '-65 42 67' },
  { format: '%lld%%', want: 4, text: '-65%' },
  { format: '%s', want: 0, text: '' },
  { format: '%s!', want: 1, text: '!' },
  { format: '%5s|', want: 6, text: '     |' },
  { format: '%p', want: 16, text: 'ffffffffffffffbf' },
  { format: '%px', want: 16, text: 'ffffffffffffffbf' },
  { format: '%pK %d', want: 19, text: 'ffffffffffffffbf 66' },
  { format: '%ps', want: 18, text: '0xffffffffffffffbf' },
  { format: '%pI4', want: 7, text: '0.0.0.0' },
  { format: '%c', want: 1, text: '\xbf' },
  { format: '%5c|', want: 6, text: '    \xbf|' },
  { format: '%c%c%c', want: 3, text: '\xbfBC' },
  { format: '%d\n', want: 4, text: '-65\n' },
  { format: '%+d % d', want: 7, text: '-65  66' },
  { format: '%08llx', want: 16, text: 'ffffffffffffffbf' },
  { format: '%i %X', want: 6, text: '-65 42' },
  { format: '% 5d', want: 5, text: '  -65' },
  ...['%q', '%d %d %d %d', '%hd', '%#x', '%sx', '%d\x01', '%', '%5', '%lc', '%3%'].map((format) => ({
    format,
    want: err('EINVAL'),
  })),
];

for (const { format, want, text } of recorded) {
  test(`bpf_trace_printk(${JSON.stringify(format)})`, () => {
    const runtime = new TestRuntime();
    const at = runtime.bytes(bytesOf(`${format}\0`));
    const program = runtime.load(
      interpreter,
      assemble(`r2 = ${format.length + 1}
      r3 = -65
      r4 = 66
      r5 = 67
      call 6
      exit`),
    );
    assert.equal(signed(program.run({ ctx: at })), want);
    assert.deepEqual(runtime.lines, text === undefined ? [] : [text]);
  });
}

test('bpf_trace_printk: strings and addresses from memory; no NUL is an error', () => {
  const runtime = new TestRuntime();
  const name = runtime.bytes(bytesOf('eth0\0'));
  const ip = runtime.bytes(new Uint8Array([192, 168, 0, 9, ...new Array(11).fill(0), 1]));
  const print = (format: string, size = format.length) =>
    signed(
      runtime
        .load(interpreter, assemble(`r2 = ${size}\n${load(3, name)}${load(4, ip)}${load(5, ip)}call 6\nexit`))
        .run({ ctx: runtime.bytes(bytesOf(format)) }),
    );
  assert.equal(print('%s %pI4 %pi4\0'), 32);
  assert.equal(print('%6s|%-6pI4|%pI6\0'), 58);
  assert.equal(print('no end'), err('EINVAL'));
  assert.equal(print('empty\0', 0), err('EINVAL'));
  assert.deepEqual(runtime.lines, [
    'eth0 192.168.0.9 192.168.000.009',
    '  eth0|192.168.0.9|c0a8:0009:0000:0000:0000:0000:0000:0001',
  ]);
});

test('any format gives a text or -EINVAL', () => {
  const format = fc.array(
    fc.constantFrom('%', 'd', 'l', 's', 'p', 'I', '4', '0', '-', ' ', 'x', 'K', '\n', 'z', '9'),
  );
  fc.assert(
    fc.property(format, fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), (parts, arg) => {
      const result = formatTrace({ format: parts.join(''), args: [arg, arg, arg], read: () => undefined });
      assert.ok(typeof result === 'string' || result === err('EINVAL'));
    }),
  );
});

/** An XDP packet of `size` bytes with 256 bytes of headroom, as test runs have on Linux. */
function xdpPacket(runtime: TestRuntime, size: number, meta = 0): PacketContext {
  const buffer = runtime.memory.alloc(256 + size + 320);
  const data = buffer + 256;
  const ctx = runtime.memory.alloc(24);
  const fields = [data, data + size, data - meta];
  for (const [i, value] of fields.entries()) runtime.memory.view.setUint32(ctx + 4 * i, value, true);
  return { ctx, buffer, bufferSize: 256 + size + 320 };
}

/** Recorded on Linux 6.18 for a packet of 64 bytes. */
const adjustments: [delta: number, want: number, size: number][] = [
  [-1, 0, 65],
  [-215, 0, 279],
  [-216, 0, 280],
  [-217, err('EINVAL'), 64],
  [-256, err('EINVAL'), 64],
  [0, 0, 64],
  [14, 0, 50],
  [49, 0, 15],
  [50, 0, 14],
  [51, err('EINVAL'), 64],
  [64, err('EINVAL'), 64],
  [2 ** 31 - 1, err('EINVAL'), 64],
  [-(2 ** 31), err('EINVAL'), 64],
];

for (const [delta, want, size] of adjustments) {
  test(`bpf_xdp_adjust_head by ${delta}`, () => {
    const runtime = new TestRuntime();
    const packet = xdpPacket(runtime, 64);
    const program = runtime.load(interpreter, assemble(`r2 = ${delta}\ncall 44\nexit`), 'xdp');
    assert.equal(signed(program.run({ ctx: packet.ctx, packet })), want);
    const { view } = runtime.memory;
    assert.equal(view.getUint32(packet.ctx + 4, true) - view.getUint32(packet.ctx, true), size);
  });
}

test('bpf_xdp_adjust_head moves the metadata along', () => {
  const runtime = new TestRuntime();
  const packet = xdpPacket(runtime, 64, 4);
  const { view } = runtime.memory;
  const data = packet.buffer + 256;
  view.setUint32(data - 4, 0xabcd, true);
  const program = runtime.load(interpreter, assemble('r2 = -20\ncall 44\nexit'), 'xdp');
  assert.equal(program.run({ ctx: packet.ctx, packet }), 0n);
  assert.equal(view.getUint32(packet.ctx + 8, true), data - 24);
  assert.equal(view.getUint32(data - 24, true), 0xabcd);
});

test('a packet is readable between its edges, wherever they are now', () => {
  const runtime = new TestRuntime();
  const packet = xdpPacket(runtime, 64);
  const at = (off: number) => () =>
    runtime
      .load(interpreter, assemble(`r1 = *(u32 *)(r1 + 0)\nr0 = *(u32 *)(r1 + ${off})\nexit`), 'xdp')
      .run({ ctx: packet.ctx, packet });
  assert.equal(at(0)(), 0n);
  assert.equal(at(60)(), 0n);
  assert.throws(at(61), MemoryFault);
  runtime.memory.view.setUint32(packet.ctx, packet.buffer + 256 + 8, true);
  runtime.memory.view.setUint32(packet.ctx + 8, packet.buffer + 256 + 8, true);
  assert.equal(at(52)(), 0n);
  assert.throws(
    () =>
      runtime
        .load(interpreter, assemble('r1 = *(u32 *)(r1 + 0)\nr0 = *(u8 *)(r1 - 1)\nexit'), 'xdp')
        .run({ ctx: packet.ctx, packet }),
    MemoryFault,
  );
});

test('classic loads: big-endian, relative to the packet and its headers; beyond it the program returns 0', () => {
  const runtime = new TestRuntime();
  const bytes = new Uint8Array(32).map((_, i) => 0x80 + i);
  const buffer = runtime.bytes(bytes);
  const ctx = runtime.memory.alloc(192);
  runtime.memory.view.setUint32(ctx + 76, buffer + 14, true);
  runtime.memory.view.setUint32(ctx + 80, buffer + 32, true);
  const packet = { ctx, buffer, bufferSize: 32, linkHeader: buffer, networkHeader: buffer + 14 };
  const rows: { size: 1 | 2 | 4; imm: number; index?: number; want: bigint }[] = [
    { size: 1, imm: 0, want: 0x8en },
    { size: 2, imm: 0, want: 0x8e8fn },
    { size: 4, imm: 1, want: 0x8f90_9192n },
    { size: 4, imm: 14, want: 0x9c9d_9e9fn },
    { size: 4, imm: 15, want: 0n },
    { size: 1, imm: 2, index: 3, want: 0x93n },
    { size: 1, imm: 2 ** 31 - 1, index: 5, want: 0n },
    { size: 1, imm: -1, want: 0n },
    { size: 1, imm: -1, index: 3, want: 0x90n },
    { size: 2, imm: -0x200000 + 12, want: 0x8c8dn },
    { size: 1, imm: -0x100000 + 9, want: 0x97n },
    { size: 1, imm: -0x200001, want: 0n },
  ];
  for (const { size, imm, index, want } of rows) {
    const program = runtime.load(
      interpreter,
      [
        { op: 'alu', alu: 'mov', bits: 64, dst: 7, src: { imm: index ?? 0 } },
        { op: 'alu', alu: 'mov', bits: 64, dst: 0, src: { imm: 77 } },
        { op: 'ldPacket', size, src: index === undefined ? undefined : 7, imm },
        { op: 'exit' },
      ],
      'socket_filter',
    );
    assert.equal(program.run({ ctx, packet }), want, `${size} bytes at ${imm}, index ${index}`);
  }
});
