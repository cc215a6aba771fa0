/**
 * bpf_map_lookup_elem() in a map that is known when the program is translated. Values of array kinds lie side
 * by side at an address that does not change while the program lives (maps/layout.ts), so looking one up is
 * a comparison and a sum; other kinds are asked by a call with nothing but 32-bit numbers.
 */
import { mapHeader } from '../../../maps/layout.ts';
import { ProgArrayMap } from '../../../maps/prog-array.ts';
import type { BpfMap } from '../../../maps/types.ts';
import { mapTypes } from '../../../uapi/map-types.ts';
import type { Code, Local } from '../wasm/index.ts';
import type { Found } from './block-values.ts';
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

export interface ArrayLayout {
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

/** The key is at r2; the address of the value, or 0, goes into r0. */
export function writeLookup(frame: Frame, shared: Shared, known: KnownMap): void {
  const { code } = frame;
  if (hasMapFunction(known.map, 'lookup')) {
    frame.get32(2);
    code.call(shared.mapFunction('lookup', known));
  } else {
    code.i32(known.index);
    frame.get32(2);
    code.call(shared.imported('lookup'));
  }
  frame.set32(0);
}

/** The local that has how far the values of the running CPU are from those of the first. */
const cpuOffset = (frame: Frame, cpuStride: number): Local => frame.temporary(`cpu${cpuStride}`, 'i32');

/** Sets these locals for the lookups of a function: a run stays on its CPU. */
export function writeCpuOffsets(frame: Frame, shared: Shared, maps: Iterable<KnownMap | undefined>): void {
  const { code } = frame;
  const strides = new Set([...maps].map((known) => known?.array?.cpuStride ?? 0));
  strides.delete(0);
  for (const stride of strides) {
    code.i32(shared.scratch);
    code.access('i32.load', CPU);
    code.i32(stride);
    code.op('i32.mul');
    code.set(cpuOffset(frame, stride));
  }
}

/**
 * A lookup in an array. The key is at r2, or in the register `key` where that is given, and it is `most` at most where that is known; the
 * address of the value, or 0, goes into r0.
 */
export function writeArrayLookup(
  frame: Frame,
  array: ArrayLayout,
  { key, most }: { key: number | undefined; most: number | undefined },
): Found {
  const { code } = frame;
  const { maxEntries: entries, stride, values, cpuStride } = array;
  const index = frame.temporary('index', 'i32');
  if (key === undefined) {
    frame.get32(2);
    code.access('i32.load');
  } else {
    frame.get32(key);
  }
  code.set(index);
  const address = (): void => {
    code.get(index);
    code.i32(stride);
    code.op('i32.mul');
    code.i32(values);
    code.op('i32.add');
    if (cpuStride === 0) return;
    code.get(cpuOffset(frame, cpuStride));
    code.op('i32.add');
  };
  if (most !== undefined && most < entries) {
    address();
    frame.set32(0);
    return 'always';
  }
  writeIsBelow(code, index, entries);
  code.if('i32');
  address();
  code.else();
  code.i32(0);
  code.end();
  frame.set32(0);
  return { index, entries };
}

function writeIsBelow(code: Code, index: Local, entries: number): void {
  code.get(index);
  code.i32(entries);
  code.op('i32.lt_u');
}

/** Puts on the stack whether a lookup found something, or nothing: what a test of its result against 0 says. */
export function writeFound({ code }: Frame, found: Found, wanted: boolean): void {
  if (found === 'always') {
    code.i32(wanted ? 1 : 0);
    return;
  }
  writeIsBelow(code, found.index, found.entries);
  if (!wanted) code.op('i32.eqz');
}
