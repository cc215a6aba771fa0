/**
 * Loads, stores and atomics (RFC 9669 §5). The bounds of the WebAssembly memory are the sandbox: what is
 * within it is the verifier's business. One thread runs programs, so an atomic operation is plain reading,
 * modifying and writing.
 */
import type { Insn, Size } from '../../../isa/insn.ts';
import type { AccessOp, PlainOp } from '../wasm/index.ts';
import type { Known } from './alu.ts';
import type { Frame } from './frame.ts';

const loads: Record<Size, AccessOp> = {
  1: 'i64.load8_u',
  2: 'i64.load16_u',
  4: 'i64.load32_u',
  8: 'i64.load',
};
const signedLoads: Record<Size, AccessOp> = {
  1: 'i64.load8_s',
  2: 'i64.load16_s',
  4: 'i64.load32_s',
  8: 'i64.load',
};
/** Into 32 bits; of eight bytes, the lower four. */
const loads32: Record<Size, AccessOp> = {
  1: 'i32.load8_u',
  2: 'i32.load16_u',
  4: 'i32.load',
  8: 'i32.load',
};
const signedLoads32: Record<Size, AccessOp> = {
  1: 'i32.load8_s',
  2: 'i32.load16_s',
  4: 'i32.load',
  8: 'i32.load',
};
const stores32: Record<1 | 2 | 4, AccessOp> = { 1: 'i32.store8', 2: 'i32.store16', 4: 'i32.store' };
const stores: Record<Size, AccessOp> = {
  1: 'i64.store8',
  2: 'i64.store16',
  4: 'i64.store32',
  8: 'i64.store',
};
const combine = {
  add: 'i64.add',
  or: 'i64.or',
  and: 'i64.and',
  xor: 'i64.xor',
} as const satisfies Record<string, PlainOp>;

export function writeLoad(
  frame: Frame,
  insn: Extract<Insn, { op: 'load' | 'loadAcquire' }>,
  known: Known,
): void {
  const signed = insn.op === 'load' && insn.signed;
  const mask = 1 << insn.dst;
  const offset = frame.address(insn.src, insn.off);
  const fits = signed || insn.size === 8 ? (known.upper & ~known.zeroAfter & mask) === 0 : true;
  if (fits) {
    frame.code.access((signed ? signedLoads32 : loads32)[insn.size], offset);
    frame.set32(insn.dst);
  } else {
    frame.code.access((signed ? signedLoads : loads)[insn.size], offset);
    frame.set(insn.dst);
  }
}

export function writeStore(frame: Frame, insn: Extract<Insn, { op: 'store' | 'storeRelease' }>): void {
  const offset = frame.address(insn.dst, insn.off);
  const src = insn.op === 'storeRelease' ? { reg: insn.src } : insn.src;
  if (insn.size === 8) {
    if ('reg' in src) frame.get(src.reg);
    else frame.code.i64(src.imm);
  } else if ('reg' in src) {
    frame.get32(src.reg);
  } else {
    frame.code.i32(src.imm);
  }
  frame.code.access(insn.size === 8 ? 'i64.store' : stores32[insn.size], offset);
}

export function writeAtomic(frame: Frame, insn: Extract<Insn, { op: 'atomic' }>): void {
  const { code } = frame;
  const { atomic, fetch, size, dst, off, src } = insn;
  const at = frame.temporary('at', 'i32');
  const offset = frame.address(dst, off);
  code.set(at);
  const old = frame.temporary('old', 'i64');
  code.get(at);
  code.access(loads[size], offset);
  code.set(old);
  if (atomic === 'cmpxchg') {
    writeCompare(frame, size);
    code.if();
  }
  code.get(at);
  if (atomic === 'cmpxchg' || atomic === 'xchg') {
    frame.get(src);
  } else {
    code.get(old);
    frame.get(src);
    code.op(combine[atomic]);
  }
  code.access(stores[size], offset);
  if (atomic === 'cmpxchg') code.end();
  if (!fetch) return;
  code.get(old);
  frame.set(atomic === 'cmpxchg' ? 0 : src);
}

/** Whether r0, in this width, is the old value. */
function writeCompare(frame: Frame, size: 4 | 8): void {
  const { code } = frame;
  const old = frame.temporary('old', 'i64');
  if (size === 8) frame.get(0);
  else frame.get32(0);
  code.get(old);
  if (size === 4) code.op('i32.wrap_i64');
  code.op(size === 8 ? 'i64.eq' : 'i32.eq');
}
