import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { fuzzReader } from '../../test/support/fuzz.ts';
import { disassemble } from '../asm/index.ts';
import { Bug, fromHex, SkepError, toHex } from '../base/index.ts';
import type { Insn, Slots } from '../isa/index.ts';
import {
  type ClassicInsn,
  type ClassicProgram,
  decodeClassic,
  encodeClassic,
  formatClassic,
  fromSockFilters,
  parseClassic,
  translateClassic,
  validateClassic,
} from './index.ts';

/** tcpdump -ddd 'tcp port 80' on Ethernet. */
const tcpPort80 = `20
40 0 0 12
21 0 6 34525
48 0 0 20
21 0 15 6
40 0 0 54
21 12 0 80
40 0 0 56
21 10 11 80
21 0 10 2048
48 0 0 23
21 0 8 6
40 0 0 20
69 6 0 8191
177 0 0 14
72 0 0 14
21 2 0 80
72 0 0 16
21 0 1 80
6 0 0 262144
6 0 0 0
`;

describe('text', () => {
  test('tcpdump -ddd in, tcpdump -d out', () => {
    const lines = formatClassic(parseClassic(tcpPort80)).split('\n');
    assert.deepEqual(lines.slice(0, 4), [
      '(000) ldh      [12]',
      '(001) jeq      #0x86dd          jt 2\tjf 8',
      '(002) ldb      [20]',
      '(003) jeq      #0x6             jt 4\tjf 19',
    ]);
    assert.deepEqual(lines.slice(12, 20), [
      '(012) jset     #0x1fff          jt 19\tjf 13',
      '(013) ldxb     4*([14]&0xf)',
      '(014) ldh      [x + 14]',
      '(015) jeq      #0x50            jt 18\tjf 16',
      '(016) ldh      [x + 16]',
      '(017) jeq      #0x50            jt 18\tjf 19',
      '(018) ret      #262144',
      '(019) ret      #0',
    ]);
  });

  test('one line with commas', () => {
    assert.equal(
      formatClassic(parseClassic('2,48 0 0 9,22 0 0 0,')),
      '(000) ldb      [9]\n(001) ret      \n',
    );
  });

  const printed: { name: string; input: [code: number, k: number]; want: string }[] = [
    { name: 'ancillary', input: [0x30, 0xfffff030], want: 'ldb      [vlanp]' },
    { name: 'a negative offset', input: [0x20, 0xfff00000], want: 'ld       [-1048576]' },
    { name: 'length', input: [0x80, 0], want: 'ld       #pktlen' },
    { name: 'constant', input: [0x01, 40], want: 'ldx      #0x28' },
    { name: 'scratch', input: [0x03, 5], want: 'stx      M[5]' },
    { name: 'decimal', input: [0x14, 0xffffffff], want: 'sub      #-1' },
    { name: 'mask', input: [0x54, 0xf0], want: 'and      #0xf0' },
    { name: 'register', input: [0x6c, 0], want: 'lsh      x' },
    { name: 'jump', input: [0x05, 6], want: 'ja       7' },
    { name: 'neg', input: [0x84, 0], want: 'neg      ' },
  ];
  for (const { name, input, want } of printed) {
    test(name, () => {
      const program = fromSockFilters([{ code: input[0], jt: 0, jf: 0, k: input[1] }]);
      assert.equal(formatClassic(program), `(000) ${want}\n`);
    });
  }

  const bad: { name: string; input: string; want: RegExp }[] = [
    { name: 'empty', input: '', want: /line 1: no instructions/ },
    { name: 'no count', input: 'ldh [12]', want: /line 1: expected the number of instructions/ },
    { name: 'cut short', input: '2\n6 0 0 0', want: /2 instructions announced, 1 there/ },
    { name: 'a word', input: '1\n6 0 0 x', want: /line 2: k is "x"/ },
    { name: 'a range', input: '1\n6 256 0 0', want: /line 2: jt is "256"/ },
    { name: 'three numbers', input: '1\n6 0 0', want: /line 2: expected 4 numbers, found 3/ },
    { name: 'a code', input: '1\n14 0 0 0', want: /instruction 0: code 0xe is no instruction/ },
    { name: 'too many', input: '4097', want: /1 to 4096/ },
  ];
  for (const { name, input, want } of bad) {
    test(name, () => {
      assert.throws(
        () => parseClassic(input),
        (error) => error instanceof SkepError && want.test(error.line),
      );
    });
  }
});

