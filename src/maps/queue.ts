/**
 * BPF_MAP_TYPE_QUEUE and STACK: values without keys, pushed, popped and looked at (bpf_map_push_elem() and its
 * siblings; from user space, update and lookup without a key). Values are in a circle with one place more than
 * fits, as in Linux (kernel/bpf/queue_stack_maps.c).
 */
import { errnos } from '../uapi/errno.ts';
import { mapTypes } from '../uapi/map-types.ts';
import { allocMap } from './array.ts';
import { definitionChecks } from './definitions.ts';
import { updateFlags } from './flags.ts';
import { mapHeader, queueHeader } from './layout.ts';
import type { BpfMap, MapContext, MapDef } from './types.ts';

export class QueueMap implements BpfMap {
  readonly def: MapDef;
  readonly address: number;
  readonly userValueSize: number;
  readonly valueAddress = undefined;
  private readonly context: MapContext;
  private readonly values: number;
  private readonly places: number;

  constructor(def: MapDef, context: MapContext) {
    definitionChecks.queue(def);
    this.def = def;
    this.context = context;
    this.userValueSize = def.valueSize;
    this.places = def.maxEntries + 1;
    const made = allocMap(def, context, {
      bytes: queueHeader.tail + 4,
      storage: this.places * def.valueSize,
    });
    this.address = made.address;
    this.values = made.storage;
    context.memory.view.setUint32(this.address + mapHeader.values, this.values, true);
  }

  private get(field: number): number {
    return this.context.memory.view.getUint32(this.address + field, true);
  }

  private set(field: number, index: number): void {
    this.context.memory.view.setUint32(this.address + field, index % this.places, true);
  }

  /** `write` gets the address of the new value's place. */
  private put(flags: bigint, write: (at: number) => void): number {
    if (flags === updateFlags.NOEXIST || flags > updateFlags.EXIST) return -errnos.EINVAL;
    const head = this.get(queueHeader.head);
    if ((head + 1) % this.places === this.get(queueHeader.tail)) {
      if (flags !== updateFlags.EXIST) return -errnos.E2BIG;
      this.set(queueHeader.tail, this.get(queueHeader.tail) + 1);
    }
    write(this.values + head * this.def.valueSize);
    this.set(queueHeader.head, head + 1);
    return 0;
  }

  /** `read` gets the address of the value that is next, or 0 where there is none. */
  private next(remove: boolean, read: (at: number) => void): number {
    const head = this.get(queueHeader.head);
    const tail = this.get(queueHeader.tail);
    if (head === tail) {
      read(0);
      return -errnos.ENOENT;
    }
    const isStack = this.def.type === mapTypes.stack.id;
    const index = isStack ? (head + this.places - 1) % this.places : tail;
    read(this.values + index * this.def.valueSize);
    if (remove) this.set(isStack ? queueHeader.head : queueHeader.tail, isStack ? index : tail + 1);
    return 0;
  }

  push(value: number, flags: bigint): number {
    const { memory } = this.context;
    return this.put(flags, (at) => memory.u8.copyWithin(at, value, value + this.def.valueSize));
  }

  /** Copies the next value to `value`, zeros where there is none; and takes it out where asked to. */
  peek(value: number, remove: boolean): number {
    const { u8 } = this.context.memory;
    const { valueSize } = this.def;
    return this.next(remove, (at) => {
      if (at === 0) u8.fill(0, value, value + valueSize);
      else u8.copyWithin(value, at, at + valueSize);
    });
  }

  lookup(): number {
    return 0;
  }
  update(): number {
    return -errnos.EINVAL;
  }
  delete(): number {
    return -errnos.EINVAL;
  }

  userLookup(_key: Uint8Array, value: Uint8Array): number {
    return this.userNext(value, false);
  }

  /** BPF_MAP_LOOKUP_AND_DELETE_ELEM */
  userPop(value: Uint8Array): number {
    return this.userNext(value, true);
  }

  private userNext(value: Uint8Array, remove: boolean): number {
    const { u8 } = this.context.memory;
    return this.next(remove, (at) => {
      if (at !== 0) value.set(u8.subarray(at, at + this.def.valueSize));
    });
  }

  userUpdate(_key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const { u8 } = this.context.memory;
    return this.put(flags, (at) => u8.set(value.subarray(0, this.def.valueSize), at));
  }

  userDelete(): number {
    return -errnos.EINVAL;
  }
  userNextKey(): number {
    return -errnos.EINVAL;
  }

  destroy(): void {
    this.context.memory.free(this.values);
    this.context.memory.free(this.address);
  }
}
