/**
 * What a function needs of its registers: which are read later, whether also their upper halves are, and which are
 * known to have zeros there. So a register can be a 32-bit local where nothing is lost: addresses, results of 32-bit
 * operations, and 64-bit ones of which only the lower half is ever looked at. Registers are bits of masks, r0 the
 * lowest; those behind r10 stand for stack slots (stack-slots.ts).
 */
import type { Insn } from '../../../isa/insn.ts';
import type { BpfFunction } from './functions.ts';

/** r0 … r5, which a call leaves undefined but for r0. */
const CALLER_SAVED = 0x3f;

/** What a call reads: registers, and those of them whose upper half matters. */
export interface CallUse {
  readonly low: number;
  readonly upper: number;
  /** Whether the result's upper half is known to be zero. */
  readonly zeroResult: boolean;
}

export interface RegisterInput {
  insnAt(slot: number): Insn | undefined;
  readonly bpf: BpfFunction;
  /** What the call at a slot reads. */
  callUse(slot: number): CallUse;
  /** Registers that hold addresses before the instruction at a slot, which have 32 bits here; or none known. */
  readonly pointers: Uint16Array | undefined;
  /** Conditional jumps that go one way: their condition is not looked at. */
  decided(slot: number): boolean;
  /** Registers whose upper half is zero on entry. */
  readonly zeroAtEntry: number;
}

export interface Registers {
  /** By block, at its start: registers that are read later, with their upper half, and those where that is zero. */
  readonly live: Int32Array;
  readonly upper: Int32Array;
  readonly zero: Int32Array;
}

const bit = (register: number): number => 1 << register;

/** What is live at a point; changed in place. */
export interface Live {
  /** Registers that are read later. */
  low: number;
  /** Those of which the upper half is. */
  upper: number;
}

/** Takes `dst` out, then puts in `more` registers, and `halves` with their upper half. */
function reads(now: Live, dst: number, more: number, halves: number): Live {
  now.low = (now.low & ~dst) | more | halves;
  now.upper = (now.upper & ~dst) | halves;
  return now;
}

/** Goes back over an instruction, from what is live after it to what is live before. */
export function stepBack(input: RegisterInput, slot: number, now: Live): Live {
  const insn = input.insnAt(slot)!;
  const { low, upper } = now;
  switch (insn.op) {
    case 'alu': {
      const dst = bit(insn.dst);
      const src = 'reg' in insn.src ? bit(insn.src.reg) : 0;
      const used = insn.alu === 'mov' ? src : src | dst;
      if ((low & dst) === 0) return reads(now, dst, 0, 0);
      if (insn.bits === 32) return reads(now, dst, used, 0);
      return reads(now, dst, used, aluHalves(insn, { dst, used, needed: (upper & dst) !== 0 }));
    }
    case 'neg': {
      const dst = bit(insn.dst);
      if ((low & dst) === 0) return reads(now, dst, 0, 0);
      return reads(now, dst, dst, insn.bits === 64 && (upper & dst) !== 0 ? dst : 0);
    }
    case 'movsx': {
      const dst = bit(insn.dst);
      return reads(now, dst, (low & dst) === 0 ? 0 : bit(insn.src), 0);
    }
    case 'swap': {
      const dst = bit(insn.dst);
      if (insn.width === 64 && insn.kind === 'le') return now;
      if ((low & dst) === 0) return reads(now, dst, 0, 0);
      return reads(now, dst, dst, insn.width === 64 ? dst : 0);
    }
    case 'load':
    case 'loadAcquire':
      return reads(now, bit(insn.dst), bit(insn.src), 0);
    case 'store': {
      const src = 'reg' in insn.src ? bit(insn.src.reg) : 0;
      return reads(now, 0, bit(insn.dst) | src, insn.size === 8 ? src : 0);
    }
    case 'storeRelease':
      return reads(now, 0, bit(insn.dst) | bit(insn.src), insn.size === 8 ? bit(insn.src) : 0);
    case 'atomic': {
      const compared = insn.atomic === 'cmpxchg' ? bit(0) : 0;
      const values = bit(insn.src) | compared;
      const result = insn.fetch ? compared || bit(insn.src) : 0;
      return reads(now, result, bit(insn.dst) | values, insn.size === 8 ? values : 0);
    }
    case 'ldimm64':
    case 'addrSpaceCast':
      return reads(now, bit(insn.dst), 0, 0);
    case 'ldPacket':
      return reads(now, CALLER_SAVED, insn.src === undefined ? 0 : bit(insn.src), 0);
    case 'call': {
      const use = input.callUse(slot);
      return reads(now, CALLER_SAVED, use.low, use.upper);
    }
    case 'jmp': {
      if (input.decided(slot)) return now;
      const used = bit(insn.dst) | ('reg' in insn.src ? bit(insn.src.reg) : 0);
      const lowBits = insn.cond === 'set' && 'imm' in insn.src && insn.src.imm >= 0;
      return reads(now, 0, used, insn.bits === 64 && !lowBits ? used : 0);
    }
    case 'exit':
      now.low = bit(0);
      now.upper = bit(0);
      return now;
    default:
      return now;
  }
}

/** Registers whose upper half a 64-bit operation reads, given whether that of its result is read. */
function aluHalves(
  { alu, src: operand }: Extract<Insn, { op: 'alu' }>,
  { dst, used, needed }: { dst: number; used: number; needed: boolean },
): number {
  switch (alu) {
    case 'and':
      // An immediate that is not negative leaves zeros in the upper half.
      return needed && !('imm' in operand && operand.imm >= 0) ? used : 0;
    case 'mov':
    case 'add':
    case 'sub':
    case 'mul':
    case 'or':
    case 'xor':
      return needed ? used : 0;
    case 'lsh':
      return needed && !('imm' in operand && operand.imm >= 32) ? dst : 0;
    case 'rsh':
    case 'arsh':
      return dst;
    case 'div':
    case 'mod':
    case 'sdiv':
    case 'smod':
      return used;
    default:
      return used;
  }
}

