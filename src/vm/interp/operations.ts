/**
 * What each instruction does: one small function an operation (RFC 9669 §4, §5), over the machine and up to
 * three operands: `d` and `s` are registers (or constants), `x` an offset, a target slot or a number.
 * Words of register n: 2n is the low half, 2n + 1 the high half; a 32-bit operation clears the high half.
 */
import { helperByCode } from '../helpers/table.ts';
import type { Machine } from './machine.ts';

export type Operation = (m: Machine, d: number, s: number, x: number) => void;

/** Writes a 32-bit result; the upper half becomes zero. */
function set32(m: Machine, d: number, value: number): void {
  m.i32[2 * d] = value;
  m.i32[2 * d + 1] = 0;
}

/** Writes a 32-bit value extended by its sign. */
function setSigned(m: Machine, d: number, value: number): void {
  m.i32[2 * d] = value;
  m.i32[2 * d + 1] = value >> 31;
}

function swap32(value: number): number {
  return ((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
}

// Stores into 64-bit typed arrays wrap modulo 2^64. Division by zero gives 0, modulo leaves the dividend.
const alu64 = {
  mov64: (m, d, s) => void (m.i64[d] = m.i64[s]!),
  add64: (m, d, s) => void (m.i64[d] = m.i64[d]! + m.i64[s]!),
  sub64: (m, d, s) => void (m.i64[d] = m.i64[d]! - m.i64[s]!),
  mul64: (m, d, s) => void (m.i64[d] = m.i64[d]! * m.i64[s]!),
  div64: (m, d, s) => void (m.u64[d] = m.u64[s] === 0n ? 0n : m.u64[d]! / m.u64[s]!),
  mod64: (m, d, s) => void (m.u64[s] !== 0n && (m.u64[d] = m.u64[d]! % m.u64[s]!)),
  sdiv64: (m, d, s) => void (m.i64[d] = m.i64[s] === 0n ? 0n : m.i64[d]! / m.i64[s]!),
  smod64: (m, d, s) => void (m.i64[s] !== 0n && (m.i64[d] = m.i64[d]! % m.i64[s]!)),
  or64: (m, d, s) => void (m.i64[d] = m.i64[d]! | m.i64[s]!),
  and64: (m, d, s) => void (m.i64[d] = m.i64[d]! & m.i64[s]!),
  xor64: (m, d, s) => void (m.i64[d] = m.i64[d]! ^ m.i64[s]!),
  lsh64: (m, d, s) => void (m.i64[d] = BigInt.asIntN(64, m.i64[d]! << (m.i64[s]! & 63n))),
  rsh64: (m, d, s) => void (m.u64[d] = m.u64[d]! >> (m.u64[s]! & 63n)),
  arsh64: (m, d, s) => void (m.i64[d] = m.i64[d]! >> (m.i64[s]! & 63n)),
  neg64: (m, d) => void (m.i64[d] = -m.i64[d]!),
} as const satisfies Record<string, Operation>;

const alu32 = {
  mov32: (m, d, s) => set32(m, d, m.i32[2 * s]!),
  add32: (m, d, s) => set32(m, d, m.i32[2 * d]! + m.i32[2 * s]!),
  sub32: (m, d, s) => set32(m, d, m.i32[2 * d]! - m.i32[2 * s]!),
  mul32: (m, d, s) => set32(m, d, Math.imul(m.i32[2 * d]!, m.i32[2 * s]!)),
  div32: (m, d, s) => set32(m, d, m.u32[2 * s] === 0 ? 0 : m.u32[2 * d]! / m.u32[2 * s]!),
  mod32: (m, d, s) => set32(m, d, m.u32[2 * s] === 0 ? m.u32[2 * d]! : m.u32[2 * d]! % m.u32[2 * s]!),
  sdiv32: (m, d, s) => set32(m, d, m.i32[2 * s] === 0 ? 0 : m.i32[2 * d]! / m.i32[2 * s]!),
  smod32: (m, d, s) => set32(m, d, m.i32[2 * s] === 0 ? m.i32[2 * d]! : m.i32[2 * d]! % m.i32[2 * s]!),
  or32: (m, d, s) => set32(m, d, m.i32[2 * d]! | m.i32[2 * s]!),
  and32: (m, d, s) => set32(m, d, m.i32[2 * d]! & m.i32[2 * s]!),
  xor32: (m, d, s) => set32(m, d, m.i32[2 * d]! ^ m.i32[2 * s]!),
  lsh32: (m, d, s) => set32(m, d, m.i32[2 * d]! << m.i32[2 * s]!),
  rsh32: (m, d, s) => set32(m, d, m.i32[2 * d]! >>> m.i32[2 * s]!),
  arsh32: (m, d, s) => set32(m, d, m.i32[2 * d]! >> m.i32[2 * s]!),
  neg32: (m, d) => set32(m, d, -m.i32[2 * d]!),
} as const satisfies Record<string, Operation>;

const moves = {
  movsx64From8: (m, d, s) => setSigned(m, d, (m.i32[2 * s]! << 24) >> 24),
  movsx64From16: (m, d, s) => setSigned(m, d, (m.i32[2 * s]! << 16) >> 16),
  movsx64From32: (m, d, s) => setSigned(m, d, m.i32[2 * s]!),
  movsx32From8: (m, d, s) => set32(m, d, (m.i32[2 * s]! << 24) >> 24),
  movsx32From16: (m, d, s) => set32(m, d, (m.i32[2 * s]! << 16) >> 16),
  /** A two-slot load; its second slot is passed over. */
  ldimm64: (m, d, s) => {
    m.i64[d] = m.i64[s]!;
    m.pc++;
  },
  /** Memory is little-endian: `le` truncates, `be` and `bswap` swap as well. */
  truncate16: (m, d) => set32(m, d, m.i32[2 * d]! & 0xffff),
  truncate32: (m, d) => set32(m, d, m.i32[2 * d]!),
  truncate64: () => {},
  swap16: (m, d) => set32(m, d, swap32(m.i32[2 * d]!) >>> 16),
  swap32: (m, d) => set32(m, d, swap32(m.i32[2 * d]!)),
  swap64: (m, d) => {
    const low = m.i32[2 * d]!;
    m.i32[2 * d] = swap32(m.i32[2 * d + 1]!);
    m.i32[2 * d + 1] = swap32(low);
  },
} as const satisfies Record<string, Operation>;

const loadsAndStores = {
  load1: (m, d, s, x) => set32(m, d, m.memory.view.getUint8(m.reach(s, x, 1))),
  load2: (m, d, s, x) => set32(m, d, m.memory.view.getUint16(m.reach(s, x, 2), true)),
  load4: (m, d, s, x) => set32(m, d, m.memory.view.getInt32(m.reach(s, x, 4), true)),
  load8: (m, d, s, x) => void (m.i64[d] = m.memory.view.getBigInt64(m.reach(s, x, 8), true)),
  loadSigned1: (m, d, s, x) => setSigned(m, d, m.memory.view.getInt8(m.reach(s, x, 1))),
  loadSigned2: (m, d, s, x) => setSigned(m, d, m.memory.view.getInt16(m.reach(s, x, 2), true)),
  loadSigned4: (m, d, s, x) => setSigned(m, d, m.memory.view.getInt32(m.reach(s, x, 4), true)),
  store1: (m, d, s, x) => m.memory.view.setInt8(m.reach(d, x, 1), m.i32[2 * s]!),
  store2: (m, d, s, x) => m.memory.view.setInt16(m.reach(d, x, 2), m.i32[2 * s]!, true),
  store4: (m, d, s, x) => m.memory.view.setInt32(m.reach(d, x, 4), m.i32[2 * s]!, true),
  store8: (m, d, s, x) => m.memory.view.setBigInt64(m.reach(d, x, 8), m.i64[s]!, true),
} as const satisfies Record<string, Operation>;

/** Read, modify, write. One thread runs programs, so nothing comes in between. */
const rmw32 =
  (next: (old: number, operand: number) => number): Operation =>
  (m, d, s, x) => {
    const at = m.reach(d, x, 4);
    const { view } = m.memory;
    view.setInt32(at, next(view.getInt32(at, true), m.i32[2 * s]!), true);
  };

const rmw64 =
  (next: (old: bigint, operand: bigint) => bigint): Operation =>
  (m, d, s, x) => {
    const at = m.reach(d, x, 8);
    const { view } = m.memory;
    view.setBigInt64(at, next(view.getBigInt64(at, true), m.i64[s]!), true);
  };

/** The same, with the old value coming back in `s`. */
const fetch32 =
  (next: (old: number, operand: number) => number): Operation =>
  (m, d, s, x) => {
    const at = m.reach(d, x, 4);
    const { view } = m.memory;
    const old = view.getInt32(at, true);
    view.setInt32(at, next(old, m.i32[2 * s]!), true);
    set32(m, s, old);
  };

const fetch64 =
  (next: (old: bigint, operand: bigint) => bigint): Operation =>
  (m, d, s, x) => {
    const at = m.reach(d, x, 8);
    const { view } = m.memory;
    const old = view.getBigInt64(at, true);
    view.setBigInt64(at, next(old, m.i64[s]!), true);
    m.i64[s] = old;
  };

const atomics = {
  atomicAdd4: rmw32((old, operand) => old + operand),
  atomicOr4: rmw32((old, operand) => old | operand),
  atomicAnd4: rmw32((old, operand) => old & operand),
  atomicXor4: rmw32((old, operand) => old ^ operand),
  atomicAdd8: rmw64((old, operand) => old + operand),
  atomicOr8: rmw64((old, operand) => old | operand),
  atomicAnd8: rmw64((old, operand) => old & operand),
  atomicXor8: rmw64((old, operand) => old ^ operand),
  fetchAdd4: fetch32((old, operand) => old + operand),
  fetchOr4: fetch32((old, operand) => old | operand),
  fetchAnd4: fetch32((old, operand) => old & operand),
  fetchXor4: fetch32((old, operand) => old ^ operand),
  fetchXchg4: fetch32((_old, operand) => operand),
  fetchAdd8: fetch64((old, operand) => old + operand),
  fetchOr8: fetch64((old, operand) => old | operand),
  fetchAnd8: fetch64((old, operand) => old & operand),
  fetchXor8: fetch64((old, operand) => old ^ operand),
  fetchXchg8: fetch64((_old, operand) => operand),
  /** Stores s where memory equals r0; r0 becomes the old value either way. */
  fetchCmpxchg4: (m, d, s, x) => {
    const at = m.reach(d, x, 4);
    const { view } = m.memory;
    const old = view.getInt32(at, true);
    if (old === m.i32[0]) view.setInt32(at, m.i32[2 * s]!, true);
    set32(m, 0, old);
  },
  fetchCmpxchg8: (m, d, s, x) => {
    const at = m.reach(d, x, 8);
    const { view } = m.memory;
    const old = view.getBigInt64(at, true);
    if (old === m.i64[0]) view.setBigInt64(at, m.i64[s]!, true);
    m.i64[0] = old;
  },
} as const satisfies Record<string, Operation>;

const jumps = {
  ja: (m, _d, _s, x) => void (m.pc = x),
  mayGoto: (m, _d, _s, x) => void (m.mayLoop() || (m.pc = x)),
  eq64: (m, d, s, x) => void (m.i64[d] === m.i64[s] && (m.pc = x)),
  ne64: (m, d, s, x) => void (m.i64[d] !== m.i64[s] && (m.pc = x)),
  gt64: (m, d, s, x) => void (m.u64[d]! > m.u64[s]! && (m.pc = x)),
  ge64: (m, d, s, x) => void (m.u64[d]! >= m.u64[s]! && (m.pc = x)),
  lt64: (m, d, s, x) => void (m.u64[d]! < m.u64[s]! && (m.pc = x)),
  le64: (m, d, s, x) => void (m.u64[d]! <= m.u64[s]! && (m.pc = x)),
  set64: (m, d, s, x) => void ((m.i64[d]! & m.i64[s]!) !== 0n && (m.pc = x)),
  sgt64: (m, d, s, x) => void (m.i64[d]! > m.i64[s]! && (m.pc = x)),
  sge64: (m, d, s, x) => void (m.i64[d]! >= m.i64[s]! && (m.pc = x)),
  slt64: (m, d, s, x) => void (m.i64[d]! < m.i64[s]! && (m.pc = x)),
  sle64: (m, d, s, x) => void (m.i64[d]! <= m.i64[s]! && (m.pc = x)),
  eq32: (m, d, s, x) => void (m.i32[2 * d] === m.i32[2 * s] && (m.pc = x)),
  ne32: (m, d, s, x) => void (m.i32[2 * d] !== m.i32[2 * s] && (m.pc = x)),
  gt32: (m, d, s, x) => void (m.u32[2 * d]! > m.u32[2 * s]! && (m.pc = x)),
  ge32: (m, d, s, x) => void (m.u32[2 * d]! >= m.u32[2 * s]! && (m.pc = x)),
  lt32: (m, d, s, x) => void (m.u32[2 * d]! < m.u32[2 * s]! && (m.pc = x)),
  le32: (m, d, s, x) => void (m.u32[2 * d]! <= m.u32[2 * s]! && (m.pc = x)),
  set32: (m, d, s, x) => void ((m.i32[2 * d]! & m.i32[2 * s]!) !== 0 && (m.pc = x)),
  sgt32: (m, d, s, x) => void (m.i32[2 * d]! > m.i32[2 * s]! && (m.pc = x)),
  sge32: (m, d, s, x) => void (m.i32[2 * d]! >= m.i32[2 * s]! && (m.pc = x)),
  slt32: (m, d, s, x) => void (m.i32[2 * d]! < m.i32[2 * s]! && (m.pc = x)),
  sle32: (m, d, s, x) => void (m.i32[2 * d]! <= m.i32[2 * s]! && (m.pc = x)),
} as const satisfies Record<string, Operation>;

/** A classic load: big-endian packet bytes into r0; beyond the packet the function returns 0. */
const classic =
  (size: 1 | 2 | 4): Operation =>
  (m, _d, s, x) => {
    const at = m.packetBytes((m.i32[2 * s]! + x) | 0, size);
    const { view } = m.memory;
    let value = 0;
    if (at !== 0)
      value = size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at) : view.getInt32(at);
    set32(m, 0, value);
    if (at === 0) m.exit();
  };

const flow = {
  call: (m, _d, _s, x) => m.call(x),
  helper: (m, _d, _s, x) => helperByCode[x]!(m),
  tailCall: (m) => m.tailCall(),
  exit: (m) => m.exit(),
  packet1: classic(1),
  packet2: classic(2),
  packet4: classic(4),
  /** Where no instruction is: the second slot of a load, dead code, or past the end. */
  nowhere: (m) => m.fault('control went where no instruction is'),
} as const satisfies Record<string, Operation>;

export const operations = {
  ...alu64,
  ...alu32,
  ...moves,
  ...loadsAndStores,
  ...atomics,
  ...jumps,
  ...flow,
} as const satisfies Record<string, Operation>;

export type OperationName = keyof typeof operations;
