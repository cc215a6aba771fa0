/**
 * Stack slots that need no memory: what a function only stores and loads there, whole and at fixed places, becomes
 * registers behind r10. Where the address of a place is given away, to a helper or a function, it stays in memory.
 *
 * Addresses of the stack are followed within a block, which is how compilers make them: `r2 = r10; r2 += -8; call`.
 * One that goes any other way keeps the whole frame in memory.
 */
import type { Insn, Reg, Size } from '../../../isa/insn.ts';
import { helperProtos } from '../../../uapi/helper-protos.ts';
import { helperName } from '../../../uapi/helpers.ts';
import { STACK_BYTES } from '../../run.ts';
import type { RunnableProgram } from '../../types.ts';
import { type CallPlan, mapHelpers, planAt } from './call-plan.ts';
import { written } from './effects.ts';
import type { BpfFunction } from './functions.ts';

const FRAME_POINTER = 10;
/** Registers are bits of a mask of 31. */
const FIRST_SLOT = 11;
const LAST_SLOT = 30;

/** Bytes of the frame, from `from` up to `to`; both count from the frame pointer and are negative, or 0. */
interface Range {
  readonly from: number;
  readonly to: number;
}

interface Access extends Range {
  readonly slot: number;
  /** The key of a lookup in an array is read by generated code. */
  readonly kind: 'load' | 'store' | 'key';
}

export interface StackSlots {
  /** What instructions become, by slot. */
  readonly insns: ReadonlyMap<number, Insn>;
  /** Registers that hold the keys of lookups, by slot of the call. */
  readonly keys: ReadonlyMap<number, number>;
  /** Mask of the registers that stand for slots. */
  readonly registers: number;
  /** What of the frame is still in memory. */
  readonly memory: readonly Range[];
}

/** What a function does with its frame; undefined where that cannot be followed. */
interface Uses {
  readonly accesses: Access[];
  /** Given to helpers. */
  readonly shared: Range[];
}

class Walk {
  readonly accesses: Access[] = [];
  readonly shared: Range[] = [];
  private readonly plans: ReadonlyMap<number, CallPlan>;
  /** Registers that hold the frame pointer plus a number, and that number. */
  private readonly offsets = new Map<number, number>();

  constructor(plans: ReadonlyMap<number, CallPlan>) {
    this.plans = plans;
  }

  startBlock(): void {
    this.offsets.clear();
    this.offsets.set(FRAME_POINTER, 0);
  }

  /** Whether nothing but r10 has an address of the frame. */
  endBlock(): boolean {
    return this.offsets.size === 1;
  }

  private access(at: number, size: number, rest: Pick<Access, 'slot' | 'kind'>): void {
    this.accesses.push({ from: at, to: at + size, ...rest });
  }

  private isOffset(operand: { readonly reg: number } | { readonly imm: number }): boolean {
    return 'reg' in operand && this.offsets.has(operand.reg);
  }

  /** False where an address goes where it cannot be followed. */
  step(insn: Insn, slot: number): boolean {
    const { offsets } = this;
    switch (insn.op) {
      case 'alu': {
        const own = offsets.get(insn.dst);
        const from = 'reg' in insn.src ? offsets.get(insn.src.reg) : undefined;
        if (insn.alu === 'mov' && from !== undefined) {
          if (insn.bits !== 64) return false;
          offsets.set(insn.dst, from);
          return true;
        }
        if (insn.alu !== 'mov' && own !== undefined) {
          if (insn.bits !== 64 || 'reg' in insn.src) return false;
          if (insn.alu !== 'add' && insn.alu !== 'sub') return false;
          offsets.set(insn.dst, insn.alu === 'add' ? own + insn.src.imm : own - insn.src.imm);
          return true;
        }
        if (from !== undefined) return false;
        break;
      }
      case 'neg':
      case 'swap':
        if (offsets.has(insn.dst)) return false;
        break;
      case 'movsx':
        if (offsets.has(insn.src)) return false;
        break;
      case 'load': {
        const base = offsets.get(insn.src);
        if (base !== undefined) this.access(base + insn.off, insn.size, { slot, kind: 'load' });
        break;
      }
      case 'store': {
        if (this.isOffset(insn.src)) return false;
        const base = offsets.get(insn.dst);
        if (base !== undefined) this.access(base + insn.off, insn.size, { slot, kind: 'store' });
        return true;
      }
      case 'atomic':
      case 'storeRelease': {
        if (offsets.has(insn.src)) return false;
        const base = offsets.get(insn.dst);
        if (base !== undefined) this.shared.push({ from: base + insn.off, to: base + insn.off + insn.size });
        break;
      }
      case 'loadAcquire': {
        const base = offsets.get(insn.src);
        if (base !== undefined) this.shared.push({ from: base + insn.off, to: base + insn.off + insn.size });
        break;
      }
      case 'jmp':
        return !offsets.has(insn.dst) && !this.isOffset(insn.src);
      case 'call':
        return this.call(insn, slot);
      case 'ldPacket':
        this.forgetArguments();
        return true;
      default:
        break;
    }
    const register = written(insn);
    if (register !== undefined) offsets.delete(register);
    return true;
  }

