/**
 * One BPF instruction as a discriminated union: what it means, with no encoding quirk left (RFC 9669 and
 * Linux's additions). Only `decode.ts` and `encode.ts` know opcodes, reserved fields and two-slot loads.
 * Jump and call offsets count 8-byte slots from the slot after the instruction, as in the encoding.
 */

/** r0 … r10; 10 is the frame pointer. */
export type Reg = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;

/** A register, or a 32-bit signed immediate (sign-extended to the width of the operation). */
export type Operand = { readonly reg: Reg } | { readonly imm: number };

export type AluOp =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'sdiv'
  | 'mod'
  | 'smod'
  | 'or'
  | 'and'
  | 'xor'
  | 'lsh'
  | 'rsh'
  | 'arsh'
  | 'mov';

export type JmpCond = 'eq' | 'ne' | 'gt' | 'ge' | 'lt' | 'le' | 'set' | 'sgt' | 'sge' | 'slt' | 'sle';

/** Access sizes in bytes. */
export type Size = 1 | 2 | 4 | 8;

export type AtomicOp = 'add' | 'or' | 'and' | 'xor' | 'xchg' | 'cmpxchg';

/**
 * What the 64-bit immediate of a two-slot load names (src field of the first slot):
 * 0 a number, 1 a map by fd, 2 a map's value by fd and offset, 3 a BTF id of a kernel variable, 4 a
 * subprogram by relative slot, 5 and 6 as 1 and 2 by index into `fd_array`.
 */
export const pseudoLoads = ['imm', 'mapFd', 'mapValue', 'btfId', 'func', 'mapIdx', 'mapIdxValue'] as const;
export type PseudoLoad = (typeof pseudoLoads)[number];

export type Insn =
  | {
      readonly op: 'alu';
      readonly alu: AluOp;
      readonly bits: 32 | 64;
      readonly dst: Reg;
      readonly src: Operand;
    }
  | { readonly op: 'neg'; readonly bits: 32 | 64; readonly dst: Reg }
  /** Sign-extending move of the low `from` bits. */
  | {
      readonly op: 'movsx';
      readonly bits: 32 | 64;
      readonly from: 8 | 16 | 32;
      readonly dst: Reg;
      readonly src: Reg;
    }
  | {
      readonly op: 'addrSpaceCast';
      readonly dst: Reg;
      readonly src: Reg;
      readonly to: number;
      readonly from: number;
    }
  /** `le`/`be`: convert to that order and truncate to `width`; `bswap`: swap unconditionally. */
  | {
      readonly op: 'swap';
      readonly kind: 'le' | 'be' | 'bswap';
      readonly width: 16 | 32 | 64;
      readonly dst: Reg;
    }
  | {
      readonly op: 'load';
      readonly size: Size;
      readonly signed: boolean;
      readonly dst: Reg;
      readonly src: Reg;
      readonly off: number;
    }
  /** *(size *)(dst + off) = src */
  | {
      readonly op: 'store';
      readonly size: Size;
      readonly dst: Reg;
      readonly off: number;
      readonly src: Operand;
    }
  | {
      readonly op: 'atomic';
      readonly atomic: AtomicOp;
      /** Whether the old value comes back in src (in r0 for cmpxchg); always true for xchg and cmpxchg. */
      readonly fetch: boolean;
      readonly size: 4 | 8;
      readonly dst: Reg;
      readonly off: number;
      readonly src: Reg;
    }
  | {
      readonly op: 'loadAcquire';
      readonly size: Size;
      readonly dst: Reg;
      readonly src: Reg;
      readonly off: number;
    }
  | {
      readonly op: 'storeRelease';
      readonly size: Size;
      readonly dst: Reg;
      readonly off: number;
      readonly src: Reg;
    }
  /**
   * Two slots. `lo` is the imm of the first slot, `hi` of the second, both signed 32-bit: a number is
   * hi:lo; a map value is fd `lo`, offset `hi`; a function is relative slot `lo`.
   */
  | {
      readonly op: 'ldimm64';
      readonly dst: Reg;
      readonly pseudo: PseudoLoad;
      readonly lo: number;
      readonly hi: number;
    }
  /** Classic packet loads into r0: absolute, or relative to `src` where it is given. */
  | { readonly op: 'ldPacket'; readonly size: 1 | 2 | 4; readonly src: Reg | undefined; readonly imm: number }
  /** `wide`: gotol, a 32-bit offset. */
  | { readonly op: 'ja'; readonly wide: boolean; readonly off: number }
  | { readonly op: 'mayGoto'; readonly off: number }
  | {
      readonly op: 'jmp';
      readonly cond: JmpCond;
      readonly bits: 32 | 64;
      readonly dst: Reg;
      readonly src: Operand;
      readonly off: number;
    }
  /** A helper by number (src field 0). */
  | { readonly op: 'call'; readonly kind: 'helper'; readonly imm: number }
  /** A subprogram at relative slot `imm`. */
  | { readonly op: 'call'; readonly kind: 'subprog'; readonly imm: number }
  /** A kernel function by BTF id; `off` 0 is vmlinux, else an index into `fd_array`. */
  | { readonly op: 'call'; readonly kind: 'kfunc'; readonly imm: number; readonly off: number }
  | { readonly op: 'exit' };

/** The fields of one slot, as encoded: `imm` and `off` signed. */
export interface RawInsn {
  readonly opcode: number;
  readonly dst: number;
  readonly src: number;
  readonly off: number;
  readonly imm: number;
}

/** A slot that holds no valid instruction: which field is wrong, and the whole slot for Linux's own message. */
export interface InvalidInsn {
  readonly op: 'invalid';
  readonly field: 'opcode' | 'dst' | 'src' | 'off' | 'imm' | 'length';
  readonly message: string;
  readonly raw: RawInsn;
  /** The immediate of the second slot, where a two-slot load is wrong in its first. */
  readonly hi?: number;
}

/**
 * A program by slot: the index is the slot that jump offsets count. The second slot of a two-slot load is
 * `undefined`.
 */
export type Slots = readonly (Insn | undefined)[];
/** As `Slots`, with invalid instructions left in place for the verifier to report in Linux's order. */
export type LenientSlots = readonly (Insn | InvalidInsn | undefined)[];
