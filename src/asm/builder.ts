/**
 * Programs written in TypeScript: one function an instruction, and `program`, which puts them in their slots
 * and fills labels in.
 *
 *     program(
 *       load(r2, u8(r1, 14)),
 *       jne(r2, 0x45, 'out'),
 *       call('ktime_get_ns'),
 *       label('out'),
 *       mov(r0, 2),
 *       exit(),
 *     )
 *
 * A place in memory is written as its type applied to register and offset: `u32(r10, -4)` is assembly's
 * `*(u32 *)(r10 - 4)`. A jump's target is a label, or an offset from the next slot.
 */
import { SkepError } from '../base/index.ts';
import {
  type AluOp,
  type AtomicOp,
  encode,
  type Insn,
  type JmpCond,
  type Operand,
  type PseudoLoad,
  type Reg,
  type Size,
  type Slots,
} from '../isa/index.ts';
import { type HelperName, helpers } from '../uapi/index.ts';
import { withTarget } from './targets.ts';

export interface Register {
  readonly reg: Reg;
}

/** A typed place in memory. */
export interface Place<S extends Size = Size, Signed extends boolean = boolean> {
  readonly size: S;
  readonly signed: Signed;
  readonly base: Reg;
  readonly off: number;
}

/** An instruction that waits for its label's slot. */
export interface Unresolved {
  readonly insn: Insn;
  readonly to: string;
}

export interface Label {
  readonly label: string;
}

/** What a program is made of. */
export type Line = Insn | Unresolved | Label;

/** A label's name, or an offset in slots from the next one. */
export type Target = string | number;

export const r0: Register = { reg: 0 };
export const r1: Register = { reg: 1 };
export const r2: Register = { reg: 2 };
export const r3: Register = { reg: 3 };
export const r4: Register = { reg: 4 };
export const r5: Register = { reg: 5 };
export const r6: Register = { reg: 6 };
export const r7: Register = { reg: 7 };
export const r8: Register = { reg: 8 };
export const r9: Register = { reg: 9 };
/** The frame pointer. */
export const r10: Register = { reg: 10 };

function place<S extends Size, Signed extends boolean>(size: S, signed: Signed) {
  return (base: Register, off = 0): Place<S, Signed> => ({ size, signed, base: base.reg, off });
}
export const u8 = place(1, false);
export const u16 = place(2, false);
export const u32 = place(4, false);
export const u64 = place(8, false);
export const s8 = place(1, true);
export const s16 = place(2, true);
export const s32 = place(4, true);

/** Where only 32 bits count, 0xffffffff is as good as -1. */
function operand(src: Register | number, bits: 32 | 64): Operand {
  if (typeof src !== 'number') return { reg: src.reg };
  return { imm: bits === 32 && src > 0x7fffffff && src <= 0xffffffff ? src | 0 : src };
}

function alu(op: AluOp, bits: 32 | 64) {
  return (dst: Register, src: Register | number): Insn => ({
    op: 'alu',
    alu: op,
    bits,
    dst: dst.reg,
    src: operand(src, bits),
  });
}
export const mov = alu('mov', 64);
export const add = alu('add', 64);
export const sub = alu('sub', 64);
export const mul = alu('mul', 64);
export const div = alu('div', 64);
export const sdiv = alu('sdiv', 64);
export const mod = alu('mod', 64);
export const smod = alu('smod', 64);
export const or = alu('or', 64);
export const and = alu('and', 64);
export const xor = alu('xor', 64);
export const lsh = alu('lsh', 64);
export const rsh = alu('rsh', 64);
export const arsh = alu('arsh', 64);
export const mov32 = alu('mov', 32);
export const add32 = alu('add', 32);
export const sub32 = alu('sub', 32);
export const mul32 = alu('mul', 32);
export const div32 = alu('div', 32);
export const sdiv32 = alu('sdiv', 32);
export const mod32 = alu('mod', 32);
export const smod32 = alu('smod', 32);
export const or32 = alu('or', 32);
export const and32 = alu('and', 32);
export const xor32 = alu('xor', 32);
export const lsh32 = alu('lsh', 32);
export const rsh32 = alu('rsh', 32);
export const arsh32 = alu('arsh', 32);

export const neg = (dst: Register): Insn => ({ op: 'neg', bits: 64, dst: dst.reg });
export const neg32 = (dst: Register): Insn => ({ op: 'neg', bits: 32, dst: dst.reg });

