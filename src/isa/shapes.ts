/**
 * Every valid opcode: which values each of its fields may hold, and the instruction that they make. The
 * decoder reads it forwards; the encoder checks what it made against the same rules, so that the two cannot
 * differ on what is valid. A field that an opcode does not use is reserved and zero (RFC 9669 §3).
 */
import {
  type AluOp,
  type Insn,
  type JmpCond,
  type Operand,
  pseudoLoads,
  type RawInsn,
  type Reg,
  type Size,
} from './insn.ts';
import {
  addrSpaceCastOff,
  aluCodes,
  atomicCodes,
  callKinds,
  controlCodes,
  fetchBit,
  insnClass,
  jmpCodes,
  modes,
  orderedCodes,
  sizeCodes,
  sourceBit,
  unaryCodes,
} from './opcodes.ts';

/** What a field may hold: anything that fits it, a register number, or one of a few values. */
export type FieldRule = 'any' | 'reg' | readonly number[];
/** A rule, or one that depends on other fields of the instruction. */
type Rule = FieldRule | ((raw: RawInsn) => FieldRule);

/** The fields beside the opcode, in the order in which they are checked. */
export const shapeFields = ['dst', 'src', 'off', 'imm'] as const;
export type ShapeField = (typeof shapeFields)[number];

export interface Shape extends Readonly<Record<ShapeField, Rule>> {
  /** The instruction, for fields that satisfy the rules. A two-slot load has `hi` 0, for the decoder to fill in. */
  readonly make: (raw: RawInsn) => Insn;
}

const reserved = [0] as const;
const widths = [32, 64] as const;
const sizes = [1, 2, 4, 8] as const satisfies readonly Size[];
const movsxOffs = { 32: [0, 8, 16], 64: [0, addrSpaceCastOff, 8, 16, 32] } as const;

const table: (Shape | undefined)[] = new Array(256).fill(undefined);

/** A shape with the fields named in `uses`; the others are reserved. */
function define(opcode: number, uses: Partial<Record<ShapeField, Rule>>, make: Shape['make']): void {
  table[opcode] = { dst: reserved, src: reserved, off: reserved, imm: reserved, ...uses, make };
}

const reg = (field: number): Reg => field as Reg;
/** Operands, one for each value of the field: programs hold many. */
const registers: readonly Operand[] = Array.from({ length: 16 }, (_, field) => ({ reg: reg(field) }));

function defineAlu(bits: 32 | 64): void {
  const cls = bits === 64 ? insnClass.alu64 : insnClass.alu32;
  // A division is signed where off is 1; no other operation has an offset.
  const byCode = new Map<number, { plain: AluOp; signed?: AluOp }>();
  for (const [alu, { code, off }] of Object.entries(aluCodes) as [AluOp, { code: number; off: number }][]) {
    if (off === 0) byCode.set(code, { plain: alu });
    else byCode.set(code, { plain: byCode.get(code)?.plain ?? alu, signed: alu });
  }
  for (const [code, { plain, signed }] of byCode) {
    const off: FieldRule = signed === undefined ? reserved : [0, 1];
    const alu = (raw: RawInsn): AluOp => (raw.off === 1 && signed !== undefined ? signed : plain);
    define(cls | code | sourceBit.imm, { dst: 'reg', off, imm: 'any' }, (raw) => ({
      op: 'alu',
      alu: alu(raw),
      bits,
      dst: reg(raw.dst),
      src: { imm: raw.imm },
    }));
    if (plain === 'mov') continue;
    define(cls | code | sourceBit.reg, { dst: 'reg', src: 'reg', off }, (raw) => ({
      op: 'alu',
      alu: alu(raw),
      bits,
      dst: reg(raw.dst),
      src: registers[raw.src] as Operand,
    }));
  }
  define(cls | unaryCodes.neg, { dst: 'reg' }, (raw) => ({ op: 'neg', bits, dst: reg(raw.dst) }));
}

