/**
 * The layout of one abstract register in a state's buffer. A state is one ArrayBuffer, so that copying it
 * is copying bytes; a register is REG_BYTES of it, seen through four views of the same bytes:
 *
 *      qword 0 umin │ 1 umax │ 2 smin │ 3 smax │ 4 tnum value │ 5 tnum mask │ words 12 … 25
 *
 * `u64`/`i64` are indexed by qwords, `u32`/`i32` by words. A register is named by the index of its first
 * qword `r`; its first word is `2 * r`. The frame's registers come first, the spilled registers of its
 * stack slots after them (state.ts).
 */

export const REG_BYTES = 104;
export const REG_QWORDS = REG_BYTES / 8;
export const REG_WORDS = REG_BYTES / 4;

/** Qword offsets within a register. */
export const UMIN = 0;
export const UMAX = 1;
export const SMIN = 2;
export const SMAX = 3;
export const TNUM_VALUE = 4;
export const TNUM_MASK = 5;

/** Word offsets within a register (after the six qwords). */
export const U32_MIN = 12;
export const U32_MAX = 13;
export const S32_MIN = 14;
export const S32_MAX = 15;
/** A `RegType` (types.ts): base type and modifier flags. 0 is NOT_INIT. */
export const TYPE = 16;
/** Constant part of a pointer's offset, signed. */
export const OFF = 17;
/** Links copies of one value (scalars), of one null check or of one variable packet offset; 0 is none. */
export const ID = 18;
export const REF_OBJ_ID = 19;
export const FRAME_NO = 20;
/** 1 where the exact value matters to a later check (precision tracking). */
export const PRECISE = 21;
/** By type: packet range, map index, memory size, BTF type id, subprogram number. */
export const AUX0 = 22;
/** By type: map uid, BTF object index, dynptr or iterator details. */
export const AUX1 = 23;
export const SUBREG_DEF = 24;
/** In AUX1 of an iterator's slots: its progress in two bits, and above them how often it went round. */
export const iterProgress = { active: 1, drained: 2, mask: 3, depth: 4 } as const;
export const SPARE = 25;

/** A register file: the four views over one state's buffer. */
export interface RegFile {
  readonly u64: BigUint64Array;
  readonly i64: BigInt64Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
}

export function regFile(buffer: ArrayBuffer): RegFile {
  return {
    u64: new BigUint64Array(buffer),
    i64: new BigInt64Array(buffer),
    u32: new Uint32Array(buffer),
    i32: new Int32Array(buffer),
  };
}
