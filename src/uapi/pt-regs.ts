/**
 * The registers of a task as programs on probes find them: where each is in struct pt_regs (struct user_pt_regs on
 * arm64; asm/ptrace.h), by the names that assembly has for it and its lower parts.
 */
import type { BinaryMachine } from './seam.ts';

/** In their order in the struct, 8 bytes each; without a name what no argument of a function is in. */
const x64: readonly (readonly string[])[] = [
  ...[15, 14, 13, 12].map(numbered),
  ['rbp', 'ebp', 'bp', 'bpl'],
  ['rbx', 'ebx', 'bx', 'bl'],
  ...[11, 10, 9, 8].map(numbered),
  ['rax', 'eax', 'ax', 'al'],
  ['rcx', 'ecx', 'cx', 'cl'],
  ['rdx', 'edx', 'dx', 'dl'],
  ['rsi', 'esi', 'si', 'sil'],
  ['rdi', 'edi', 'di', 'dil'],
  [],
  ['rip'],
  [],
  [],
  ['rsp', 'esp', 'sp', 'spl'],
];

function numbered(number: number): string[] {
  return ['', 'd', 'w', 'b'].map((part) => `r${number}${part}`);
}

const arm64: readonly (readonly string[])[] = [
  ...Array.from({ length: 31 }, (_, number) => [`x${number}`, `w${number}`]),
  ['sp'],
];

const offsets = (registers: readonly (readonly string[])[]): ReadonlyMap<string, number> =>
  new Map(registers.flatMap((names, i) => names.map((name) => [name, 8 * i] as const)));

/** Offsets of registers by name. */
export const ptRegs: Readonly<Record<BinaryMachine, ReadonlyMap<string, number>>> = {
  x64: offsets(x64),
  arm64: offsets(arm64),
};
