/**
 * Whether a conditional jump between two scalars is decided by what is known of them
 * (is_scalar_branch_taken). What the operands are on either side of an undecided one is in refine.ts;
 * comparisons with pointers are the caller's business.
 */
import type { JmpCond } from '../../isa/insn.ts';
import {
  type RegFile,
  S32_MAX,
  S32_MIN,
  SMAX,
  SMIN,
  TNUM_MASK,
  TNUM_VALUE,
  U32_MAX,
  U32_MIN,
  UMAX,
  UMIN,
} from '../state/layout.ts';
import { isConst, isConst32, setConst } from './bounds.ts';
import { tnumOverlap, tnumSubreg } from './tnum.ts';
import { uq } from './width.ts';
import { A, B, T, T2, take, work } from './work.ts';

/** A comparison and its width; a `jmp` instruction is one. */
export interface Comparison {
  readonly cond: JmpCond;
  readonly bits: 32 | 64;
}

/** 1: the jump is always taken; 0: never; -1: not known. */
export type Taken = 1 | 0 | -1;

/** Whether `a cond b` is decided, for two scalars of `file`. */
export function branchTaken(file: RegFile, a: number, b: number, op: Comparison): Taken {
  take(file, a, A);
  take(file, b, B);
  return decide(op);
}

/** Whether `a cond imm` is decided, the immediate sign-extended to 64 bits. */
export function branchTakenImm(file: RegFile, a: number, imm: number, op: Comparison): Taken {
  take(file, a, A);
  setConst(work, B, BigInt(imm));
  return decide(op);
}

const { u64, u32, i32, i64 } = work;

function decide(op: Comparison): Taken {
  const word = op.bits === 32;
  switch (op.cond) {
    case 'eq':
      return equal(word);
    case 'ne':
      return opposite(equal(word));
    case 'set':
      return bitsSet(word);
    case 'gt':
      return word ? orderU32(2 * A, 2 * B) : orderU64(A, B);
    case 'lt':
      return word ? orderU32(2 * B, 2 * A) : orderU64(B, A);
    case 'le':
      return opposite(word ? orderU32(2 * A, 2 * B) : orderU64(A, B));
    case 'ge':
      return opposite(word ? orderU32(2 * B, 2 * A) : orderU64(B, A));
    case 'sgt':
      return word ? orderS32(2 * A, 2 * B) : orderS64(A, B);
    case 'slt':
      return word ? orderS32(2 * B, 2 * A) : orderS64(B, A);
    case 'sle':
      return opposite(word ? orderS32(2 * A, 2 * B) : orderS64(A, B));
    case 'sge':
      return opposite(word ? orderS32(2 * B, 2 * A) : orderS64(B, A));
  }
}

function opposite(taken: Taken): Taken {
  return taken === -1 ? -1 : taken === 0 ? 1 : 0;
}

/** Whether x > y: if its least is above y's greatest it is, if its greatest is at most y's least it is not. */
function orderU64(x: number, y: number): Taken {
  if (u64[x + UMIN]! > u64[y + UMAX]!) return 1;
  return u64[x + UMAX]! <= u64[y + UMIN]! ? 0 : -1;
}
function orderS64(x: number, y: number): Taken {
  if (i64[x + SMIN]! > i64[y + SMAX]!) return 1;
  return i64[x + SMAX]! <= i64[y + SMIN]! ? 0 : -1;
}
function orderU32(x: number, y: number): Taken {
  if (u32[x + U32_MIN]! > u32[y + U32_MAX]!) return 1;
  return u32[x + U32_MAX]! <= u32[y + U32_MIN]! ? 0 : -1;
}
function orderS32(x: number, y: number): Taken {
  if (i32[x + S32_MIN]! > i32[y + S32_MAX]!) return 1;
  return i32[x + S32_MAX]! <= i32[y + S32_MIN]! ? 0 : -1;
}

/** Both tnums, of the compared width, to T and T2. */
function takeTnums(word: boolean): void {
  u64[T] = u64[A + TNUM_VALUE]!;
  u64[T + 1] = u64[A + TNUM_MASK]!;
  u64[T2] = u64[B + TNUM_VALUE]!;
  u64[T2 + 1] = u64[B + TNUM_MASK]!;
  if (!word) return;
  tnumSubreg(u64, T);
  tnumSubreg(u64, T2);
}

function equal(word: boolean): Taken {
  takeTnums(word);
  if (u64[T + 1] === 0n && u64[T2 + 1] === 0n) return u64[T] === u64[T2] ? 1 : 0;
  if (!tnumOverlap(u64, T, T2)) return 0;
  if (!word && (apartU64() || apartS64())) return 0;
  return apartU32() || apartS32() ? 0 : -1;
}

function apartU64(): boolean {
  return u64[A + UMIN]! > u64[B + UMAX]! || u64[A + UMAX]! < u64[B + UMIN]!;
}
function apartS64(): boolean {
  return i64[A + SMIN]! > i64[B + SMAX]! || i64[A + SMAX]! < i64[B + SMIN]!;
}
function apartU32(): boolean {
  const a = 2 * A;
  const b = 2 * B;
  return u32[a + U32_MIN]! > u32[b + U32_MAX]! || u32[a + U32_MAX]! < u32[b + U32_MIN]!;
}
function apartS32(): boolean {
  const a = 2 * A;
  const b = 2 * B;
  return i32[a + S32_MIN]! > i32[b + S32_MAX]! || i32[a + S32_MAX]! < i32[b + S32_MIN]!;
}

/** `a & b != 0`, where one of them is known. */
function bitsSet(word: boolean): Taken {
  takeTnums(word);
  const known = word ? isConst32 : isConst;
  const bIsKnown = known(work, B);
  if (!bIsKnown && !known(work, A)) return -1;
  const other = bIsKnown ? T : T2;
  const bits = u64[bIsKnown ? T2 : T]!;
  if (uq(u64[other]! & bits) !== 0n) return 1;
  return uq(uq(u64[other]! | u64[other + 1]!) & bits) === 0n ? 0 : -1;
}