/** Moves the low `from` bits, sign-extended to 64. */
export const movsx = (dst: Register, src: Register, from: 8 | 16 | 32): Insn => ({
  op: 'movsx',
  bits: 64,
  from,
  dst: dst.reg,
  src: src.reg,
});
/** Moves the low `from` bits, sign-extended to 32; the upper half becomes zero. */
export const movsx32 = (dst: Register, src: Register, from: 8 | 16): Insn => ({
  op: 'movsx',
  bits: 32,
  from,
  dst: dst.reg,
  src: src.reg,
});

function swap(kind: 'le' | 'be' | 'bswap') {
  return (dst: Register, width: 16 | 32 | 64): Insn => ({ op: 'swap', kind, width, dst: dst.reg });
}
export const le = swap('le');
export const be = swap('be');
export const bswap = swap('bswap');

/** Linux's `addr_space_cast`: from an arena's pointer to the kernel's or back. */
export const addrSpaceCast = (dst: Register, src: Register, spaces: { to: number; from: number }): Insn => ({
  op: 'addrSpaceCast',
  dst: dst.reg,
  src: src.reg,
  ...spaces,
});

export const load = (dst: Register, from: Place): Insn => ({
  op: 'load',
  size: from.size,
  signed: from.signed,
  dst: dst.reg,
  src: from.base,
  off: from.off,
});

export const store = (to: Place<Size, false>, src: Register | number): Insn => ({
  op: 'store',
  size: to.size,
  dst: to.base,
  off: to.off,
  src: operand(src, to.size === 8 ? 64 : 32),
});

function atomic(op: AtomicOp, fetch: boolean) {
  return (at: Place<4 | 8, false>, src: Register): Insn => ({
    op: 'atomic',
    atomic: op,
    fetch,
    size: at.size,
    dst: at.base,
    off: at.off,
    src: src.reg,
  });
}
export const atomicAdd = atomic('add', false);
export const atomicOr = atomic('or', false);
export const atomicAnd = atomic('and', false);
export const atomicXor = atomic('xor', false);
export const fetchAdd = atomic('add', true);
export const fetchOr = atomic('or', true);
export const fetchAnd = atomic('and', true);
export const fetchXor = atomic('xor', true);
export const xchg = atomic('xchg', true);
/** Where r0 is what the place holds, puts `src` there; the old value comes back in r0. */
export const cmpxchg = atomic('cmpxchg', true);

export const loadAcquire = (dst: Register, from: Place<Size, false>): Insn => ({
  op: 'loadAcquire',
  size: from.size,
  dst: dst.reg,
  src: from.base,
  off: from.off,
});
export const storeRelease = (to: Place<Size, false>, src: Register): Insn => ({
  op: 'storeRelease',
  size: to.size,
  dst: to.base,
  off: to.off,
  src: src.reg,
});

function aimed(insn: Insn, to: Target): Insn | Unresolved {
  return typeof to === 'string' ? { insn, to } : withTarget(insn, to);
}

function jmp(cond: JmpCond, bits: 32 | 64) {
  return (dst: Register, src: Register | number, to: Target): Insn | Unresolved =>
    aimed({ op: 'jmp', cond, bits, dst: dst.reg, src: operand(src, bits), off: 0 }, to);
}
export const jeq = jmp('eq', 64);
export const jne = jmp('ne', 64);
export const jgt = jmp('gt', 64);
export const jge = jmp('ge', 64);
export const jlt = jmp('lt', 64);
export const jle = jmp('le', 64);
export const jset = jmp('set', 64);
export const jsgt = jmp('sgt', 64);
export const jsge = jmp('sge', 64);
export const jslt = jmp('slt', 64);
export const jsle = jmp('sle', 64);
export const jeq32 = jmp('eq', 32);
export const jne32 = jmp('ne', 32);
export const jgt32 = jmp('gt', 32);
export const jge32 = jmp('ge', 32);
export const jlt32 = jmp('lt', 32);
export const jle32 = jmp('le', 32);
export const jset32 = jmp('set', 32);
export const jsgt32 = jmp('sgt', 32);
export const jsge32 = jmp('sge', 32);
export const jslt32 = jmp('slt', 32);
export const jsle32 = jmp('sle', 32);

export const ja = (to: Target): Insn | Unresolved => aimed({ op: 'ja', wide: false, off: 0 }, to);
/** `ja` with a 32-bit offset. */
export const gotol = (to: Target): Insn | Unresolved => aimed({ op: 'ja', wide: true, off: 0 }, to);
/** Jumps when the program has run long enough. */
export const mayGoto = (to: Target): Insn | Unresolved => aimed({ op: 'mayGoto', off: 0 }, to);

