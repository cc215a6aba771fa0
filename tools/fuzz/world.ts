/**
 * The world that generated programs live in: a few small maps with known contents, one packet, one context.
 * Both kernels are set up from these tables. Programs name a map by the fd that stands here.
 */

import { type BpfMap, createMap, type MapDef, ProgArrayMap } from '../../src/maps/index.ts';
import { createMemory } from '../../src/memory/index.ts';
import type { KernelMemory } from '../../src/memory/types.ts';
import type { MapFacts } from '../../src/verifier/types.ts';
import type { Executable, Runtime, Task } from '../../src/vm/types.ts';
import { type FuzzedType, fuzzedTypes } from './candidate.ts';
import type { Random } from './random.ts';

const HASH = 1;
const ARRAY = 2;
export const PROG_ARRAY = 3;
const PERCPU_ARRAY = 6;
const F_RDONLY_PROG = 128;
const F_WRONLY_PROG = 256;

export const FIRST_MAP_FD = 100;

export interface WorldMap {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly frozen: boolean;
  /** What a program may do with its values. */
  readonly access: 'rw' | 'r' | 'w' | 'none';
  /** How many entries there are at first: keys are 0, 1 … in keySize bytes. */
  readonly filled: number;
}

const plain = { type: ARRAY, keySize: 4, flags: 0, frozen: false, access: 'rw' } as const;
export const worldMaps: readonly WorldMap[] = [
  { ...plain, name: 'one', valueSize: 16, maxEntries: 1, filled: 1 },
  { ...plain, name: 'four', valueSize: 48, maxEntries: 4, filled: 4 },
  { ...plain, name: 'hash', type: HASH, keySize: 8, valueSize: 24, maxEntries: 8, filled: 3 },
  { ...plain, name: 'percpu', type: PERCPU_ARRAY, valueSize: 8, maxEntries: 2, filled: 2 },
  {
    ...plain,
    name: 'fixed',
    valueSize: 64,
    maxEntries: 1,
    filled: 1,
    flags: F_RDONLY_PROG,
    frozen: true,
    access: 'r',
  },
  { ...plain, name: 'odd', valueSize: 13, maxEntries: 2, filled: 2, flags: F_WRONLY_PROG, access: 'w' },
  ...fuzzedTypes.map((type) => ({
    ...plain,
    name: `jumps_${type.slice(0, 6)}`,
    type: PROG_ARRAY,
    valueSize: 4,
    maxEntries: 2,
    filled: 0,
    access: 'none' as const,
  })),
];

/** The first so many maps have values. */
export const valueMaps = worldMaps.length - fuzzedTypes.length;

/** Program arrays, all empty: one for each program type, as Linux wants it. */
export const jumpsFds = Object.fromEntries(
  fuzzedTypes.map((type, i) => [type, FIRST_MAP_FD + valueMaps + i]),
) as Record<FuzzedType, number>;

export function roundUp8(size: number): number {
  return (size + 7) & ~7;
}

/** Bytes of a value as user space sees it, on the one CPU that runs. */
export function userValueSize(map: WorldMap): number {
  return map.type === PERCPU_ARRAY ? roundUp8(map.valueSize) : map.valueSize;
}

export function entryKey(map: WorldMap, index: number): Uint8Array {
  const key = new Uint8Array(map.keySize);
  key[0] = index;
  return key;
}

export function entryValue(map: WorldMap, index: number): Uint8Array {
  const number = worldMaps.indexOf(map);
  return Uint8Array.from(
    { length: userValueSize(map) },
    (_, i) => (number * 59 + index * 17 + i * 31 + 3) & 0xff,
  );
}

/** An Ethernet frame with its bytes in no particular order, the same in every run. */
export function packetBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 73 + 5) & 0xff);
}

/** The words of a tracepoint's context: small, large, negative. */
export function contextBytes(words: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(96);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of words.entries()) view.setBigUint64(8 * i, BigInt.asUintN(64, word), true);
  return bytes;
}

