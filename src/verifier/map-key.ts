/** A map's key on the stack: an array's constant index tells that its element exists. */
import { isConst } from './domain/index.ts';
import type { Env } from './env.ts';
import { isScalar, typeOf } from './regs.ts';
import { kindAt, pointee, slotOf } from './stack.ts';
import { regAt, SLOT_BYTES, slotKinds, spilledAt } from './state/frame.ts';
import { OFF, TNUM_VALUE } from './state/layout.ts';
import { regTypes } from './state/reg-types.ts';

/**
 * The constant that a stack slot holds as a map's key (get_constant_map_key), or -1. The value is then
 * relied upon, so `precise` is called with the slot where a spilled register holds it.
 */
export function constantKey(
  env: Env,
  reg: number,
  key: { size: number; precise: (frame: number, slot: number) => void },
): bigint {
  const file = env.frame;
  const r = regAt(reg);
  if (!env.input.capabilities.bpf || typeOf(file, r) !== regTypes.stack || !isConst(file, r)) return -1n;
  const off = Number(file.i64[r + TNUM_VALUE]) + (file.i32[2 * r + OFF] as number);
  const frame = pointee(env, reg);
  const slot = slotOf(off);
  const base = slot * SLOT_BYTES;
  const first = kindAt(off) % SLOT_BYTES;
  const run = (kind: number): number => {
    let count = 0;
    for (let i = first; i >= 0 && frame.kinds[base + i] === kind; i--) count++;
    return count;
  };
  if (run(slotKinds.zero) >= key.size) return 0n;
  const spilled = spilledAt(slot);
  if (!frame.isSpilled(slot) || !isScalar(frame, spilled) || run(slotKinds.spill) !== key.size) return -1n;
  if (!isConst(frame, spilled)) return -1n;
  key.precise(frame.frameNo, slot);
  return frame.u64[spilled + TNUM_VALUE] as bigint;
}