/** A helper by name (without `bpf_`) or number. */
export const call = (helper: HelperName | number): Insn => ({
  op: 'call',
  kind: 'helper',
  imm: typeof helper === 'number' ? helper : helpers[helper].id,
});
/** A function of this program. */
export const callSubprog = (to: Target): Insn | Unresolved =>
  aimed({ op: 'call', kind: 'subprog', imm: 0 }, to);
/** A kernel function by BTF id, in vmlinux or in the module at `fdIndex` of `fd_array`. */
export const callKfunc = (btfId: number, fdIndex = 0): Insn => ({
  op: 'call',
  kind: 'kfunc',
  imm: btfId,
  off: fdIndex,
});
export const exit = (): Insn => ({ op: 'exit' });

function wide(pseudo: PseudoLoad, dst: Register, halves: { lo: number; hi?: number }): Insn {
  return { op: 'ldimm64', dst: dst.reg, pseudo, lo: halves.lo, hi: halves.hi ?? 0 };
}
/** A 64-bit number, signed or unsigned; two slots, as are all loads below. */
export const ldImm64 = (dst: Register, value: bigint | number): Insn => {
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    throw badProgram(`${value} is no exact integer`);
  const bits = BigInt(value);
  if (bits < -(2n ** 63n) || bits >= 2n ** 64n) throw badProgram(`${value} does not fit 64 bits`);
  return wide('imm', dst, {
    lo: Number(BigInt.asIntN(32, bits)),
    hi: Number(BigInt.asIntN(32, bits >> 32n)),
  });
};
export const ldMapFd = (dst: Register, fd: number): Insn => wide('mapFd', dst, { lo: fd });
/** The address of byte `off` of the first value of an array map. */
export const ldMapValue = (dst: Register, fd: number, off = 0): Insn =>
  wide('mapValue', dst, { lo: fd, hi: off });
/** A map by its index in `fd_array`. */
export const ldMapIdx = (dst: Register, index: number): Insn => wide('mapIdx', dst, { lo: index });
export const ldMapIdxValue = (dst: Register, index: number, off = 0): Insn =>
  wide('mapIdxValue', dst, { lo: index, hi: off });
/** The address of a kernel variable by BTF id. */
export const ldBtfId = (dst: Register, btfId: number): Insn => wide('btfId', dst, { lo: btfId });
/** The address of a function of this program, for a callback. */
export const ldFunc = (dst: Register, to: Target): Insn | Unresolved =>
  aimed(wide('func', dst, { lo: 0 }), to);

/** Classic BPF's load from the packet into r0, in network order: at `off`, beyond `index` where given. */
export const ldPacket = (size: 1 | 2 | 4, off: number, index?: Register): Insn => ({
  op: 'ldPacket',
  size,
  src: index?.reg,
  imm: off,
});

/** A name for the next instruction. */
export const label = (name: string): Label => ({ label: name });

function badProgram(message: string, where?: string): SkepError {
  return new SkepError({ code: 'program', message, where });
}

function resolve(slot: number, { insn, to }: Unresolved, labels: ReadonlyMap<string, number>): Insn {
  const at = labels.get(to);
  if (at === undefined) throw badProgram(`there is no label "${to}"`, `instruction ${slot}`);
  return withTarget(insn, at - (slot + 1));
}

/**
 * The instructions by slot, labels filled in.
 * @throws SkepError for a label that is missing or there twice (code 'program'), or a value that its field
 * cannot hold (code 'insn-invalid').
 */
export function program(...lines: readonly Line[]): Slots {
  const slots: (Insn | undefined)[] = [];
  const labels = new Map<string, number>();
  const unresolved = new Map<number, Unresolved>();
  for (const line of lines) {
    if ('label' in line) {
      if (labels.has(line.label)) throw badProgram(`label "${line.label}" is there twice`);
      labels.set(line.label, slots.length);
      continue;
    }
    if ('to' in line && 'insn' in line) unresolved.set(slots.length, line);
    const insn = 'insn' in line ? line.insn : line;
    slots.push(insn);
    if (insn.op === 'ldimm64') slots.push(undefined);
  }
  for (const [slot, line] of unresolved) slots[slot] = resolve(slot, line, labels);
  encode(slots);
  return slots;
}
