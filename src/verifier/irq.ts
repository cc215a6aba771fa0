/**
 * Interrupts switched off and on again in the reverse order; the flags in between are in a slot of the stack
 * (process_irq_flag, acquire_irq_state, release_irq_state).
 */
import type { Env } from './env.ts';
import type { KfuncCall } from './kfunc-facts.ts';
import { accessMemory } from './memory.ts';
import { hold } from './references.ts';
import { setPointer, word } from './regs.ts';
import { fillSlot, forgetSlot, frameAt, slotIs, stackPlace } from './stack-objects.ts';
import { SLOT_BYTES, slotKinds, spilledAt } from './state/frame.ts';
import { AUX0, REF_OBJ_ID } from './state/layout.ts';
import { regTypes } from './state/reg-types.ts';

/** In AUX0 of the slot: who switched them off. */
const native = 1;
const byLock = 2;

const savers = { [native]: 'bpf_local_irq_save', [byLock]: 'bpf_res_spin_lock_irqsave' } as const;
/** As messages call them. */
const classes = { [native]: 'native', [byLock]: 'lock' } as const;

export function processIrqFlag(env: Env, call: KfuncCall, reg: number): void {
  const { name } = call.kfunc;
  const kind = name.includes('res_spin') ? byLock : native;
  const place = stackPlace(env, { reg, name: 'irq_flag', slots: 1 });
  if (name === savers[kind]) {
    const taken =
      place !== undefined &&
      !place.beyond &&
      slotIs(frameAt(env, place.frame), place.slot, { kind: slotKinds.irqFlag, part: 'any' });
    if (place === undefined || taken) {
      env.reject('EINVAL', `expected uninitialized irq flag as arg#${reg - 1}`);
    }
    accessMemory(env, { reg, off: 0, size: SLOT_BYTES, write: true, value: -1 });
    save(env, place, kind);
    return;
  }
  const frame = place === undefined ? undefined : frameAt(env, place.frame);
  const isFlag =
    place !== undefined &&
    frame !== undefined &&
    slotIs(frame, place.slot, { kind: slotKinds.irqFlag, part: 'all' }) &&
    word(frame, spilledAt(place.slot), REF_OBJ_ID) !== 0;
  if (place === undefined || !isFlag) {
    env.reject('EINVAL', `expected an initialized irq flag as arg#${reg - 1}`);
  }
  env.stackLiveness.read(place.frame, place.slot);
  restore(env, place, kind);
}

function save(env: Env, place: { frame: number; slot: number }, kind: typeof native | typeof byLock): void {
  const frame = frameAt(env, place.frame);
  const r = spilledAt(place.slot);
  const id = env.newId();
  hold(env, { id, kind: 'irq' });
  env.state.irqId = id;
  setPointer(frame, r, regTypes.stack);
  frame.i32[2 * r + REF_OBJ_ID] = id;
  frame.i32[2 * r + AUX0] = kind;
  fillSlot(frame, place.slot, slotKinds.irqFlag);
  env.stackLiveness.write(place.frame, place.slot);
  env.touchSlot(place.slot);
}

function restore(
  env: Env,
  place: { frame: number; slot: number },
  kind: typeof native | typeof byLock,
): void {
  const frame = frameAt(env, place.frame);
  const r = spilledAt(place.slot);
  const made = word(frame, r, AUX0) === byLock ? byLock : native;
  if (made !== kind) {
    env.reject(
      'EINVAL',
      `irq flag acquired by ${classes[made]} kfuncs cannot be restored with ${classes[kind]} kfuncs`,
    );
  }
  const id = word(frame, r, REF_OBJ_ID);
  if (id !== env.state.irqId) {
    const last = env.state.refs.find((ref) => ref.id === env.state.irqId);
    env.reject(
      'EACCES',
      `cannot restore irq state out of order, expected id=${env.state.irqId} acquired at insn_idx=${last?.insn ?? -1}`,
    );
  }
  const { refs } = env.state;
  env.state.refs = refs.filter((ref) => ref.id !== id);
  env.state.irqId = lastIrq(env);
  forgetSlot(env, place);
}

function lastIrq(env: Env): number {
  const irqs = env.state.refs.filter((ref) => ref.kind === 'irq');
  return irqs[irqs.length - 1]?.id ?? 0;
}
