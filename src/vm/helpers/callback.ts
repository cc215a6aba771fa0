/** Helpers that call a function of the program again and again: bpf_loop() and bpf_for_each_map_elem(). */
import { errnos } from '../../uapi/errno.ts';
import { mapTypeName } from '../../uapi/map-types.ts';
import { mapArgument } from './map.ts';
import { type Helper, type HelperCall, returnInt } from './types.ts';

/** BPF_MAX_LOOPS */
const LOOPS_MAX = 8 * 1024 * 1024;

/** Whether the callback, with these arguments, wants to be called again. */
function goesOn(call: HelperCall, target: number, args: readonly (number | bigint)[]): boolean {
  args.forEach((value, i) => {
    call.u64[1 + i] = BigInt(value);
  });
  call.callback(target);
  return call.u64[0] === 0n;
}

/** (nr_loops, callback, ctx, flags): how often it was called. */
export const loop: Helper = (call) => {
  if (call.u64[4] !== 0n) return returnInt(call, -errnos.EINVAL);
  const rounds = call.u32[2]!;
  if (rounds > LOOPS_MAX) return returnInt(call, -errnos.E2BIG);
  const target = call.u32[4]!;
  const context = call.u64[3]!;
  let round = 0;
  while (round < rounds) if (!goesOn(call, target, [round++, context])) break;
  returnInt(call, round);
};

/** (map, callback, ctx, flags): how many elements it was called with. */
export const forEachMapElem: Helper = (call) => {
  const map = mapArgument(call);
  if (call.u64[4] !== 0n) return returnInt(call, -errnos.EINVAL);
  const target = call.u32[4]!;
  const context = call.u64[3]!;
  const { memory } = call.runtime;
  const cpu = call.runtime.cpu();
  const isArray = mapTypeName(map.def.type)?.endsWith('array') === true;
  const key = new Uint8Array(map.def.keySize);
  const at = memory.alloc(map.def.keySize);
  let count = 0;
  try {
    let found = map.userNextKey(undefined, key) === 0;
    while (found) {
      memory.u8.set(key, at);
      const value = map.lookup(at, cpu);
      // The next key first: the callback may delete this one.
      found = map.userNextKey(key.slice(), key) === 0;
      count++;
      const args = [map.address, at, value, context];
      if (!goesOn(call, target, args) || (isArray && count === map.def.maxEntries)) break;
    }
  } finally {
    memory.free(at);
  }
  returnInt(call, count);
};
