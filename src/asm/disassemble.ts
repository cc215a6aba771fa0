/**
 * A program as text that `assemble` turns back into the same program: one line an instruction, with slot
 * numbers, opcodes, bytes and labels as wanted.
 */
import { toHex } from '../base/index.ts';
import { encode, type Insn, type InvalidInsn, type LenientSlots, type Slots } from '../isa/index.ts';
import { type FormatOptions, formatInsn, opcodeOf, wideNumber } from './format.ts';
import type { Dialect, WideLoad } from './syntax.ts';
import { targetOf } from './targets.ts';

export interface DisassembleOptions {
  /** Default 'kernel'. */
  readonly dialect?: Dialect | undefined;
  /** Names for jump and call targets, on lines of their own, instead of offsets. */
  readonly labels?: boolean | undefined;
  /** Slot numbers in front: `  12: `. */
  readonly slots?: boolean | undefined;
  /** With the opcode, as the verifier's log and bpftool show it: `  12: (b7) r0 = 1`. Implies `slots`. */
  readonly opcodes?: boolean | undefined;
  /** With the bytes, as llvm-objdump shows them: `  12:  b7 00 00 00 01 00 00 00  r0 = 1`. Implies `slots`. */
  readonly bytes?: boolean | undefined;
  /** As in `FormatOptions`. What they return must not change what the line means. */
  readonly wideLoad?: FormatOptions['wideLoad'];
  readonly kfunc?: FormatOptions['kfunc'];
}

/** A name for each slot that something jumps to (`L3`) or calls (`func_3`). */
function labelsOf(slots: LenientSlots): ReadonlyMap<number, string> {
  const labels = new Map<number, string>();
  slots.forEach((insn, slot) => {
    const target = insn === undefined ? undefined : targetOf(insn);
    if (target === undefined) return;
    const at = slot + 1 + target.off;
    // No label can stand inside a two-slot load, or beyond the end.
    if (slots[at] === undefined) return;
    if (target.isFunction) labels.set(at, `func_${at}`);
    else if (!labels.has(at)) labels.set(at, `L${at}`);
  });
  return labels;
}

function bytesOf(insn: Insn | InvalidInsn): string {
  if (insn.op !== 'invalid') return toHex(encode(insn.op === 'ldimm64' ? [insn, undefined] : [insn]), ' ');
  const { opcode, dst, src, off, imm } = insn.raw;
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, opcode);
  view.setUint8(1, (src << 4) | dst);
  view.setInt16(2, off, true);
  view.setInt32(4, imm, true);
  return toHex(bytes, ' ');
}

/**
 * The text of a program. `assemble` gives the same program back (unless `wideLoad` or `kfunc` replaced what it
 * needs, or it holds invalid instructions, which are printed as Linux prints them).
 */
export function disassemble(slots: Slots | LenientSlots, options: DisassembleOptions = {}): string {
  const labels = options.labels === true ? labelsOf(slots) : new Map<number, string>();
  const isNumbered = options.slots === true || options.opcodes === true || options.bytes === true;
  const width = String(Math.max(slots.length - 1, 0)).length;
  // Without its opcode, a kernel-dialect `r1 = 0x5` would read as a move.
  const needsLl = options.dialect !== 'llvm' && options.opcodes !== true;
  const wideLoad = (insn: WideLoad): string | undefined =>
    options.wideLoad?.(insn) ??
    (needsLl && insn.pseudo === 'imm' ? `0x${wideNumber(insn).toString(16)} ll` : undefined);
  const lines: string[] = [];
  slots.forEach((insn, slot) => {
    if (insn === undefined) return;
    const label = labels.get(slot);
    if (label !== undefined) lines.push(`${label}:`);
    const target = (off: number): string | undefined => labels.get(slot + 1 + off);
    const { dialect, kfunc } = options;
    const text = formatInsn(insn, { dialect, kfunc, wideLoad, target });
    const opcode = options.opcodes === true ? `(${opcodeOf(insn).toString(16).padStart(2, '0')}) ` : '';
    const bytes = options.bytes === true ? `${bytesOf(insn)}  ` : '';
    const number = isNumbered ? `${String(slot).padStart(width)}: ` : '';
    const indent = labels.size > 0 ? '  ' : '';
    lines.push(`${indent}${number}${bytes}${opcode}${text}`);
  });
  return lines.map((line) => `${line}\n`).join('');
}
