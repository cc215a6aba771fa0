/**
 * What one object became: its live programs, maps and variables, closed together.
 */
import { SkepError } from '../base/errors.ts';
import type { Value } from '../btf/index.ts';
import type { Mapping } from '../uapi/seam.ts';
import { closeAll } from './handle.ts';
import type { BpfMap } from './map.ts';
import type { Program } from './program.ts';
import type { StructOps } from './struct-ops.ts';
import type { Variable } from './variable.ts';

export class Collection {
  /** By their names in C. Look one up with `program(name)` for an error instead of undefined. */
  readonly programs: Readonly<Record<string, Program>>;
  readonly maps: Readonly<Record<string, BpfMap>>;
  readonly variables: Readonly<Record<string, Variable>>;
  /** Structs of functions that programs implement for the kernel, by their names in C. */
  readonly structOps: Readonly<Record<string, StructOps>>;
  readonly #arenas: readonly Mapping[];

  /** Made by `Kernel.load`. */
  constructor(parts: {
    programs: Record<string, Program>;
    maps: Record<string, BpfMap>;
    variables: Record<string, Variable>;
    structOps: Record<string, StructOps>;
    arenas: readonly Mapping[];
  }) {
    this.programs = parts.programs;
    this.maps = parts.maps;
    this.variables = parts.variables;
    this.structOps = parts.structOps;
    this.#arenas = parts.arenas;
  }

  /** @throws {SkepError} 'no-program', listing those that there are */
  program(name: string): Program {
    return find(this.programs, name, 'program');
  }

  /**
   * A map, with the types that the caller knows it to have.
   * @throws {SkepError} 'no-map', listing those that there are
   */
  map<K = Value, V = Value>(name: string): BpfMap<K, V> {
    return find(this.maps, name, 'map') as unknown as BpfMap<K, V>;
  }

  /** @throws {SkepError} 'no-variable', listing those that there are */
  variable<T = Value>(name: string): Variable<T> {
    return find(this.variables, name, 'variable') as unknown as Variable<T>;
  }

  /** Closes every program and map; what is pinned or attached by an open link lives on. */
  close(): void {
    const arenas = this.#arenas.map((arena) => ({ close: () => arena.unmap() }));
    closeAll([...arenas, ...Object.values(this.maps), ...Object.values(this.programs)]);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function find<T>(table: Readonly<Record<string, T>>, name: string, kind: string): T {
  const found = Object.hasOwn(table, name) ? table[name] : undefined;
  if (found !== undefined) return found;
  const names = Object.keys(table).join(', ');
  throw new SkepError({
    code: `no-${kind}`,
    message: `there is no ${kind} '${name}'`,
    hint: names === '' ? `the object has no ${kind}s` : `there are ${names}`,
  });
}
