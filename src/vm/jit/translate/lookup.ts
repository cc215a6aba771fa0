/**
 * bpf_map_lookup_elem() in a map that is known when the program is translated. Values of array kinds lie side
 * by side at an address that does not change while the program lives (maps/layout.ts), so looking one up is
 * a comparison and a sum; other kinds are asked by a call with nothing but 32-bit numbers.
 */
import { mapHeader } from '../../../maps/layout.ts';
import { ProgArrayMap } from '../../../maps/prog-array.ts';
import type { BpfMap } from '../../../maps/types.ts';
import { mapTypes } from '../../../uapi/map-types.ts';
import type { Shared } from './calls.ts';
import type { Frame } from './frame.ts';
import { CPU } from './layout.ts';
import { hasMapFunction } from './map-functions.ts';

/** A map of the program: its place among the program's maps, and how it lies where it is an array. */
export interface KnownMap {
  readonly index: number;
  readonly map: BpfMap;
  readonly array: ArrayLayout | undefined;
  /** Of a program array: where the host notes which functions its programs are. */
  readonly targets: number | undefined;
}

interface ArrayLayout {
  readonly maxEntries: number;
  readonly values: number;
  readonly stride: number;
  /** Zero where all CPUs share the values. */
  readonly cpuStride: number;
}

/** What the map's header says of it. */
export function mapLayout(map: BpfMap, view: DataView): Omit<KnownMap, 'index'> {
  const { type } = map.def;
  if (type !== mapTypes.array.id && type !== mapTypes.percpu_array.id)
    return { map, array: undefined, targets: map instanceof ProgArrayMap ? map.targets : undefined };
  const field = (offset: number) => view.getUint32(map.address + offset, true);
  return {
    map,
    targets: undefined,
    array: {
      maxEntries: field(mapHeader.maxEntries),
      values: field(mapHeader.values),
      stride: field(mapHeader.stride),
      cpuStride: type === mapTypes.array.id ? 0 : field(mapHeader.cpuStride),
    },
  };
}

/** The key is at r2, or in the register `key` where that is given; the address of the value, or 0, goes into r0. */
export function writeLookup(
  frame: Frame,
  shared: Shared,
  { known, key }: { known: KnownMap; key: number | undefined },
): void {
  const { code } = frame;
  const { index, array, map } = known;
  if (array === undefined) {
    if (hasMapFunction(map, 'lookup')) {
      frame.get32(2);
      code.call(shared.mapFunction('lookup', known));
    } else {
      code.i32(index);
      frame.get32(2);
      code.call(shared.imported('lookup'));
    }
    frame.set32(0);
    return;
  }
  const element = frame.temporary('index', 'i32');
  if (key === undefined) {
    frame.get32(2);
    code.access('i32.load');
  } else {
    frame.get32(key);
  }
  code.tee(element);
  code.i32(array.maxEntries);
  code.op('i32.lt_u');
  code.if('i32');
  code.get(element);
  code.i32(array.stride);
  code.op('i32.mul');
  code.i32(array.values);
  code.op('i32.add');
  if (array.cpuStride !== 0) {
    code.i32(shared.scratch);
    code.access('i32.load', CPU);
    code.i32(array.cpuStride);
    code.op('i32.mul');
    code.op('i32.add');
  }
  code.else();
  code.i32(0);
  code.end();
  frame.set32(0);
}
