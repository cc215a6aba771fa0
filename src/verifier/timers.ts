/** Timers, work queues and task work in map values: which one a call is about, and of which map. */
import { isConst } from './domain/index.ts';
import type { Env } from './env.ts';
import { fieldOf, mapBtf, mapFields } from './fields.ts';
import type { KfuncCall } from './kfunc-facts.ts';
import { word } from './regs.ts';
import { regAt } from './state/frame.ts';
import { AUX0, AUX1, OFF, TNUM_VALUE } from './state/layout.ts';

interface FieldUse {
  readonly kind: 'timer' | 'taskWork';
  /** As messages call the struct, and what such a thing is. */
  readonly struct: string;
}

/** Whether a register points to such a field (check_map_field_pointer). */
function checkFieldPointer(env: Env, reg: number, use: FieldUse): void {
  const file = env.frame;
  const r = regAt(reg);
  if (!isConst(file, r)) {
    env.reject(
      'EINVAL',
      `R${reg} doesn't have constant offset. ${use.struct} has to be at the constant offset`,
    );
  }
  const map = env.map(word(file, r, AUX0));
  if (mapBtf(map) === undefined) {
    env.reject('EINVAL', `map '${map.name}' has to have BTF in order to use ${use.struct}`);
  }
  const field = fieldOf(mapFields(map), use.kind);
  if (field === undefined) env.reject('EINVAL', `map '${map.name}' has no valid ${use.struct}`);
  const off = word(file, r, OFF) + Number(file.i64[r + TNUM_VALUE]);
  if (off !== field.offset) {
    env.reject('EINVAL', `off ${off} doesn't point to 'struct ${use.struct}' that is at ${field.offset}`);
  }
}

/** process_timer_func; yields the map and what tells inner maps apart. */
export function processTimer(env: Env, reg: number): { map: number; uid: number } {
  checkFieldPointer(env, reg, { kind: 'timer', struct: 'bpf_timer' });
  const r = regAt(reg);
  return { map: word(env.frame, r, AUX0), uid: word(env.frame, r, AUX1) };
}

export function processWq(env: Env, call: KfuncCall, reg: number): void {
  const file = env.frame;
  const r = regAt(reg);
  const map = env.map(word(file, r, AUX0));
  const off = word(file, r, OFF) + Number(file.i64[r + TNUM_VALUE]);
  const at = fieldOf(mapFields(map), 'wq')?.offset ?? -22;
  if (at !== off) env.reject('EINVAL', `off ${off} doesn't point to 'struct bpf_wq' that is at ${at}`);
  call.map = word(file, r, AUX0);
  call.mapUid = word(file, r, AUX1);
}

export function processTaskWork(env: Env, call: KfuncCall, reg: number): void {
  checkFieldPointer(env, reg, { kind: 'taskWork', struct: 'bpf_task_work' });
  const r = regAt(reg);
  call.map = word(env.frame, r, AUX0);
  call.mapUid = word(env.frame, r, AUX1);
}