test('bytes', () => {
  const bytes = fromHex(
    '28 00 00 00 0c 00 00 00 15 00 00 01 00 08 00 00 06 00 00 00 ff ff 00 00 06 00 00 00 00 00 00 00',
  );
  assert.equal(toHex(encodeClassic(decodeClassic(bytes))), toHex(bytes));
  assert.throws(() => decodeClassic(bytes.subarray(1)), SkepError);
});

describe('validation', () => {
  const ret: ClassicInsn = { op: 'ret', src: 0 };
  const cases: { name: string; input: ClassicProgram; want: RegExp | undefined }[] = [
    { name: 'nothing', input: [], want: /0 instructions/ },
    { name: 'no return', input: [{ op: 'tax' }], want: /instruction 0: the last instruction is no ret/ },
    { name: 'a jump out', input: [{ op: 'ja', k: 1 }, ret], want: /instruction 0: jump to 2/ },
    { name: 'a huge jump', input: [{ op: 'ja', k: 0xffffffff }, ret], want: /beyond the end/ },
    {
      name: 'a branch out',
      input: [{ op: 'jmp', cond: 'eq', src: 0, jt: 0, jf: 1 }, ret],
      want: /jump to 2/,
    },
    { name: 'division', input: [{ op: 'alu', alu: 'mod', src: 0 }, ret], want: /division by zero/ },
    { name: 'division by X', input: [{ op: 'alu', alu: 'div', src: 'x' }, ret], want: undefined },
    { name: 'shift', input: [{ op: 'alu', alu: 'lsh', src: 32 }, ret], want: /shift by 32/ },
    { name: 'scratch', input: [{ op: 'st', reg: 'a', k: 16 }, ret], want: /M\[16\]/ },
    { name: 'unwritten scratch', input: [{ op: 'ldMem', reg: 'x', k: 1 }, ret], want: /M\[1\] is read/ },
    {
      name: 'scratch written on one way only',
      input: [
        { op: 'jmp', cond: 'gt', src: 3, jt: 0, jf: 1 },
        { op: 'st', reg: 'a', k: 0 },
        { op: 'ldMem', reg: 'a', k: 0 },
        ret,
      ],
      want: /instruction 2: M\[0\]/,
    },
    {
      name: 'scratch written on both ways',
      input: [
        { op: 'jmp', cond: 'gt', src: 3, jt: 0, jf: 2 },
        { op: 'st', reg: 'a', k: 0 },
        { op: 'ja', k: 1 },
        { op: 'st', reg: 'x', k: 0 },
        { op: 'ldMem', reg: 'a', k: 0 },
        ret,
      ],
      want: undefined,
    },
    {
      name: 'unwritten scratch after a return',
      input: [ret, { op: 'ldMem', reg: 'a', k: 0 }, ret],
      want: /M\[0\] is read/,
    },
    {
      name: 'a word written before a return',
      input: [{ op: 'st', reg: 'a', k: 0 }, ret, { op: 'ldMem', reg: 'a', k: 0 }, ret],
      want: undefined,
    },
    {
      name: 'no such ancillary value',
      input: [{ op: 'ldPacket', size: 4, indexed: false, k: 0xfffff040 }, ret],
      want: /ancillary value at offset 64/,
    },
  ];
  for (const { name, input, want } of cases) {
    test(name, () => {
      if (want === undefined) validateClassic(input);
      else
        assert.throws(
          () => validateClassic(input),
          (error) => error instanceof SkepError && want.test(error.line),
        );
    });
  }
});

