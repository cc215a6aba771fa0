/**
 * Instructions whose fields are wrong: what Linux says of them when it comes to them, in the order in which it looks
 * at fields and registers (do_check, check_alu_op, check_atomic). Opcodes that do not exist never come so far.
 */
import {
  addrSpaceCastOff,
  atomicCodes,
  fetchBit,
  type InvalidInsn,
  orderedCodes,
  type RawInsn,
} from '../isa/index.ts';
import { checkRead, checkWrite } from './checks.ts';
import type { Env } from './env.ts';
import { checkPacketLoads } from './memory-insns.ts';

const SRC_REG = 0x08;
const MODE_IMM = 0x00;
const MODE_ATOMIC = 0xc0;
const OP_NEG = 0x80;
const OP_MOV = 0xb0;
const OP_DIV = 0x30;
const OP_MOD = 0x90;
const OP_END = 0xd0;
const OP_JA = 0x00;
const OP_CALL = 0x80;
const OP_EXIT = 0x90;
const OP_JCOND = 0xe0;
const SIZES = 0x18;
const SIZE_BYTE = 0x10;
const SIZE_HALF = 0x08;

/** Says what is wrong with an instruction. */
export function rejectInvalid(env: Env, { raw }: InvalidInsn): never {
  switch (raw.opcode & 7) {
    case 0:
      return rejectLd(env, raw);
    case 1:
      checkRead(env, raw.src);
      break;
    case 2:
      if (raw.src !== 0) env.reject('EINVAL', 'BPF_ST uses reserved fields');
      checkRead(env, raw.dst);
      break;
    case 3:
      if ((raw.opcode & 0xe0) === MODE_ATOMIC) checkAtomic(env, raw);
      else if (raw.imm !== 0) env.reject('EINVAL', 'BPF_STX uses reserved fields');
      checkRead(env, raw.src);
      checkRead(env, raw.dst);
      break;
    case 4:
    case 7:
      checkAlu(env, raw);
      break;
    default:
      checkJump(env, raw);
  }
  checkWrite(env, raw.dst);
  return env.fail('EINVAL');
}

function rejectLd(env: Env, { opcode, dst, off }: RawInsn): never {
  if ((opcode & 0xe0) !== MODE_IMM) {
    checkPacketLoads(env);
    return env.reject('EINVAL', 'BPF_LD_[ABS|IND] uses reserved fields');
  }
  if (off === 0) checkWrite(env, dst);
  return env.reject('EINVAL', 'BPF_LD_IMM64 uses reserved fields');
}

/** Immediates of atomics that read, change and write. */
const changing: ReadonlySet<number> = new Set(
  Object.entries(atomicCodes).flatMap(([name, code]) =>
    name === 'xchg' || name === 'cmpxchg' ? [code | fetchBit] : [code, code | fetchBit],
  ),
);

function checkAtomic(env: Env, { opcode, imm }: RawInsn): void {
  const size = opcode & SIZES;
  if (changing.has(imm)) {
    if (size === SIZE_BYTE || size === SIZE_HALF) env.reject('EINVAL', 'invalid atomic operand size');
  } else if (imm !== orderedCodes.loadAcquire && imm !== orderedCodes.storeRelease) {
    const code = (imm >>> 0).toString(16).padStart(2, '0');
    env.reject('EINVAL', `BPF_ATOMIC uses invalid atomic opcode ${code}`);
  }
}

const MOVSX = [0, 8, 16];
const MOVSX_64 = [...MOVSX, 32];
const SWAPS = [16, 32, 64];

function checkAlu(env: Env, raw: RawInsn): void {
  const { opcode, dst, src, off, imm } = raw;
  const refuse = (what: string): never => env.reject('EINVAL', `${what} uses reserved fields`);
  const byReg = (opcode & SRC_REG) !== 0;
  switch (opcode & 0xf0) {
    case OP_NEG:
      if (src !== 0 || off !== 0 || imm !== 0) refuse('BPF_NEG');
      break;
    case OP_END:
      if (src !== 0 || off !== 0 || !SWAPS.includes(imm)) refuse('BPF_END');
      break;
    case OP_MOV:
      if (!byReg) {
        if (src !== 0 || off !== 0) refuse('BPF_MOV');
        return;
      }
      // A cast between address spaces has been looked at as one.
      if ((opcode & 7) !== 7 || off !== addrSpaceCastOff) {
        if (imm !== 0 || !((opcode & 7) === 7 ? MOVSX_64 : MOVSX).includes(off)) refuse('BPF_MOV');
      }
      checkRead(env, src);
      return;
    default: {
      const divides = (opcode & 0xf0) === OP_DIV || (opcode & 0xf0) === OP_MOD;
      const wrongOff = off !== 0 && (off !== 1 || !divides);
      if (wrongOff || (byReg ? imm !== 0 : src !== 0)) refuse('BPF_ALU');
      if (byReg) checkRead(env, src);
    }
  }
  checkRead(env, dst);
}

function checkJump(env: Env, { opcode, dst, src, imm }: RawInsn): void {
  const refuse = (what: string): never => env.reject('EINVAL', `${what} uses reserved fields`);
  switch (opcode & 0xf0) {
    case OP_CALL:
      refuse('BPF_CALL');
      break;
    case OP_EXIT:
      refuse('BPF_EXIT');
      break;
    case OP_JA:
      refuse('BPF_JA');
      break;
    case OP_JCOND:
      env.reject('EINVAL', `invalid may_goto imm ${imm}`);
      break;
    default:
      checkRead(env, dst);
      if ((opcode & SRC_REG) !== 0 ? imm !== 0 : src !== 0) refuse('BPF_JMP/JMP32');
      checkRead(env, src);
  }
}
