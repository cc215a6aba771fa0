/**
 * `skep asm` and `skep disasm`: text to instructions and back.
 */
import { assemble, disassemble } from '../asm/index.ts';
import { fromHex, SkepError, toHex } from '../base/index.ts';
import { decode, encode } from '../isa/index.ts';
import { openObject } from '../object/index.ts';
import { readInput, writeOutput } from './files.ts';
import type { Invocation } from './invocation.ts';
import { inFile } from './open.ts';

export async function asm(invocation: Invocation): Promise<number> {
  const path = invocation.operands[0] ?? '-';
  const text = new TextDecoder().decode(readInput(path));
  const bytes = inFile(path, () => encode(assemble(text)));
  const output = invocation.value('output');
  if (output !== undefined) writeOutput(output, bytes);
  else if (invocation.json) invocation.printJson({ insnCount: bytes.length / 8, insns: bytes });
  else for (let at = 0; at < bytes.length; at += 8) invocation.print(toHex(bytes.subarray(at, at + 8), ' '));
  return 0;
}

export async function disasm(invocation: Invocation): Promise<number> {
  const path = invocation.operands[0] ?? '-';
  const bytes = readInput(path);
  const programs = inFile(path, () => disassembled(bytes));
  if (invocation.json) {
    invocation.printJson(programs.map(({ name, text }) => ({ name, text: text.trimEnd().split('\n') })));
    return 0;
  }
  for (const [i, { name, text }] of programs.entries()) {
    if (name !== undefined) invocation.print(`${i === 0 ? '' : '\n'}${invocation.style.strong(`${name}:`)}`);
    invocation.print(text.trimEnd());
  }
  return 0;
}

/** The programs of an object, or the one that raw bytes or hex text are. */
function disassembled(bytes: Uint8Array): { name: string | undefined; text: string }[] {
  if (toHex(bytes.subarray(0, 4)) === '7f454c46') {
    const { programs } = openObject(bytes);
    return Object.entries(programs).map(([name, { insns }]) => ({ name, text: disassemble(decode(insns)) }));
  }
  const raw = isHexText(bytes) ? fromHex(new TextDecoder().decode(bytes)) : bytes;
  if (raw.length === 0 || raw.length % 8 !== 0) {
    throw new SkepError({
      code: 'insns',
      message: `${raw.length} bytes are no program: instructions have 8 bytes each`,
      hint: 'give an object, raw instructions, or their hex digits',
    });
  }
  return [{ name: undefined, text: disassemble(decode(raw)) }];
}

function isHexText(bytes: Uint8Array): boolean {
  const digits = /^[0-9a-fA-F\s]+$/;
  return digits.test(new TextDecoder('latin1').decode(bytes));
}