describe('translation', () => {
  const start = 'r6 = r1\nw0 = 0\nw7 = 0\n';
  const cases: { name: string; input: ClassicProgram; want: string }[] = [
    {
      name: 'a test and two returns',
      input: parseClassic('4,40 0 0 12,21 0 1 2048,6 0 0 65535,6 0 0 0'),
      want: 'r0 = *(u16 *)skb[12]\nif w0 != 0x800 goto pc+2\nw0 = 65535\nexit\nw0 = 0\nexit\n',
    },
    {
      name: 'header length, indexed load',
      input: parseClassic('3,177 0 0 14,72 0 0 16,22 0 0 0'),
      want: 'w8 = w0\nr0 = *(u8 *)skb[14]\nw0 &= 15\nw0 <<= 2\nw7 = w0\nw0 = w8\nr0 = *(u16 *)skb[r7 + 16]\nexit\n',
    },
    {
      name: 'ancillary values',
      input: [
        { op: 'ldPacket', size: 2, indexed: false, k: 0xfffff000 },
        { op: 'ldPacket', size: 4, indexed: false, k: 0xfffff008 },
        { op: 'ldPacket', size: 4, indexed: false, k: 0xfffff024 },
        { op: 'ret', src: 'a' },
      ],
      want:
        'r0 = *(u32 *)(r6 +16)\nr0 = be16 r0\nr0 = *(u32 *)(r6 +40)\nif w0 != 0x0 goto pc+1\nexit\n' +
        'call bpf_get_smp_processor_id#8\nexit\n',
    },
    {
      name: 'division by X, scratch',
      input: [
        { op: 'st', reg: 'a', k: 0 },
        { op: 'alu', alu: 'div', src: 'x' },
        { op: 'ldMem', reg: 'x', k: 0 },
        { op: 'ret', src: 'a' },
      ],
      want: '*(u32 *)(r10 -64) = r0\nif w7 != 0x0 goto pc+2\nw0 = 0\nexit\nw0 /= w7\nr7 = *(u32 *)(r10 -64)\nexit\n',
    },
    {
      name: 'a bit test with both ways away, unreachable code left out',
      input: [
        { op: 'jmp', cond: 'set', src: 1, jt: 1, jf: 2 },
        { op: 'ret', src: 7 },
        { op: 'ret', src: 1 },
        { op: 'ret', src: 2 },
      ],
      want: 'if w0 & 0x1 goto pc+1\ngoto pc+2\nw0 = 1\nexit\nw0 = 2\nexit\n',
    },
  ];
  for (const { name, input, want } of cases) {
    test(name, () => assert.equal(disassemble(translateClassic(input)), start + want));
  }

  test('what eBPF cannot read is refused by name', () => {
    const input: ClassicProgram = [
      { op: 'ldPacket', size: 4, indexed: false, k: 0xfffff01c },
      { op: 'ret', src: 'a' },
    ];
    assert.throws(
      () => translateClassic(input),
      (error) => error instanceof SkepError && /instruction 0: \[hatype\] is not available/.test(error.line),
    );
  });
});

/** `size` bytes at `at`, in network order; `undefined` outside the packet. */
function fromPacket(packet: Uint8Array, at: number, size: number): number | undefined {
  if (at < 0 || at + size > packet.length) return undefined;
  return packet.subarray(at, at + size).reduce((value, byte) => (value * 256 + byte) >>> 0, 0);
}

/** Both machines' arithmetic, on unsigned 32 bits. */
function compute(alu: string, left: number, right: number): number {
  const results: Record<string, () => number> = {
    add: () => left + right,
    sub: () => left - right,
    mul: () => Math.imul(left, right),
    div: () => Math.floor(left / right),
    mod: () => left % right,
    or: () => left | right,
    and: () => left & right,
    xor: () => left ^ right,
    lsh: () => left << right,
    rsh: () => left >>> right,
    mov: () => right,
  };
  return (results[alu] as () => number)() >>> 0;
}

const conditions: Record<string, (left: number, right: number) => boolean> = {
  eq: (left, right) => left === right,
  ne: (left, right) => left !== right,
  gt: (left, right) => left > right,
  ge: (left, right) => left >= right,
  lt: (left, right) => left < right,
  le: (left, right) => left <= right,
  set: (left, right) => (left & right) !== 0,
};

