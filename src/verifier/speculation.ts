/**
 * What a loader without CAP_PERFMON may not do with pointers: move them out of their objects, even unused or
 * only in speculation (sanitize_ptr_alu, sanitize_check_bounds). Speculative paths are not explored: an error
 * on one is no reason for Linux to refuse a program.
 */
import type { Insn } from '../isa/index.ts';
import { isConst } from './domain/index.ts';
import type { Env } from './env.ts';
import { typeOf } from './regs.ts';
import { regAt } from './state/frame.ts';
import { AUX0, OFF, SMIN, TNUM_VALUE, UMAX } from './state/layout.ts';
import { regTypes } from './state/reg-types.ts';

export type AluInsn = Extract<Insn, { op: 'alu' }>;

/** Scratch registers of env.fake: the pointer that moves and what it moves by. */
export const POINTER = regAt(1);
export const OFFSET = regAt(2);

const FOR_ROOT = 'pointer arithmetic with it prohibited for !root';
const MAX_STACK_LIMIT = 512n;

/** What one addition does must be the same on every path, for it is masked in one way (sanitize_ptr_alu). */
export function samePath(env: Env, insn: AluInsn, what: string): void {
  const before = env.sanitized.get(env.insn);
  if (before === undefined) env.sanitized.set(env.insn, what);
  else if (before !== what) {
    env.reject(
      'EACCES',
      `R${insn.dst} tried to ${insn.alu} from different maps, paths or scalars, ${FOR_ROOT}`,
    );
  }
}

interface Offset {
  readonly reversed: boolean;
  readonly known: boolean;
  readonly smin: bigint;
  readonly smax: bigint;
}

/** A loader without CAP_PERFMON: pointers may not leave their objects in speculation either. */
export function checkSpeculation(env: Env, insn: AluInsn, offset: Offset): void {
  const src = 'reg' in insn.src ? insn.src.reg : insn.dst;
  const [scalarReg, pointerReg] = offset.reversed ? [insn.dst, src] : [src, insn.dst];
  if (!offset.known && offset.smin < 0n !== offset.smax < 0n) {
    env.reject('EACCES', `R${scalarReg} has unknown scalar with mixed signed bounds, ${FOR_ROOT}`);
  }
  const { fake } = env;
  const type = typeOf(fake, POINTER);
  const off = BigInt(fake.i32[2 * POINTER + OFF] as number);
  const negative = offset.smin < 0n;
  const left = (insn.alu === 'add') === negative;
  let max: bigint;
  let limit: bigint;
  if (type === regTypes.stack) {
    max = MAX_STACK_LIMIT + (left ? 1n : 0n);
    limit = -((fake.i64[POINTER + TNUM_VALUE] as bigint) + off);
  } else if (type === regTypes.mapValue) {
    max = BigInt(env.map(fake.i32[2 * POINTER + AUX0] as number).valueSize);
    limit = (left ? (fake.i64[POINTER + SMIN] as bigint) : (fake.u64[POINTER + UMAX] as bigint)) + off;
  } else {
    env.reject('EACCES', `R${pointerReg} has pointer with unsupported alu operation, ${FOR_ROOT}`);
    return;
  }
  if (limit >= max)
    env.reject('EACCES', `R${insn.dst} tried to ${insn.alu} beyond pointer bounds, ${FOR_ROOT}`);
  const amount = offset.known ? (offset.smin < 0n ? -offset.smin : offset.smin) : limit;
  samePath(env, insn, `${offset.reversed} ${negative} ${offset.known} ${amount}`);
}

/** A loader without CAP_PERFMON may not move pointers out of their objects, even unused (sanitize_check_bounds). */
export function checkUnprivileged(env: Env, reg: number): void {
  const frame = env.frame;
  const r = regAt(reg);
  const type = typeOf(frame, r);
  const off = BigInt(frame.i32[2 * r + OFF] as number);
  if (type === regTypes.stack) {
    const at = off + (frame.i64[r + TNUM_VALUE] as bigint);
    if (!isConst(frame, r)) {
      env.reject('EACCES', `R${reg} variable stack access prohibited for !root, var_off=unknown off=${off}`);
    }
    if (at < -512n || at >= 0n) {
      env.reject(
        'EACCES',
        `R${reg} stack pointer arithmetic goes out of range, prohibited for !root; off=${at}`,
      );
    }
  } else if (type === regTypes.mapValue) {
    const map = env.map(frame.i32[2 * r + AUX0] as number);
    const low = (frame.i64[r + SMIN] as bigint) + off;
    const high = (frame.u64[r + UMAX] as bigint) + off;
    if (low < 0n || high >= BigInt(map.valueSize)) {
      env.reject('EACCES', `R${reg} pointer arithmetic of map value goes out of range, prohibited for !root`);
    }
  }
}
