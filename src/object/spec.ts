/**
 * Specs: plain, cloneable, printable data that describes what will be loaded. A user may edit one
 * (constants, sizes, attach targets) before `load()` makes live handles of it (user/).
 */

import type { CoreRelocation } from '../btf/core/relocation.ts';

/** A place in a program's instructions that names something to be resolved at load. */
export type SpecReference =
  /** Two-slot load at `slot` of a map's fd. */
  | { readonly kind: 'map'; readonly slot: number; readonly map: string }
  /** Two-slot load of an address in a map's (only) value: `.data`, `.rodata`, `.bss` variables. */
  | { readonly kind: 'mapValue'; readonly slot: number; readonly map: string; readonly offset: number };

/** An instruction that wants a variable or function of the kernel: a two-slot load, or a call. */
export interface SymbolReference {
  readonly slot: number;
  /** A key of the collection's `externs`. */
  readonly symbol: string;
  readonly isCall: boolean;
}

/**
 * What an object wants from the kernel by name. A weak one that the kernel does not have is 0. `btfTypeId` is in
 * the collection's BTF.
 */
export type ExternSpec =
  /** A value of the kernel's configuration: `load()` puts it into the map at `offset`. */
  | {
      readonly kind: 'config';
      readonly weak: boolean;
      readonly btfTypeId: number;
      readonly map: string;
      readonly offset: number;
    }
  /** A variable of the kernel; of type 0 where only its address is wanted. */
  | { readonly kind: 'variable'; readonly weak: boolean; readonly btfTypeId: number }
  /** A kfunc; the type is its prototype. */
  | { readonly kind: 'function'; readonly weak: boolean; readonly btfTypeId: number };

export interface ProgramSpec {
  /** The function's name in C. */
  name: string;
  /** The ELF section, as in SEC() but for a leading question mark: 'xdp', 'tracepoint/syscalls/sys_enter_read'. */
  section: string;
  /**
   * BPF_PROG_TYPE_* and BPF_* attach type, from the section's name. A type of 0 is for whoever loads it to say:
   * the name is none of libbpf's.
   */
  progType: number;
  expectedAttachType: number;
  progFlags: number;
  /** What the section's name says to attach to: 'syscalls/sys_enter_read', 'sys_enter'. */
  attachTo: string | undefined;
  /** Whether `load()` loads it; SEC("?…") makes it false. */
  autoload: boolean;
  license: string;
  /**
   * Raw instructions, subprograms appended and calls to them resolved; loads named in `references` are
   * patched at load.
   */
  insns: Uint8Array;
  references: SpecReference[];
  /** Instructions that name symbols of the kernel. */
  symbols?: readonly SymbolReference[];
  /** BTF.ext records for this program with instruction offsets in slots, 8 and 16 bytes each. */
  funcInfo: Uint8Array | undefined;
  lineInfo: Uint8Array | undefined;
  /**
   * What the instructions hold of the types of the machine they were compiled for; `load()` puts in what is
   * so on the kernel that it loads into.
   */
  coreRelocations?: readonly CoreRelocation[];
}

export interface MapSpec {
  name: string;
  /** BPF_MAP_TYPE_*. */
  type: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
  mapExtra: bigint;
  /** The NUMA node to allocate on; only looked at with BPF_F_NUMA_NODE in `flags`. */
  numaNode?: number;
  /** 'none', or 'byName': pinned under the BPF file system by its name, and reused from there. */
  pinning: 'none' | 'byName';
  /** The folder of a pinned map below that of the load: 'tc/globals' for maps that tc shares. */
  pinFolder?: string;
  /** BTF type ids in the collection's BTF; 0 where there is none. */
  btfKeyTypeId: number;
  btfValueTypeId: number;
  /** The type of the value in the kernel's BTF, which `load()` finds for a struct_ops map. */
  kernelValueTypeId?: number;
  /** A descriptor of the module's BTF that the type is in, where it is not in the kernel's. */
  kernelValueTypeFd?: number;
  inner: MapSpec | undefined;
  /**
   * Initial elements: raw key and either a raw value or the name of a map or program. An arena has at most one,
   * with an empty key: its first bytes.
   */
  contents: { key: Uint8Array; value: Uint8Array | { map: string } | { program: string } }[];
  /** Whether user space freezes it after filling it (`.rodata`). */
  freeze: boolean;
  /** False where `load()` does not make it: SEC("?.struct_ops"). */
  autocreate?: boolean;
  /** What a map of kind struct_ops makes of a struct of functions. */
  structOps?: StructOpsSpec;
}

/**
 * A struct of functions that programs implement for the kernel: a variable of SEC(".struct_ops"), or of
 * SEC(".struct_ops.link") where a link registers it. `load()` puts it into the shape that the kernel's struct
 * has.
 */
export interface StructOpsSpec {
  /** Of the struct as the object knows it, in its BTF. */
  readonly btfTypeId: number;
  /** Its bytes as initialized; those of functions are 0. */
  value: Uint8Array;
  /** By its member, the program that implements a function. */
  programs: Record<string, string>;
}

/** A global variable: a typed window into the value of a data map. */
export interface VariableSpec {
  name: string;
  map: string;
  offset: number;
  size: number;
  /** In the collection's BTF; 0 where there is none. */
  btfTypeId: number;
}

export interface CollectionSpec {
  programs: Record<string, ProgramSpec>;
  maps: Record<string, MapSpec>;
  variables: Record<string, VariableSpec>;
  /** Values of the kernel's configuration, its variables and functions, by name. */
  externs?: Readonly<Record<string, ExternSpec>>;
  /** LINUX_VERSION_CODE from SEC("version"); Linux has ignored it since 5.0. */
  kernVersion?: number;
  /** Raw BTF; undefined for an object without it. */
  btf: Uint8Array | undefined;
  byteOrder: 'little' | 'big';
}

/** A map with everything at zero. */
export function emptyMap(name: string): MapSpec {
  return {
    name,
    type: 0,
    keySize: 0,
    valueSize: 0,
    maxEntries: 0,
    flags: 0,
    mapExtra: 0n,
    pinning: 'none',
    btfKeyTypeId: 0,
    btfValueTypeId: 0,
    inner: undefined,
    contents: [],
    freeze: false,
  };
}
