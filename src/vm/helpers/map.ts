/** Helpers on maps: bpf_map_lookup_elem(), bpf_map_update_elem(), bpf_map_delete_elem(). */
import type { BpfMap } from '../../maps/types.ts';
import { type Helper, type HelperCall, returnInt, returnU32 } from './types.ts';

/** The map in register 1. */
export function mapArgument(call: HelperCall): BpfMap {
  const map = call.u32[3] === 0 ? call.runtime.mapAt(call.u32[2]!) : undefined;
  return map ?? call.fault(`no map at 0x${call.u64[1]!.toString(16)}`);
}

export const mapLookupElem: Helper = (call) => {
  const map = mapArgument(call);
  returnU32(call, map.lookup(call.argument(2, map.def.keySize), call.runtime.cpu()));
};

export const mapUpdateElem: Helper = (call) => {
  const map = mapArgument(call);
  const key = call.argument(2, map.def.keySize);
  const value = call.argument(3, map.def.valueSize);
  returnInt(call, map.update(key, value, call.u64[4]!, call.runtime.cpu()));
};

export const mapDeleteElem: Helper = (call) => {
  const map = mapArgument(call);
  returnInt(call, map.delete(call.argument(2, map.def.keySize)));
};

/** (map, key, cpu) */
export const mapLookupPercpuElem: Helper = (call) => {
  const map = mapArgument(call);
  const cpu = call.u32[6]!;
  returnU32(call, cpu < call.runtime.cpus ? map.lookup(call.argument(2, map.def.keySize), cpu) : 0);
};
