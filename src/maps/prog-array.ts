/**
 * BPF_MAP_TYPE_PROG_ARRAY: program ids by index, 0 where there is none; what bpf_tail_call() jumps through.
 * User space writes fds, which the kernel turns into ids before they come here, and reads ids. Programs
 * cannot look into it.
 */
import { Bug } from '../base/errors.ts';
import { errnos } from '../uapi/errno.ts';
import { allocMap, checkArrayDef, nextIndex, userIndex } from './array.ts';
import { invalid, mapFlags, updateFlags } from './flags.ts';
import { mapHeader } from './layout.ts';
import type { BpfMap, MapContext, MapDef } from './types.ts';

const ID_BYTES = 4;

export class ProgArrayMap implements BpfMap {
  readonly def: MapDef;
  readonly address: number;
  readonly userValueSize = ID_BYTES;
  readonly valueAddress = undefined;
  private readonly context: MapContext;
  private readonly ids: number;
  /** Where an engine may note, for each index, what it knows of the program there; 0 whenever that changes. */
  readonly targets: number;

  constructor(def: MapDef, context: MapContext) {
    if (def.valueSize !== ID_BYTES)
      throw invalid(`the value of a program array has 4 bytes, not ${def.valueSize}`);
    checkArrayDef(def, mapFlags.NUMA_NODE | mapFlags.RDONLY | mapFlags.WRONLY);
    this.def = def;
    this.context = context;
    const { memory } = context;
    const made = allocMap(def, context, { storage: 2 * ID_BYTES * def.maxEntries });
    this.address = made.address;
    this.ids = made.storage;
    this.targets = this.ids + ID_BYTES * def.maxEntries;
    memory.view.setUint32(this.address + mapHeader.values, this.ids, true);
    memory.view.setUint32(this.address + mapHeader.stride, ID_BYTES, true);
  }

  /** The id at `index`; 0 where the slot is empty or there is no such slot. */
  programId(index: number): number {
    if (index >= this.def.maxEntries) return 0;
    return this.context.memory.view.getUint32(this.ids + index * ID_BYTES, true);
  }

  lookup(): number {
    return notForPrograms();
  }

  update(): number {
    return notForPrograms();
  }

  delete(): number {
    return notForPrograms();
  }

  userLookup(key: Uint8Array, value: Uint8Array): number {
    const id = this.programId(userIndex(key));
    if (id === 0) return -errnos.ENOENT;
    new DataView(value.buffer, value.byteOffset, ID_BYTES).setUint32(0, id, true);
    return 0;
  }

  /** `value` is a program id. */
  userUpdate(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const index = userIndex(key);
    if (flags !== updateFlags.ANY) return -errnos.EINVAL;
    if (index >= this.def.maxEntries) return -errnos.E2BIG;
    const { u8, view } = this.context.memory;
    u8.set(value.subarray(0, ID_BYTES), this.ids + index * ID_BYTES);
    view.setUint32(this.targets + index * ID_BYTES, 0, true);
    return 0;
  }

  userDelete(key: Uint8Array): number {
    const index = userIndex(key);
    if (index >= this.def.maxEntries) return -errnos.E2BIG;
    if (this.programId(index) === 0) return -errnos.ENOENT;
    const { view } = this.context.memory;
    view.setUint32(this.ids + index * ID_BYTES, 0, true);
    view.setUint32(this.targets + index * ID_BYTES, 0, true);
    return 0;
  }

  userNextKey(key: Uint8Array | undefined, next: Uint8Array): number {
    return nextIndex(key, next, this.def.maxEntries);
  }

  destroy(): void {
    this.context.memory.free(this.ids);
    this.context.memory.free(this.address);
  }
}

function notForPrograms(): never {
  throw new Bug('a program reached into a program array; the verifier refuses that');
}
