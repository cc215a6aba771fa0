/**
 * BPF_MAP_TYPE_PERCPU_ARRAY: an array for each CPU. A program sees the value of the CPU it runs on; user
 * space reads and writes all CPUs' values of a key at once, each padded to eight bytes.
 */
import { roundUp } from '../base/bytes.ts';
import { errnos } from '../uapi/errno.ts';
import { allocMap, arrayUpdateError, checkArrayDef, nextIndex, userIndex } from './array.ts';
import { ACCESS_FLAGS, tooBig } from './flags.ts';
import { mapHeader } from './layout.ts';
import type { BpfMap, MapContext, MapDef } from './types.ts';

/** PCPU_MIN_UNIT_SIZE: the largest per-CPU allocation of Linux. */
const PER_CPU_MAX = 32768;

export class PercpuArrayMap implements BpfMap {
  readonly def: MapDef;
  readonly address: number;
  readonly userValueSize: number;
  readonly valueAddress = undefined;
  private readonly context: MapContext;
  private readonly values: number;
  private readonly stride: number;
  private readonly cpuStride: number;

  constructor(def: MapDef, context: MapContext) {
    checkArrayDef(def, ACCESS_FLAGS);
    this.def = def;
    this.context = context;
    this.stride = roundUp(def.valueSize, 8);
    if (this.stride > PER_CPU_MAX) throw tooBig(`a per-CPU value of ${def.valueSize} bytes`);
    this.userValueSize = this.stride * context.cpus;
    this.cpuStride = this.stride * def.maxEntries;
    const { memory } = context;
    const made = allocMap(def, context, { storage: this.cpuStride * context.cpus });
    this.address = made.address;
    this.values = made.storage;
    memory.view.setUint32(this.address + mapHeader.values, this.values, true);
    memory.view.setUint32(this.address + mapHeader.stride, this.stride, true);
    memory.view.setUint32(this.address + mapHeader.cpuStride, this.cpuStride, true);
  }

  private slot(index: number, cpu: number): number {
    return this.values + cpu * this.cpuStride + index * this.stride;
  }

  lookup(key: number, cpu: number): number {
    const index = this.context.memory.view.getUint32(key, true);
    return index < this.def.maxEntries ? this.slot(index, cpu) : 0;
  }

  update(key: number, value: number, flags: bigint, cpu: number): number {
    const { view, u8 } = this.context.memory;
    const index = view.getUint32(key, true);
    const error = arrayUpdateError(index, flags, this.def.maxEntries);
    if (error === 0) u8.copyWithin(this.slot(index, cpu), value, value + this.def.valueSize);
    return error;
  }

  delete(): number {
    return -errnos.EINVAL;
  }

  userLookup(key: Uint8Array, value: Uint8Array): number {
    const index = userIndex(key);
    if (index >= this.def.maxEntries) return -errnos.ENOENT;
    const { u8 } = this.context.memory;
    for (let cpu = 0; cpu < this.context.cpus; cpu++) {
      const from = this.slot(index, cpu);
      value.set(u8.subarray(from, from + this.stride), cpu * this.stride);
    }
    return 0;
  }

  userUpdate(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const index = userIndex(key);
    const error = arrayUpdateError(index, flags, this.def.maxEntries);
    if (error !== 0) return error;
    const { u8 } = this.context.memory;
    for (let cpu = 0; cpu < this.context.cpus; cpu++) {
      const from = cpu * this.stride;
      u8.set(value.subarray(from, from + this.def.valueSize), this.slot(index, cpu));
    }
    return 0;
  }

  userDelete(): number {
    return -errnos.EINVAL;
  }

  userNextKey(key: Uint8Array | undefined, next: Uint8Array): number {
    return nextIndex(key, next, this.def.maxEntries);
  }

  destroy(): void {
    this.context.memory.free(this.values);
    this.context.memory.free(this.address);
  }
}
