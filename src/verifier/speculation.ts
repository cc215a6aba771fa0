/**
 * What a loader without CAP_PERFMON may not do with pointers: move them out of their objects, even unused or
 * only in speculation (sanitize_ptr_alu, sanitize_check_bounds).
 */
import type { Insn } from '../isa/index.ts';
import { isConst } from './domain/index.ts';
import { type Env, Rejection } from './env.ts';
import { tnumText } from './log/index.ts';
import { checkMapRange } from './memory.ts';
import { typeOf } from './regs.ts';
import { regAt } from './state/frame.ts';
import { AUX0, OFF, type RegFile, SMIN, TNUM_VALUE, UMAX } from './state/layout.ts';
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

/** How far a pointer was from the end that it moves towards, and what its masking depends on besides. */
export interface Window {
  readonly left: boolean;
  readonly limit: bigint;
  readonly what: string;
}

/** How many bytes a pointer to the stack or a map's value has used up in a direction (retrieve_ptr_limit). */
function usedUp(file: RegFile, r: number, left: boolean): bigint {
  const off = BigInt(file.i32[2 * r + OFF] as number);
  if (typeOf(file, r) === regTypes.stack) return -((file.i64[r + TNUM_VALUE] as bigint) + off);
  return (left ? (file.i64[r + SMIN] as bigint) : (file.u64[r + UMAX] as bigint)) + off;
}

/** A loader without CAP_PERFMON: pointers may not leave their objects in speculation either. */
export function checkSpeculation(env: Env, insn: AluInsn, offset: Offset): Window | undefined {
  const src = 'reg' in insn.src ? insn.src.reg : insn.dst;
  const [scalarReg, pointerReg] = offset.reversed ? [insn.dst, src] : [src, insn.dst];
  if (!offset.known && offset.smin < 0n !== offset.smax < 0n) {
    env.reject('EACCES', `R${scalarReg} has unknown scalar with mixed signed bounds, ${FOR_ROOT}`);
  }
  const { fake } = env;
  const type = typeOf(fake, POINTER);
  const negative = offset.smin < 0n;
  const left = (insn.alu === 'add') === negative;
  let max: bigint;
  if (type === regTypes.stack) {
    max = MAX_STACK_LIMIT + (left ? 1n : 0n);
  } else if (type === regTypes.mapValue) {
    max = BigInt(env.map(fake.i32[2 * POINTER + AUX0] as number).valueSize);
  } else {
    env.reject('EACCES', `R${pointerReg} has pointer with unsupported alu operation, ${FOR_ROOT}`);
    return undefined;
  }
  const limit = usedUp(fake, POINTER, left);
  if (limit >= max)
    env.reject('EACCES', `R${insn.dst} tried to ${insn.alu} beyond pointer bounds, ${FOR_ROOT}`);
  if (!offset.known) env.exploreAluLimits = true;
  return { left, limit, what: `${offset.reversed} ${negative} ${offset.known}` };
}

/** The pointer has moved: what it can move by is what the addition is masked with, the same on every path. */
export function commitSpeculation(env: Env, insn: AluInsn, { left, limit, what }: Window): void {
  const moved = usedUp(env.frame, regAt(insn.dst), left) - limit;
  samePath(env, insn, `${what} ${moved < 0n ? -moved : moved}`);
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
      env.reject(
        'EACCES',
        `R${reg} variable stack access prohibited for !root, var_off=${tnumText(frame, r)} off=${at}`,
      );
    }
    if (at < -512n || at >= 0n) {
      env.reject(
        'EACCES',
        `R${reg} stack pointer arithmetic goes out of range, prohibited for !root; off=${at}`,
      );
    }
  } else if (type === regTypes.mapValue) {
    try {
      checkMapRange(env, { reg, off: 0, size: 1, zeroOk: false, byHelper: true });
    } catch (error) {
      if (!(error instanceof Rejection)) throw error;
      env.reject('EACCES', `R${reg} pointer arithmetic of map value goes out of range, prohibited for !root`);
    }
  }
}