/** Words that matter, and bytes of them. */
export function fillRandom(bytes: Uint8Array, random: Random): void {
  for (let at = 0; at < bytes.length; at += 8) {
    const word = random.word();
    for (let i = 0; i < 8 && at + i < bytes.length; i++)
      bytes[at + i] = Number((word >> BigInt(8 * i)) & 0xffn);
  }
}

const task: Task = { pid: 1, tgid: 1, uid: 0, gid: 0, comm: 'fuzz' };

/** The embedded side: memory, maps, and what helpers ask for, all fixed. */
export class World implements Runtime {
  readonly cpus = 1;
  readonly memory: KernelMemory = createMemory({ limitBytes: 4 << 20 });
  readonly maps: readonly BpfMap[];
  readonly facts: readonly MapFacts[];
  private readonly byAddress: ReadonlyMap<number, BpfMap>;

  constructor() {
    this.maps = worldMaps.map((map) => {
      const def: MapDef = { ...map, mapExtra: 0n };
      return createMap(def, { memory: this.memory, cpus: 1, random: () => 7 });
    });
    this.byAddress = new Map(this.maps.map((map) => [map.address, map]));
    this.facts = worldMaps.map((map, i) => this.factsOf(map, this.maps[i] as BpfMap));
    this.reset();
  }

  private factsOf(map: WorldMap, real: BpfMap): MapFacts {
    const constant = entryValue(map, 0);
    return {
      handle: real,
      id: worldMaps.indexOf(map) + 1,
      name: map.name,
      type: map.type,
      keySize: map.keySize,
      valueSize: map.valueSize,
      maxEntries: map.maxEntries,
      flags: map.flags,
      frozen: map.frozen,
      address: real.address,
      valueAddress: real.valueAddress,
      readConstant: map.frozen
        ? (offset, size) =>
            offset >= 0 && offset + size <= constant.length
              ? constant.slice(offset, offset + size)
              : undefined
        : undefined,
    };
  }

  /** Puts every map back to what it holds at first, or to random values (frozen ones stay). */
  reset(random?: Random): void {
    for (const [i, map] of worldMaps.entries()) {
      const real = this.maps[i] as BpfMap;
      if (real instanceof ProgArrayMap) continue;
      if (map.type === HASH) for (const [key] of entriesOf(real)) real.userDelete(key);
      for (let entry = 0; entry < map.filled; entry++) {
        const value = entryValue(map, entry);
        if (random !== undefined && !map.frozen) fillRandom(value, random);
        real.userUpdate(entryKey(map, entry), value, 0n);
      }
    }
  }

  /** Every entry of every map as text, in the order of keys: what a run is compared by. */
  dump(): string {
    return worldMaps
      .map((map, i) => dumpText(map, map.access === 'none' ? [] : entriesOf(this.maps[i] as BpfMap)))
      .join('\n');
  }

  ktimeNs(): bigint {
    return 1_000_000_007n;
  }
  random(): number {
    return 0xdeadbeef;
  }
  cpu(): number {
    return 0;
  }
  task(): Task {
    return task;
  }
  mapAt(address: number): BpfMap | undefined {
    return this.byAddress.get(address);
  }
  progAt(): Executable | undefined {
    return undefined;
  }
  trace(): void {}
}

export type Entry = readonly [key: Uint8Array, value: Uint8Array];

function entriesOf(map: BpfMap): Entry[] {
  const entries: Entry[] = [];
  let key: Uint8Array | undefined;
  for (;;) {
    const next = new Uint8Array(map.def.keySize);
    if (map.userNextKey(key, next) !== 0) return entries;
    const value = new Uint8Array(map.userValueSize);
    map.userLookup(next, value);
    entries.push([next, value]);
    key = next;
  }
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

export function dumpText(map: WorldMap, entries: readonly Entry[]): string {
  const rows = entries.map(([key, value]) => `${hex(key)}=${hex(value)}`).sort();
  return `${map.name}: ${rows.join(' ')}`;
}