const isZero = (zero: number, operand: { readonly reg: number } | { readonly imm: number }): boolean =>
  'reg' in operand ? (zero & bit(operand.reg)) !== 0 : operand.imm >= 0;

/** Whether a 64-bit operation has zeros in its upper half, because of those in the upper halves of its operands. */
export function aluZero({ alu, dst, src }: Extract<Insn, { op: 'alu' }>, zero: number): boolean {
  const old = (zero & bit(dst)) !== 0;
  switch (alu) {
    case 'mov':
      return isZero(zero, src);
    case 'and':
      return old || isZero(zero, src);
    case 'or':
    case 'xor':
      return old && isZero(zero, src);
    case 'rsh':
      return old || ('imm' in src && src.imm >= 32);
    case 'arsh':
    case 'div':
    case 'mod':
      return old;
    default:
      return false;
  }
}

/** Registers whose upper half is zero after an instruction, from those before it. */
export function zeroAfter(input: RegisterInput, slot: number, zero: number): number {
  const insn = input.insnAt(slot)!;
  const after = zeroByItself(input, { insn, slot }, zero);
  // What the verifier knows before the next instruction; a jump may go elsewhere.
  if (insn.op === 'jmp' || insn.op === 'ja' || insn.op === 'mayGoto' || insn.op === 'exit') return after;
  const next = input.insnAt(slot + 1) === undefined ? slot + 2 : slot + 1;
  return after | (input.pointers === undefined ? 0 : (input.pointers[next] ?? 0));
}

function zeroByItself(
  input: RegisterInput,
  { insn, slot }: { insn: Insn; slot: number },
  zero: number,
): number {
  const set = (register: number, known: boolean): number =>
    known ? zero | bit(register) : zero & ~bit(register);
  switch (insn.op) {
    case 'alu':
      return set(insn.dst, insn.bits === 32 || aluZero(insn, zero));
    case 'neg':
      return set(insn.dst, insn.bits === 32);
    case 'movsx':
      return set(insn.dst, insn.bits === 32);
    case 'swap':
      return insn.width === 64 && insn.kind === 'le' ? zero : set(insn.dst, insn.width !== 64);
    case 'load':
      return set(insn.dst, insn.size !== 8 && !insn.signed);
    case 'loadAcquire':
      return set(insn.dst, insn.size !== 8);
    case 'ldimm64':
      return set(insn.dst, insn.hi === 0 || insn.pseudo === 'func');
    case 'atomic':
      return insn.fetch ? set(insn.atomic === 'cmpxchg' ? 0 : insn.src, insn.size === 4) : zero;
    case 'addrSpaceCast':
      return set(insn.dst, false);
    case 'ldPacket':
      return (zero & ~CALLER_SAVED) | bit(0);
    case 'call':
      return (zero & ~CALLER_SAVED) | (input.callUse(slot).zeroResult ? bit(0) : 0);
    default:
      return zero;
  }
}

/** What is live at the end of a block; into `now`. */
export function liveAtEnd(
  { bpf }: RegisterInput,
  node: number,
  { live, upper, now }: Pick<Registers, 'live' | 'upper'> & { readonly now: Live },
): void {
  now.low = 0;
  now.upper = 0;
  for (const to of bpf.graph[node]!) {
    now.low |= live[to]!;
    now.upper |= upper[to]!;
  }
}

export function findRegisters(input: RegisterInput): Registers {
  return { ...findLive(input), zero: findZero(input) };
}

function findLive(input: RegisterInput): Pick<Registers, 'live' | 'upper'> {
  const { blocks, graph, shape } = input.bpf;
  const live = new Int32Array(blocks.length);
  const upper = new Int32Array(blocks.length);
  const into: number[][] = blocks.map(() => []);
  graph.forEach((to, from) => {
    for (const target of to) into[target]!.push(from);
  });
  const stale = new Uint8Array(blocks.length).fill(1);
  const now: Live = { low: 0, upper: 0 };
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = shape.order.length - 1; i >= 0; i--) {
      const node = shape.order[i]!;
      if (stale[node] === 0) continue;
      stale[node] = 0;
      liveAtEnd(input, node, { live, upper, now });
      const { start, end } = blocks[node]!;
      for (let slot = end - 1; slot >= start; slot--)
        if (input.insnAt(slot) !== undefined) stepBack(input, slot, now);
      if (live[node] === now.low && upper[node] === now.upper) continue;
      live[node] = now.low;
      upper[node] = now.upper;
      changed = true;
      for (const from of into[node]!) stale[from] = 1;
    }
  }
  return { live, upper };
}

function findZero(input: RegisterInput): Int32Array {
  const { blocks, graph, shape } = input.bpf;
  const zero = new Int32Array(blocks.length).fill(-1);
  zero[0] = input.zeroAtEntry;
  const pointersAt = (node: number): number => input.pointers?.[blocks[node]!.start] ?? 0;
  const stale = new Uint8Array(blocks.length).fill(1);
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of shape.order) {
      if (stale[node] === 0) continue;
      stale[node] = 0;
      const { start, end } = blocks[node]!;
      let now = zero[node]! | pointersAt(node);
      for (let slot = start; slot < end; slot++)
        if (input.insnAt(slot) !== undefined) now = zeroAfter(input, slot, now);
      for (const to of graph[node]!) {
        const met = zero[to]! & (now | pointersAt(to));
        if (met === zero[to]) continue;
        zero[to] = met;
        stale[to] = 1;
        changed = true;
      }
    }
  }
  return zero;
}