/** The classic machine, as its paper describes it. */
function runClassic(program: ClassicProgram, packet: Uint8Array): number {
  const regs = { a: 0, x: 0 };
  const memory = new Array<number>(16).fill(0);
  for (let at = 0; ; at++) {
    const insn = program[at] as ClassicInsn;
    const value = (src: 'x' | number): number => (src === 'x' ? regs.x : src);
    switch (insn.op) {
      case 'ldPacket': {
        const loaded = fromPacket(packet, ((insn.indexed ? regs.x : 0) + insn.k) | 0, insn.size);
        if (loaded === undefined) return 0;
        regs.a = loaded;
        break;
      }
      case 'ldxMsh': {
        const loaded = fromPacket(packet, insn.k | 0, 1);
        if (loaded === undefined) return 0;
        regs.x = 4 * (loaded & 15);
        break;
      }
      case 'ldImm':
        regs[insn.reg] = insn.k;
        break;
      case 'ldMem':
        regs[insn.reg] = memory[insn.k] as number;
        break;
      case 'ldLen':
        regs[insn.reg] = packet.length;
        break;
      case 'st':
        memory[insn.k] = regs[insn.reg];
        break;
      case 'alu':
        if ((insn.alu === 'div' || insn.alu === 'mod') && value(insn.src) === 0) return 0;
        regs.a = compute(insn.alu, regs.a, value(insn.src));
        break;
      case 'neg':
        regs.a = -regs.a >>> 0;
        break;
      case 'ja':
        at += insn.k;
        break;
      case 'jmp':
        at += conditions[insn.cond]?.(regs.a, value(insn.src)) ? insn.jt : insn.jf;
        break;
      case 'ret':
        return insn.src === 'a' ? regs.a : insn.src;
      case 'tax':
        regs.x = regs.a;
        break;
      case 'txa':
        regs.a = regs.x;
        break;
    }
  }
}

/** As much of eBPF as the translation uses: 32-bit values, the stack, packet loads, `len` of the context. */
function runExtended(slots: Slots, packet: Uint8Array): number {
  const regs = new Array<number>(11).fill(0);
  const stack = new Map<number, number>();
  const value = (src: { reg: number } | { imm: number }): number =>
    'reg' in src ? (regs[src.reg] as number) : src.imm >>> 0;
  for (let at = 0; ; at++) {
    const insn = slots[at] as Insn;
    switch (insn.op) {
      case 'alu':
        regs[insn.dst] = compute(insn.alu, regs[insn.dst] as number, value(insn.src));
        break;
      case 'neg':
        regs[insn.dst] = -(regs[insn.dst] as number) >>> 0;
        break;
      case 'load':
        regs[insn.dst] = insn.src === 10 ? (stack.get(insn.off) as number) : packet.length;
        break;
      case 'store':
        stack.set(insn.off, value(insn.src));
        break;
      case 'ldPacket': {
        const base = insn.src === undefined ? 0 : (regs[insn.src] as number);
        const loaded = fromPacket(packet, (base + insn.imm) | 0, insn.size);
        if (loaded === undefined) return 0;
        regs[0] = loaded;
        break;
      }
      case 'jmp':
        if (conditions[insn.cond]?.(regs[insn.dst] as number, value(insn.src))) at += insn.off;
        break;
      case 'ja':
        at += insn.off;
        break;
      case 'exit':
        return regs[0] as number;
      default:
        throw new Bug(`${insn.op} in a translation`);
    }
  }
}