/** A register move is also a sign extension, and (64 bits only) an address space cast, by its offset. */
function defineMov(bits: 32 | 64): void {
  const cls = bits === 64 ? insnClass.alu64 : insnClass.alu32;
  const isCast = (raw: RawInsn): boolean => bits === 64 && raw.off === addrSpaceCastOff;
  const rules: Partial<Record<ShapeField, Rule>> = {
    dst: 'reg',
    src: 'reg',
    off: movsxOffs[bits],
    imm: (raw) => (isCast(raw) ? 'any' : reserved),
  };
  define(cls | aluCodes.mov.code | sourceBit.reg, rules, (raw) => {
    const dst = reg(raw.dst);
    const src = reg(raw.src);
    if (isCast(raw)) return { op: 'addrSpaceCast', dst, src, to: raw.imm >>> 16, from: raw.imm & 0xffff };
    if (raw.off >= 8) return { op: 'movsx', bits, from: raw.off as 8 | 16 | 32, dst, src };
    return { op: 'alu', alu: 'mov', bits, dst, src: registers[src] as Operand };
  });
}

/** RFC 9669 §4.2: the source bit picks the order, the 64-bit class swaps unconditionally. */
function defineSwaps(): void {
  const kinds = [
    ['le', insnClass.alu32 | sourceBit.imm],
    ['be', insnClass.alu32 | sourceBit.reg],
    ['bswap', insnClass.alu64 | sourceBit.imm],
  ] as const;
  for (const [kind, base] of kinds) {
    define(base | unaryCodes.end, { dst: 'reg', imm: [16, 32, 64] }, (raw) => ({
      op: 'swap',
      kind,
      width: raw.imm as 16 | 32 | 64,
      dst: reg(raw.dst),
    }));
  }
}

function defineJumps(bits: 32 | 64): void {
  const cls = bits === 64 ? insnClass.jmp : insnClass.jmp32;
  for (const [cond, code] of Object.entries(jmpCodes) as [JmpCond, number][]) {
    define(cls | code | sourceBit.imm, { dst: 'reg', off: 'any', imm: 'any' }, (raw) => ({
      op: 'jmp',
      cond,
      bits,
      dst: reg(raw.dst),
      src: { imm: raw.imm },
      off: raw.off,
    }));
    define(cls | code | sourceBit.reg, { dst: 'reg', src: 'reg', off: 'any' }, (raw) => ({
      op: 'jmp',
      cond,
      bits,
      dst: reg(raw.dst),
      src: registers[raw.src] as Operand,
      off: raw.off,
    }));
  }
}

function defineControl(): void {
  const { jmp, jmp32 } = insnClass;
  define(jmp | controlCodes.ja, { off: 'any' }, (raw) => ({ op: 'ja', wide: false, off: raw.off }));
  define(jmp32 | controlCodes.ja, { imm: 'any' }, (raw) => ({ op: 'ja', wide: true, off: raw.imm }));
  define(jmp | controlCodes.jcond, { off: 'any' }, (raw) => ({ op: 'mayGoto', off: raw.off }));
  define(jmp | controlCodes.exit, {}, () => ({ op: 'exit' }));
  const kfunc = callKinds.indexOf('kfunc');
  const rules: Partial<Record<ShapeField, Rule>> = {
    src: callKinds.map((_, index) => index),
    off: (raw) => (raw.src === kfunc ? 'any' : reserved),
    imm: 'any',
  };
  define(jmp | controlCodes.call, rules, (raw) => {
    if (raw.src === kfunc) return { op: 'call', kind: 'kfunc', imm: raw.imm, off: raw.off };
    return { op: 'call', kind: raw.src === 0 ? 'helper' : 'subprog', imm: raw.imm };
  });
}

function defineAccesses(size: Size): void {
  const code = sizeCodes[size];
  const load =
    (signed: boolean) =>
    (raw: RawInsn): Insn => ({
      op: 'load',
      size,
      signed,
      dst: reg(raw.dst),
      src: reg(raw.src),
      off: raw.off,
    });
  const regOff = { dst: 'reg', src: 'reg', off: 'any' } as const;
  define(insnClass.ldx | modes.mem | code, regOff, load(false));
  if (size < 8) define(insnClass.ldx | modes.memsx | code, regOff, load(true));
  define(insnClass.st | modes.mem | code, { dst: 'reg', off: 'any', imm: 'any' }, (raw) => ({
    op: 'store',
    size,
    dst: reg(raw.dst),
    off: raw.off,
    src: { imm: raw.imm },
  }));
  define(insnClass.stx | modes.mem | code, regOff, (raw) => ({
    op: 'store',
    size,
    dst: reg(raw.dst),
    off: raw.off,
    src: registers[raw.src] as Operand,
  }));
}

