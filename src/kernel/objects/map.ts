/**
 * A map as the kernel holds it: the map kind's own object, its name, BTF and rights, and for a program array
 * the references to its programs. The array's memory holds only their ids.
 */
import type { BpfMap } from '../../maps/types.ts';
import { mapTypeName, mapTypes } from '../../uapi/map-types.ts';
import type { BtfObject } from './btf.ts';
import { KernelObject, type Registry } from './object.ts';
import type { ProgObject } from './program.ts';

/** BPF_F_RDONLY_PROG: programs may not write it. */
export const F_RDONLY_PROG = 1 << 7;
/** BPF_F_MMAPABLE. */
export const F_MMAPABLE = 1 << 10;

/** What all programs of one program array have in common (bpf_prog_map_compatible); the first one sets it. */
export interface ProgArrayOwner {
  readonly type: number;
  readonly expectedAttachType: number;
  readonly xdpHasFrags: boolean;
}

export interface MapObjectInit {
  readonly map: BpfMap;
  /** Maps of maps: what the maps inside look like. */
  readonly inner?: MapObject | undefined;
  readonly btf?: BtfObject | undefined;
  readonly btfKeyTypeId: number;
  readonly btfValueTypeId: number;
  readonly registry: Registry<MapObject>;
  /** Told when the map goes, before its memory does. */
  readonly onRelease: (map: MapObject) => void;
}

export class MapObject extends KernelObject {
  readonly kind = 'map';
  readonly id: number;
  readonly map: BpfMap;
  readonly inner: MapObject | undefined;
  readonly btf: BtfObject | undefined;
  readonly btfKeyTypeId: number;
  readonly btfValueTypeId: number;
  /** BPF_MAP_FREEZE: user space can no longer write. */
  frozen = false;
  /** Writable mappings, which forbid freezing. */
  writers = 0;
  /** An arena: whether it is settled where user space sees it, by `map_extra` or by the first mmap(2). */
  hasUserAddress: boolean;
  owner: ProgArrayOwner | undefined;
  /** Program arrays: the program of each slot in use. */
  readonly programs = new Map<number, ProgObject>();
  #users = 1;
  readonly #init: MapObjectInit;

  constructor(init: MapObjectInit) {
    super();
    this.#init = init;
    this.map = init.map;
    this.hasUserAddress = init.map.def.mapExtra !== 0n;
    this.inner = init.inner?.get();
    this.btf = init.btf?.get();
    this.btfKeyTypeId = init.btfKeyTypeId;
    this.btfValueTypeId = init.btfValueTypeId;
    this.id = init.registry.add(this);
  }

  /** Whether it exists for the verifier alone. */
  get isVerifiedOnly(): boolean {
    const name = mapTypeName(this.map.def.type);
    return name !== undefined && mapTypes[name].label === 'verified-only';
  }

  get isProgArray(): boolean {
    return this.map.def.type === mapTypes.prog_array.id;
  }

  override userGet(): this {
    this.#users++;
    return this.get();
  }

  /**
   * A program array is emptied when user space lets go of it (bpf_map_put_uref), or a program that tail
   * calls into an array that holds it would keep both for ever.
   */
  override userPut(): void {
    if (--this.#users === 0) this.#clearPrograms();
    this.put();
  }

  #clearPrograms(): void {
    const key = new Uint8Array(4);
    for (const [index, program] of this.programs) {
      new DataView(key.buffer).setUint32(0, index, true);
      this.map.userDelete(key);
      program.put();
    }
    this.programs.clear();
  }

  protected release(): void {
    this.#init.registry.remove(this.id);
    this.#init.onRelease(this);
    this.#clearPrograms();
    this.btf?.put();
    this.inner?.put();
    this.map.destroy();
  }
}
