/** What the compiling engine makes of a program, as text with notes on it. */
import type { RunnableProgram, Runtime } from '../types.ts';
import { workspaceOf } from './host.ts';
import { translate } from './translate/module.ts';
import { moduleText } from './wasm/index.ts';

/** The WebAssembly text of a program; `notes` says what stands above the code of the instruction at a slot. */
export function jitText(
  program: RunnableProgram,
  runtime: Runtime,
  notes: (slot: number) => readonly string[],
): string {
  const { scratch } = workspaceOf(runtime.memory);
  const { module, slotsOf } = translate(program, { scratch, view: runtime.memory.view });
  const lines = new Map(module.functions.map((code) => [code, notesByOffset(slotsOf(code), notes)]));
  return moduleText(module, (code, offset) => lines.get(code)?.get(offset) ?? []);
}

/** Pairs of an offset and a slot. Where instructions need no code, several start at one offset. */
function notesByOffset(
  pairs: readonly number[],
  notes: (slot: number) => readonly string[],
): Map<number, string[]> {
  const found = new Map<number, string[]>();
  for (let i = 0; i < pairs.length; i += 2) {
    const offset = pairs[i]!;
    found.set(offset, [...(found.get(offset) ?? []), ...notes(pairs[i + 1]!)]);
  }
  return found;
}
