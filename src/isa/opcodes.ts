/**
 * The numbers of the encoding (RFC 9669 §4 and §5, and Linux's additions), one table a field, each from our
 * name to the code. The opcode byte is
 *
 *     arithmetic and jumps:  code:4 | source:1 | class:3
 *     loads and stores:      mode:3 | size:2   | class:3
 *
 * What a whole opcode means, and which of its fields are in use, is in `shapes.ts`.
 */
import type { AluOp, AtomicOp, JmpCond, Size } from './insn.ts';

/** RFC 9669 §3.3: the low three bits. */
export const insnClass = {
  ld: 0,
  ldx: 1,
  st: 2,
  stx: 3,
  alu32: 4,
  jmp: 5,
  jmp32: 6,
  alu64: 7,
} as const;

/** RFC 9669 §4.1 and §4.3: bit 3, whether the second operand is the immediate or a register. */
export const sourceBit = { imm: 0x00, reg: 0x08 } as const;

/** RFC 9669 §4.1: the code bits, and the offset that makes a division signed. */
export const aluCodes = {
  add: { code: 0x00, off: 0 },
  sub: { code: 0x10, off: 0 },
  mul: { code: 0x20, off: 0 },
  div: { code: 0x30, off: 0 },
  sdiv: { code: 0x30, off: 1 },
  or: { code: 0x40, off: 0 },
  and: { code: 0x50, off: 0 },
  lsh: { code: 0x60, off: 0 },
  rsh: { code: 0x70, off: 0 },
  mod: { code: 0x90, off: 0 },
  smod: { code: 0x90, off: 1 },
  xor: { code: 0xa0, off: 0 },
  mov: { code: 0xb0, off: 0 },
  arsh: { code: 0xc0, off: 0 },
} as const satisfies Record<AluOp, { code: number; off: number }>;

/** The two arithmetic codes with one operand (RFC 9669 §4.1, §4.2). */
export const unaryCodes = { neg: 0x80, end: 0xd0 } as const;

/** RFC 9669 §4.3. */
export const jmpCodes = {
  eq: 0x10,
  gt: 0x20,
  ge: 0x30,
  set: 0x40,
  ne: 0x50,
  sgt: 0x60,
  sge: 0x70,
  lt: 0xa0,
  le: 0xb0,
  slt: 0xc0,
  sle: 0xd0,
} as const satisfies Record<JmpCond, number>;

/** The jump codes that compare nothing; `jcond` is Linux's `may_goto`. */
export const controlCodes = { ja: 0x00, call: 0x80, exit: 0x90, jcond: 0xe0 } as const;

/** RFC 9669 §5: the size bits by width in bytes. */
export const sizeCodes = { 4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18 } as const satisfies Record<Size, number>;

/** RFC 9669 §5: the mode bits. */
export const modes = { imm: 0x00, abs: 0x20, ind: 0x40, mem: 0x60, memsx: 0x80, atomic: 0xc0 } as const;

/** RFC 9669 §5.3: the immediate of an atomic operation, without the fetch bit. */
export const atomicCodes = {
  add: 0x00,
  or: 0x40,
  and: 0x50,
  xor: 0xa0,
  xchg: 0xe0,
  cmpxchg: 0xf0,
} as const satisfies Record<AtomicOp, number>;

/** Or-ed to an atomic's immediate where the old value comes back. */
export const fetchBit = 0x01;

/** Linux's BPF_LOAD_ACQ and BPF_STORE_REL: immediates of an atomic that is a plain access with an order. */
export const orderedCodes = { loadAcquire: 0x100, storeRelease: 0x110 } as const;

/** RFC 9669 §4.3.1: the src field of a call, by its position. */
export const callKinds = ['helper', 'subprog', 'kfunc'] as const;

/** The offset that turns a 64-bit register move into Linux's `addr_space_cast`. */
export const addrSpaceCastOff = 1;
