/**
 * Classic BPF to eBPF for a socket filter: the same verdict for every packet. A is r0 and X is r7, both
 * 32-bit values with a zero upper half, so that a packet load (which ends the program with 0 outside the
 * packet, as in classic BPF) leaves A where it belongs; r6 holds the context, r8 is spare, M[i] is on the
 * stack. Instructions that nothing reaches are left out: eBPF forbids them.
 */

import type { Line, Register } from '../asm/index.ts';
import * as asm from '../asm/index.ts';
import { unreachable } from '../base/index.ts';
import type { Slots } from '../isa/index.ts';
import { ancillaryAt } from './ancillary.ts';
import {
  type ClassicAlu,
  type ClassicCond,
  type ClassicInsn,
  type ClassicOperand,
  type ClassicProgram,
  classicError,
  scratchWords,
} from './insn.ts';
import { successors, validateClassic } from './validate.ts';

const { r0: a, r1, r6: ctx, r7: x, r8: spare, r10: frame, u32 } = asm;
const { call, exit, ja, label, ldPacket, load, mov, mov32 } = asm;
/** Offset of `len` in struct __sk_buff. */
const lenOff = 0;

const aluBuilders = {
  add: asm.add32,
  sub: asm.sub32,
  mul: asm.mul32,
  div: asm.div32,
  mod: asm.mod32,
  or: asm.or32,
  and: asm.and32,
  xor: asm.xor32,
  lsh: asm.lsh32,
  rsh: asm.rsh32,
} as const satisfies Record<ClassicAlu, typeof asm.add32>;

const jumpBuilders = {
  eq: asm.jeq32,
  gt: asm.jgt32,
  ge: asm.jge32,
  set: asm.jset32,
} as const satisfies Record<ClassicCond, typeof asm.jeq32>;
/** The comparisons that are true where the other is false; a bit test has none. */
const inverseJumps = { eq: asm.jne32, gt: asm.jle32, ge: asm.jlt32 } as const;

const place = (index: number): string => `insn ${index}`;
const register = (name: 'a' | 'x'): Register => (name === 'a' ? a : x);
const scratch = (k: number) => u32(frame, 4 * (k - scratchWords));
const source = (src: ClassicOperand): Register | number => (src === 'x' ? x : src);

function packetLoad(insn: Extract<ClassicInsn, { op: 'ldPacket' }>, index: number): Line[] {
  const { size, indexed, k } = insn;
  if (indexed) return [ldPacket(size, k | 0, x)];
  const ancillary = ancillaryAt(k);
  if (ancillary === undefined) return [ldPacket(size, k | 0)];
  const { name, source: from } = ancillary;
  switch (from.kind) {
    case 'field': {
      const lines: Line[] = [load(a, u32(ctx, from.off))];
      if (from.bigEndian16 === true) lines.push(asm.be(a, 16));
      if (from.zeroEnds === true) lines.push(asm.jne32(a, 0, 1), exit());
      return lines;
    }
    case 'helper':
      return [call(from.helper)];
    case 'xorX':
      return [asm.xor32(a, x)];
    case 'none':
      throw classicError(index, `[${name}] is not available in eBPF`);
    default:
      return unreachable(from);
  }
}

function arithmetic(alu: ClassicAlu, src: ClassicOperand): Line[] {
  const insn = aluBuilders[alu](a, source(src));
  if (src !== 'x' || (alu !== 'div' && alu !== 'mod')) return [insn];
  // Division by zero ends a classic program with 0; in eBPF it would go on.
  return [asm.jne32(x, 0, 2), mov32(a, 0), exit(), insn];
}

function conditional(insn: Extract<ClassicInsn, { op: 'jmp' }>, index: number): Line[] {
  const { cond, jt, jf } = insn;
  const src = source(insn.src);
  const yes = place(index + 1 + jt);
  const no = place(index + 1 + jf);
  if (jt === jf) return jt === 0 ? [] : [ja(yes)];
  if (jf === 0) return [jumpBuilders[cond](a, src, yes)];
  if (jt === 0 && cond !== 'set') return [inverseJumps[cond](a, src, no)];
  return [jumpBuilders[cond](a, src, yes), ja(no)];
}

function translateInsn(insn: ClassicInsn, index: number): Line[] {
  switch (insn.op) {
    case 'ldPacket':
      return packetLoad(insn, index);
    case 'ldImm':
      return [mov32(register(insn.reg), insn.k)];
    case 'ldMem':
      return [load(register(insn.reg), scratch(insn.k))];
    case 'ldLen':
      return [load(register(insn.reg), u32(ctx, lenOff))];
    case 'ldxMsh':
      return [
        mov32(spare, a),
        ldPacket(1, insn.k | 0),
        asm.and32(a, 0xf),
        asm.lsh32(a, 2),
        mov32(x, a),
        mov32(a, spare),
      ];
    case 'st':
      return [asm.store(scratch(insn.k), register(insn.reg))];
    case 'alu':
      return arithmetic(insn.alu, insn.src);
    case 'neg':
      return [asm.neg32(a)];
    case 'ja':
      return insn.k === 0 ? [] : [ja(place(index + 1 + insn.k))];
    case 'jmp':
      return conditional(insn, index);
    case 'ret':
      return insn.src === 'a' ? [exit()] : [mov32(a, insn.src), exit()];
    case 'tax':
      return [mov32(x, a)];
    case 'txa':
      return [mov32(a, x)];
    default:
      return unreachable(insn);
  }
}

/** Which instructions a run can come to; all jumps go forwards. */
function reachable(classic: ClassicProgram): readonly boolean[] {
  const reached = new Array<boolean>(classic.length).fill(false);
  reached[0] = true;
  classic.forEach((insn, index) => {
    if (reached[index] !== true) return;
    for (const next of successors(insn, index)) reached[next] = true;
  });
  return reached;
}

/**
 * The eBPF socket filter that does what a classic program does.
 * @throws SkepError (code 'classic') for a program that Linux would refuse, or one that reads an ancillary
 * value that eBPF has no way to.
 */
export function translateClassic(classic: ClassicProgram): Slots {
  validateClassic(classic);
  const reached = reachable(classic);
  // A and X start as 0.
  const lines: Line[] = [mov(ctx, r1), mov32(a, 0), mov32(x, 0)];
  classic.forEach((insn, index) => {
    if (reached[index] !== true) return;
    lines.push(label(place(index)), ...translateInsn(insn, index));
  });
  return asm.program(...lines);
}