  private forgetArguments(): void {
    for (let register = 0; register <= 5; register++) this.offsets.delete(register);
  }

  private call(insn: Extract<Insn, { op: 'call' }>, slot: number): boolean {
    const given = [1, 2, 3, 4, 5].filter((register) => this.offsets.has(register));
    const followed = given.every(
      (register) => insn.kind === 'helper' && this.give(insn.imm, { register, slot }),
    );
    this.forgetArguments();
    return followed;
  }

  /** A helper gets an address in a register: what it may reach by it. */
  private give(helper: number, { register, slot }: { register: number; slot: number }): boolean {
    const at = this.offsets.get(register)!;
    const { map } = planAt(this.plans, slot);
    const what = mapHelpers.get(helper);
    if (map !== undefined && what !== undefined && what !== 'reserve') {
      const { keySize, valueSize } = map.map.def;
      if (register === 2 && what === 'lookup' && map.array !== undefined) {
        this.access(at, keySize, { slot, kind: 'key' });
        return true;
      }
      if (register === 2) this.shared.push({ from: at, to: at + keySize });
      if (register === 3 && what === 'update') this.shared.push({ from: at, to: at + valueSize });
      return true;
    }
    const name = helperName(helper);
    const proto = name === undefined ? undefined : helperProtos[name];
    if (proto === undefined || proto.args.includes('func')) return register > (proto?.args.length ?? 5);
    // It reaches no further down than where the address is.
    this.shared.push({ from: at, to: 0 });
    return true;
  }
}

function usesOf(
  insns: RunnableProgram['insns'],
  bpf: BpfFunction,
  plans: ReadonlyMap<number, CallPlan>,
): Uses | undefined {
  if (bpf.writesR10) return undefined;
  const walk = new Walk(plans);
  for (const { start, end } of bpf.blocks) {
    walk.startBlock();
    for (let slot = start; slot < end; slot++) {
      const insn = insns[slot];
      if (insn !== undefined && !walk.step(insn, slot)) return undefined;
    }
    if (!walk.endBlock()) return undefined;
  }
  return walk;
}

const touch = (a: Range, b: Range): boolean => a.from < b.to && b.from < a.to;

/** Accesses that overlap, in groups. */
function groupsOf(accesses: readonly Access[]): Access[][] {
  const sorted = [...accesses].sort((a, b) => a.from - b.from);
  const groups: Access[][] = [];
  let end = Number.NEGATIVE_INFINITY;
  for (const access of sorted) {
    if (access.from >= end) groups.push([]);
    groups.at(-1)!.push(access);
    end = Math.max(end, access.to);
  }
  return groups;
}

/** Whether a register can stand for a group: stores of one size, loads of that or less from the same place. */
function fitsRegister(group: readonly Access[], shared: readonly Range[]): boolean {
  const [first] = group as [Access];
  const size = Math.max(...group.map(({ from, to }) => to - from));
  if (size !== 4 && size !== 8) return false;
  return group.every((access) => {
    const bytes = access.to - access.from;
    const whole = bytes === size;
    const part = access.kind !== 'store' && (bytes === 4 || bytes === 8);
    return access.from === first.from && (whole || part) && !shared.some((range) => touch(range, access));
  });
}

/** What an access of a slot is, as a move from or to its register. */
function asMove(insn: Insn, { register: number, size }: { register: number; size: Size }): Insn {
  // No program names it: r11 and those behind it are this translation's own.
  const register = number as Reg;
  if (insn.op === 'store') {
    return { op: 'alu', alu: 'mov', bits: size === 8 ? 64 : 32, dst: register, src: insn.src };
  }
  if (insn.op !== 'load') return insn;
  if (insn.signed && insn.size === 4)
    return { op: 'movsx', bits: 64, from: 32, dst: insn.dst, src: register };
  return { op: 'alu', alu: 'mov', bits: insn.size === 8 ? 64 : 32, dst: insn.dst, src: { reg: register } };
}

const WHOLE: readonly Range[] = [{ from: -STACK_BYTES, to: 0 }];

/** Finds them for one function. */
export function findStackSlots(
  program: RunnableProgram,
  bpf: BpfFunction,
  plans: ReadonlyMap<number, CallPlan>,
): StackSlots {
  const found = { insns: new Map<number, Insn>(), keys: new Map<number, number>() };
  const uses = usesOf(program.insns, bpf, plans);
  if (uses === undefined) return { ...found, registers: 0, memory: WHOLE };
  const memory: Range[] = [...uses.shared];
  // What is used most comes first, where there are more than there are registers.
  const groups = groupsOf(uses.accesses).sort((a, b) => b.length - a.length);
  let register = FIRST_SLOT;
  let registers = 0;
  for (const group of groups) {
    if (register > LAST_SLOT || !fitsRegister(group, uses.shared)) {
      memory.push(...group);
      continue;
    }
    const size = Math.max(...group.map(({ from, to }) => to - from)) as Size;
    for (const { slot, kind } of group) {
      if (kind === 'key') found.keys.set(slot, register);
      else found.insns.set(slot, asMove(program.insns[slot]!, { register, size }));
    }
    registers |= 1 << register;
    register++;
  }
  return { ...found, registers, memory };
}
