/**
 * Memory passed to helpers and kernel functions: that it is there, of a size that is known or bounded, and may be
 * read or written (check_helper_mem_access, check_mem_size_reg, check_func_arg_reg_off).
 */
import { checkUnmoved } from './alignment.ts';
import { isConst } from './domain/index.ts';
import { type Env, Rejection } from './env.ts';
import { accessMemory, checkMapKey, checkMapValue, checkMem, checkPacket, type MemoryUse } from './memory.ts';
import { markNotNull } from './null.ts';
import { markPrecise } from './precision.ts';
import { copyReg, isNull, typeOf, word } from './regs.ts';
import { checkStackRange } from './stack.ts';
import { Frame, regAt } from './state/frame.ts';
import { OFF, SMIN, UMAX, UMIN } from './state/layout.ts';
import { baseType, mayBeNull, regTypeName, regTypes, typeFlags } from './state/reg-types.ts';

const MAX_SIZE = 1n << 29n;

/** Stack memory that a call fills: it is overwritten once all arguments are checked. */
export interface RawMemory {
  /** Whether the memory at hand is written whole, so that what is there before does not matter. */
  raw: boolean;
  rawReg: number;
  rawSize: number;
}

export interface HelperUse {
  readonly reg: number;
  readonly size: number;
  readonly write: boolean;
  readonly zeroOk: boolean;
}

/** check_helper_mem_access */
export function checkHelperMemory(env: Env, use: HelperUse, facts: RawMemory): void {
  const { reg, size, write, zeroOk } = use;
  const r = regAt(reg);
  const frame = env.frame;
  const type = typeOf(frame, r);
  const full: MemoryUse = { reg, off: 0, size, write, zeroOk, byHelper: true };
  switch (baseType(type)) {
    case regTypes.packet:
    case regTypes.packetMeta:
      checkPacket(env, full);
      return;
    case regTypes.mapKey:
      checkMapKey(env, full);
      return;
    case regTypes.mapValue:
      checkMapValue(env, full);
      return;
    case regTypes.mem:
      checkMem(env, full);
      return;
    case regTypes.buf:
      accessMemory(env, { reg, off: 0, size, write, value: -1 });
      return;
    case regTypes.btfId:
      accessMemory(env, { reg, off: 0, size, write: false, value: -1 });
      return;
    case regTypes.stack: {
      if (size === 0 && !zeroOk) env.reject('EACCES', 'invalid zero-sized read');
      const raw = checkStackRange(env, { reg, off: word(frame, r, OFF), size, write, raw: facts.raw });
      if (!raw) return;
      facts.rawReg = reg;
      facts.rawSize = size;
      return;
    }
    case regTypes.ctx:
      if (mayPassContext(env)) {
        if (size > 0) accessMemory(env, { reg, off: size - 1, size: 1, write, value: -1 });
        else if (!zeroOk) env.fail('EACCES');
        return;
      }
      break;
    default:
      break;
  }
  if (zeroOk && size === 0 && isNull(frame, r)) return;
  env.reject('EACCES', `R${reg} type=${regTypeName(type)} expected=${regTypeName(regTypes.stack)}`);
}

/** Program types whose context is the memory that it seems to be (those without convert_ctx_access). */
const plainContexts: ReadonlySet<string> = new Set([
  'kprobe',
  'tracepoint',
  'raw_tracepoint',
  'raw_tracepoint_writable',
  'tracing',
  'struct_ops',
  'lsm',
  'syscall',
]);

function mayPassContext(env: Env): boolean {
  return env.progType !== undefined && plainContexts.has(env.progType);
}