const u32 = fc.oneof(fc.nat({ max: 40 }), fc.integer({ min: 0, max: 0xffffffff }));
const operand = fc.oneof(fc.constant('x' as const), u32);
const reg = fc.constantFrom('a' as const, 'x' as const);
const word = fc.nat({ max: 2 });
const near = fc.nat({ max: 3 });
const anyClassic: fc.Arbitrary<ClassicInsn> = fc.oneof(
  fc.record({
    op: fc.constant('ldPacket' as const),
    size: fc.constantFrom(1 as const, 2 as const, 4 as const),
    indexed: fc.boolean(),
    k: fc.nat({ max: 40 }),
  }),
  fc.record({ op: fc.constantFrom('ldImm' as const), reg, k: u32 }),
  fc.record({ op: fc.constantFrom('ldMem' as const, 'st' as const), reg, k: word }),
  fc.record({ op: fc.constant('ldLen' as const), reg }),
  fc.record({ op: fc.constant('ldxMsh' as const), k: fc.nat({ max: 40 }) }),
  fc.record({
    op: fc.constant('alu' as const),
    alu: fc.constantFrom('add', 'sub', 'mul', 'div', 'mod', 'or', 'and', 'xor', 'lsh', 'rsh'),
    src: operand,
  }),
  fc.constantFrom<ClassicInsn>({ op: 'neg' }, { op: 'tax' }, { op: 'txa' }),
  fc.record({ op: fc.constant('ja' as const), k: near }),
  fc.record({
    op: fc.constant('jmp' as const),
    cond: fc.constantFrom('eq', 'gt', 'ge', 'set'),
    src: operand,
    jt: near,
    jf: near,
  }),
  fc.record({ op: fc.constant('ret' as const), src: fc.oneof(fc.constant('a' as const), u32) }),
);
/** M[0] to M[2] are written at the start, and there is room for every jump at the end. */
const anyClassicProgram: fc.Arbitrary<ClassicProgram> = fc
  .array(anyClassic, { maxLength: 20 })
  .map((middle) => [
    ...[0, 1, 2].map((k): ClassicInsn => ({ op: 'st', reg: 'a', k })),
    ...middle.map((insn) => ({ ...insn })),
    ...new Array<ClassicInsn>(4).fill({ op: 'ret', src: 'a' }),
  ]);

test('a translated program says the same of every packet', () => {
  const packet = fc.uint8Array({ minLength: 0, maxLength: 60 });
  let compared = 0;
  fc.assert(
    fc.property(anyClassicProgram, packet, (program, bytes) => {
      try {
        validateClassic(program);
      } catch {
        return;
      }
      compared++;
      assert.equal(runExtended(translateClassic(program), bytes), runClassic(program, bytes));
    }),
    { numRuns: 5000 },
  );
  assert.ok(compared > 1000, `only ${compared} valid programs`);
});

test('bytes of any program come back', () => {
  fc.assert(
    fc.property(anyClassicProgram, (program) => {
      assert.deepEqual(decodeClassic(encodeClassic(program)), program);
    }),
  );
});

const hasTcpdump = spawnSync('tcpdump', ['--version']).status === 0;
describe('tcpdump prints the same', { skip: hasTcpdump ? false : 'tcpdump is not installed' }, () => {
  const filters = [
    'tcp port 80 and host 1.2.3.4',
    'ip[6:2] & 0x1fff = 0 and tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420',
    'ether[0] / ether[1] = ether[2] << ether[3]',
    'ip6 host ::1 or (ip and greater 200)',
    'len > 100 and vlan 3',
    'icmp or arp or (udp and not port 53)',
  ];
  for (const filter of filters) {
    test(filter, () => {
      const dump = (flag: string): string =>
        spawnSync('tcpdump', ['-y', 'EN10MB', flag, filter], { encoding: 'utf8' }).stdout;
      const program = parseClassic(dump('-ddd'));
      validateClassic(program);
      assert.equal(formatClassic(program), dump('-d'));
    });
  }
});

test('reading fails with SkepError only', () => {
  const encoder = new TextEncoder();
  const seed = encodeClassic(parseClassic(tcpPort80));
  fuzzReader((bytes) => translateClassic(decodeClassic(bytes)), [seed]);
  fuzzReader((bytes) => formatClassic(decodeClassic(bytes)), [seed]);
  fuzzReader((bytes) => parseClassic(new TextDecoder().decode(bytes)), [encoder.encode(tcpPort80)]);
});
