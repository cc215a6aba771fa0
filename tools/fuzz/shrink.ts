/** Makes a failing program small: leaves instructions out as long as it still fails in the same way. */

import { targetOf, withTarget } from '../../src/asm/targets.ts';
import type { Insn, Slots } from '../../src/isa/index.ts';
import type { Candidate } from './candidate.ts';
import { nothing } from './mutate.ts';

/** Without the slot (both, of a two-slot load), with jumps and calls mended; undefined where one goes there alone. */
function without(slots: Slots, slot: number): Slots {
  const width = slots[slot]?.op === 'ldimm64' ? 2 : 1;
  const moved = (to: number): number => (to > slot ? to - Math.min(width, to - slot) : to);
  const made: (Insn | undefined)[] = [];
  for (const [at, insn] of slots.entries()) {
    if (at >= slot && at < slot + width) continue;
    const target = insn === undefined ? undefined : targetOf(insn);
    if (insn === undefined || target === undefined) made.push(insn);
    else made.push(withTarget(insn, moved(at + 1 + target.off) - moved(at) - 1));
  }
  return made;
}

/** The smallest program found for which `fails` still holds. */
export async function shrink(
  start: Candidate,
  fails: (made: Candidate) => Promise<boolean>,
): Promise<Candidate> {
  let best = start;
  for (let progress = true; progress; ) {
    progress = false;
    for (let slot = best.slots.length - 1; slot >= 0; slot--) {
      const insn = best.slots[slot];
      if (insn === undefined) continue;
      for (const slots of smaller(best.slots, slot)) {
        const made = { ...best, slots };
        if (!(await fails(made))) continue;
        best = made;
        progress = true;
        break;
      }
    }
  }
  return best;
}

function smaller(slots: Slots, slot: number): Slots[] {
  const insn = slots[slot]!;
  const found: Slots[] = [without(slots, slot)];
  if (insn.op === 'jmp') {
    // The branch always taken.
    const always = [...slots];
    always[slot] = { op: 'ja', wide: false, off: insn.off };
    found.push(always);
  }
  if (insn.op === 'call') {
    const zero = [...slots];
    zero[slot] = { op: 'alu', alu: 'mov', bits: 64, dst: 0, src: { imm: 0 } };
    found.push(zero);
  }
  return found.filter((made) => made.length > 0 && made.at(-1) !== nothing);
}
