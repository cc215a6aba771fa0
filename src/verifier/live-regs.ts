/**
 * Which registers an instruction may still need (compute_live_registers): a backward fixpoint over the
 * control flow of each subprogram, as Linux computes it, for dropping dead registers before states are
 * compared. `env.liveRegs[slot]` has bit n set where rn may be read before it is written.
 */
import { fetchBit, type Insn, type InvalidInsn, type Operand, type RawInsn } from '../isa/index.ts';
import { helperName } from '../uapi/helpers.ts';
import type { Env } from './env.ts';
import { allowedProto } from './helper-allowed.ts';
import { findKfunc, kfuncArgs, mayCall } from './kfuncs.ts';
import { NONE } from './successors.ts';

const ALL = 0x3ff;
const CALLER_SAVED = 0x3f;
const R0 = 1;
const NO_FP = 0x3ff;

const bit = (reg: number): number => 1 << reg;
const operandBit = (operand: Operand): number => ('reg' in operand ? bit(operand.reg) : 0);

interface UseDef {
  use: number;
  def: number;
}

function useDef(env: Env, insn: Insn | InvalidInsn | undefined, into: UseDef): void {
  into.use = insn === undefined ? 0 : ALL;
  into.def = 0;
  if (insn === undefined) return;
  switch (insn.op) {
    case 'invalid':
      [into.use, into.def] = useDefRaw(insn.raw);
      return;
    case 'alu':
      into.def = bit(insn.dst);
      into.use = operandBit(insn.src) | (insn.alu === 'mov' ? 0 : bit(insn.dst));
      return;
    case 'neg':
    case 'swap':
      into.use = into.def = bit(insn.dst);
      return;
    case 'movsx':
    case 'addrSpaceCast':
    case 'load':
    case 'loadAcquire':
      into.def = bit(insn.dst);
      into.use = bit(insn.src);
      return;
    case 'store':
      into.use = bit(insn.dst) | operandBit(insn.src);
      return;
    case 'storeRelease':
      into.use = bit(insn.dst) | bit(insn.src);
      return;
    case 'atomic':
      into.use = bit(insn.dst) | bit(insn.src) | (insn.atomic === 'cmpxchg' ? R0 : 0);
      if (insn.atomic === 'cmpxchg') into.def = R0;
      else if (insn.fetch) into.def = bit(insn.src);
      return;
    case 'ldimm64':
      into.def = bit(insn.dst);
      into.use = 0;
      return;
    case 'ja':
    case 'mayGoto':
      into.use = 0;
      return;
    case 'jmp':
      into.use = bit(insn.dst) | operandBit(insn.src);
      return;
    case 'exit':
      into.use = R0;
      return;
    case 'call':
      into.def = CALLER_SAVED;
      into.use = callArgs(env, insn);
      return;
    default:
      return;
  }
}

const CLASS_LD = 0;
const CLASS_LDX = 1;
const CLASS_ST = 2;
const CLASS_STX = 3;
const CLASS_JMP = 5;
const CLASS_JMP32 = 6;
const WIDE_LOAD = 0x18;
const SRC_REG = 0x08;
const MODE_ATOMIC = 0xc0;
const OP_JA = 0x00;
const OP_CALL = 0x80;
const OP_EXIT = 0x90;
const OP_MOV = 0xb0;
const OP_END = 0xd0;
const OP_JCOND = 0xe0;

/** What an instruction that will be refused reads and writes, by what it would be if its other fields were right. */
function useDefRaw({ opcode, dst, src, imm }: RawInsn): readonly [use: number, def: number] {
  const op = opcode & 0xf0;
  const source = (opcode & SRC_REG) === 0 ? 0 : bit(src);
  switch (opcode & 7) {
    case CLASS_LD:
      return opcode === WIDE_LOAD ? [0, bit(dst)] : [ALL, 0];
    case CLASS_LDX:
      return [bit(src), bit(dst)];
    case CLASS_ST:
      return [bit(dst), 0];
    case CLASS_STX: {
      const fetches = (opcode & 0xe0) === MODE_ATOMIC && (imm & fetchBit) !== 0;
      return [bit(dst) | bit(src), fetches ? bit(src) : 0];
    }
    case CLASS_JMP:
    case CLASS_JMP32:
      if (op === OP_CALL) return [CALLER_SAVED & ~R0, CALLER_SAVED];
      if (op === OP_EXIT) return [R0, 0];
      return [op === OP_JA || op === OP_JCOND ? 0 : bit(dst) | source, 0];
    default:
      if (op === OP_END) return [bit(dst), bit(dst)];
      return [source | (op === OP_MOV ? 0 : bit(dst)), bit(dst)];
  }
}

function callArgs(env: Env, insn: Extract<Insn, { op: 'call' }>): number {
  if (insn.kind === 'helper') return helperArgs(env, insn.imm);
  const kfunc = insn.kind === 'kfunc' ? findKfunc(env, insn.imm) : undefined;
  return kfunc === undefined || !mayCall(env, kfunc)
    ? CALLER_SAVED & ~R0
    : ((1 << kfuncArgs(kfunc)) - 1) << 1;
}

/** r1 … rn for a helper of n arguments that the program may call. */
function helperArgs(env: Env, id: number): number {
  const name = helperName(id);
  const proto = name === undefined ? undefined : allowedProto(env, name);
  if (proto === undefined) return CALLER_SAVED & ~R0;
  return ((1 << proto.args.length) - 1) << 1;
}

export function findLiveRegs(env: Env): void {
  const { count, edges, insns } = env;
  const use = new Uint16Array(count);
  const def = new Uint16Array(count);
  const one: UseDef = { use: 0, def: 0 };
  for (let slot = 0; slot < count; slot++) {
    useDef(env, insns[slot], one);
    use[slot] = one.use & NO_FP;
    def[slot] = one.def & NO_FP;
  }
  const live = env.liveRegs;
  // From the last slot to the first: only what is reached by going back is not known when it is asked for.
  let again = true;
  while (again) {
    again = false;
    for (let slot = count - 1; slot >= 0; slot--) {
      let out = 0;
      const next = edges[2 * slot] as number;
      const target = edges[2 * slot + 1] as number;
      if (next !== NONE) out |= live[next] as number;
      if (target !== NONE) out |= live[target] as number;
      const now = (out & ~(def[slot] as number)) | (use[slot] as number);
      if (now === live[slot]) continue;
      live[slot] = now;
      again = env.goesBack;
    }
  }
}