/** A size in a register, of the memory in the one before (check_mem_size_reg). Yields the largest. */
export function checkSize(
  env: Env,
  size: { readonly reg: number; readonly write: boolean; readonly zeroOk: boolean },
  facts: RawMemory,
): void {
  const { reg } = size;
  const frame = env.frame;
  const r = regAt(reg);
  const umax = frame.u64[r + UMAX] as bigint;
  const umin = frame.u64[r + UMIN] as bigint;
  const raw = facts.raw && isConst(frame, r);
  if ((frame.i64[r + SMIN] as bigint) < 0n) {
    env.reject('EACCES', `R${reg} min value is negative, either use unsigned or 'var &= const'`);
  }
  if (umin === 0n && !size.zeroOk) {
    env.reject('EACCES', `R${reg} invalid zero-sized read: u64=[${umin},${umax}]`);
  }
  if (umax >= MAX_SIZE) {
    env.reject('EACCES', `R${reg} unbounded memory access, use 'var &= const' or 'if (var < const)'`);
  }
  facts.raw = raw;
  checkHelperMemory(env, { reg: reg - 1, size: Number(umax), write: size.write, zeroOk: size.zeroOk }, facts);
  markPrecise(env, reg);
}

const nothingRaw = (): RawMemory => ({ raw: false, rawReg: -1, rawSize: 0 });

/** Run `check` as if the pointer in `reg` had been found not to be NULL. */
function asNotNull(env: Env, reg: number, check: () => void): void {
  const r = regAt(reg);
  if (!mayBeNull(typeOf(env.frame, r))) {
    check();
    return;
  }
  const frame = env.frame;
  const saved = new Frame(0);
  copyReg({ file: saved, r: 0 }, frame, r);
  markNotNull(env, frame, r);
  check();
  copyReg({ file: frame, r }, saved, 0);
}

/** Memory of a known size that is read and written; NULL is fine (check_mem_reg). */
export function checkMemory(env: Env, use: { readonly reg: number; readonly size: number }): void {
  const { reg, size } = use;
  if (isNull(env.frame, regAt(reg))) return;
  asNotNull(env, reg, () => {
    for (const write of [false, true])
      checkHelperMemory(env, { reg, size, write, zeroOk: true }, nothingRaw());
  });
}

/** Memory in `reg` and its size in the next register (check_kfunc_mem_size_reg); `onFailure` adds to the log. */
export function checkSizedMemory(env: Env, reg: number, onFailure: () => void): void {
  try {
    asNotNull(env, reg, () => {
      for (const write of [false, true]) checkSize(env, { reg: reg + 1, write, zeroOk: true }, nothingRaw());
    });
  } catch (error) {
    if (error instanceof Rejection) onFailure();
    throw error;
  }
}

const anyOffset: ReadonlySet<number> = new Set([
  regTypes.stack,
  regTypes.packet,
  regTypes.packetMeta,
  regTypes.mapKey,
  regTypes.mapValue,
  regTypes.mem,
  regTypes.mem | typeFlags.rdonly,
  regTypes.mem | typeFlags.ringbuf,
  regTypes.buf,
  regTypes.buf | typeFlags.rdonly,
  regTypes.arena,
  regTypes.scalar,
]);
const fixedOffset: ReadonlySet<number> = new Set([
  regTypes.btfId,
  regTypes.btfId | typeFlags.alloc,
  regTypes.btfId | typeFlags.trusted,
  regTypes.btfId | typeFlags.rcu,
  regTypes.btfId | typeFlags.alloc | typeFlags.nonOwnRef,
  regTypes.btfId | typeFlags.alloc | typeFlags.nonOwnRef | typeFlags.rcu,
]);

export interface OffsetCheck {
  readonly reg: number;
  readonly release: boolean;
  readonly kind: 'dynptr' | 'other';
}

/** How far an argument may have moved (check_func_arg_reg_off). */
export function checkOffset(env: Env, arg: OffsetCheck): void {
  const { reg } = arg;
  const file = env.frame;
  const type = typeOf(file, regAt(reg));
  if (arg.release) {
    if (arg.kind === 'dynptr' && type === regTypes.stack) return;
    if (word(file, regAt(reg), OFF) !== 0) {
      env.reject(
        'EINVAL',
        `R${reg} must have zero offset when passed to release func or trusted arg to kfunc`,
      );
    }
    checkUnmoved(env, reg);
    return;
  }
  if (anyOffset.has(type)) return;
  checkUnmoved(env, reg, fixedOffset.has(type));
}