/** RFC 9669 §5.3; accesses with an order come in every size, the other atomics in 4 and 8 bytes. */
function defineAtomics(size: Size): void {
  const makers = new Map<number, (raw: RawInsn) => Insn>();
  makers.set(orderedCodes.loadAcquire, (raw) => ({
    op: 'loadAcquire',
    size,
    dst: reg(raw.dst),
    src: reg(raw.src),
    off: raw.off,
  }));
  makers.set(orderedCodes.storeRelease, (raw) => ({
    op: 'storeRelease',
    size,
    dst: reg(raw.dst),
    off: raw.off,
    src: reg(raw.src),
  }));
  if (size >= 4) {
    for (const [atomic, code] of Object.entries(atomicCodes) as [keyof typeof atomicCodes, number][]) {
      const make =
        (fetch: boolean) =>
        (raw: RawInsn): Insn => ({
          op: 'atomic',
          atomic,
          fetch,
          size: size as 4 | 8,
          dst: reg(raw.dst),
          off: raw.off,
          src: reg(raw.src),
        });
      makers.set(code | fetchBit, make(true));
      if (atomic !== 'xchg' && atomic !== 'cmpxchg') makers.set(code, make(false));
    }
  }
  const rules = { dst: 'reg', src: 'reg', off: 'any', imm: [...makers.keys()] } as const;
  define(insnClass.stx | modes.atomic | sizeCodes[size], rules, (raw) =>
    (makers.get(raw.imm) as Shape['make'])(raw),
  );
}

/** The opcode of the first slot of the two-slot load (RFC 9669 §5.4). */
export const wideLoadOpcode: number = insnClass.ld | modes.imm | sizeCodes[8];

function defineLd(): void {
  const rules = { dst: 'reg', src: pseudoLoads.map((_, index) => index), imm: 'any' } as const;
  define(wideLoadOpcode, rules, (raw) => ({
    op: 'ldimm64',
    dst: reg(raw.dst),
    pseudo: pseudoLoads[raw.src] ?? 'imm',
    lo: raw.imm,
    hi: 0,
  }));
  for (const size of [1, 2, 4] as const) {
    const base = insnClass.ld | sizeCodes[size];
    define(base | modes.abs, { imm: 'any' }, (raw) => ({
      op: 'ldPacket',
      size,
      src: undefined,
      imm: raw.imm,
    }));
    define(base | modes.ind, { src: 'reg', imm: 'any' }, (raw) => ({
      op: 'ldPacket',
      size,
      src: reg(raw.src),
      imm: raw.imm,
    }));
  }
}

for (const bits of widths) {
  defineAlu(bits);
  defineMov(bits);
  defineJumps(bits);
}
defineSwaps();
defineControl();
for (const size of sizes) {
  defineAccesses(size);
  defineAtomics(size);
}
defineLd();

/** By opcode; `undefined` is no instruction. */
export const shapes: readonly (Shape | undefined)[] = table;

/** The rule for one field of an instruction. */
export function fieldRule(shape: Shape, field: ShapeField, raw: RawInsn): FieldRule {
  const rule = shape[field];
  return typeof rule === 'function' ? rule(raw) : rule;
}

function fits(rule: FieldRule, value: number): boolean {
  if (rule === 'any') return true;
  if (rule !== 'reg') return rule.includes(value);
  return value >= 0 && value <= 10 && Number.isInteger(value);
}

/** The first field that breaks its rule, or `undefined`. The fields must fit their widths. */
export function wrongField(shape: Shape, raw: RawInsn): ShapeField | undefined {
  if (!fits(fieldRule(shape, 'dst', raw), raw.dst)) return 'dst';
  if (!fits(fieldRule(shape, 'src', raw), raw.src)) return 'src';
  if (!fits(fieldRule(shape, 'off', raw), raw.off)) return 'off';
  if (!fits(fieldRule(shape, 'imm', raw), raw.imm)) return 'imm';
  return undefined;
}

/** 'src 11 is no register', 'off is 3, reserved: must be 0': what is wrong with a field, for messages. */
export function describeWrong(shape: Shape, field: ShapeField, raw: RawInsn): string {
  const rule = fieldRule(shape, field, raw);
  const value = raw[field];
  if (rule === 'any' || rule === 'reg') return `${field} ${value} is no register (0 to 10)`;
  if (rule.length === 1) return `${field} is ${value}, but is reserved and must be ${rule[0]}`;
  return `${field} is ${value}, but must be one of ${rule.join(', ')}`;
}
