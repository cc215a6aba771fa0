/**
 * Global variables: typed windows into the values of data maps (`.data`, `.rodata`, `.bss`), before the
 * load in a spec and after it in a live map.
 */
import { SkepError } from '../base/errors.ts';
import { type Btf, type Codec, readBtf, type Value } from '../btf/index.ts';
import type { CollectionSpec, VariableSpec } from '../object/spec.ts';
import type { Mapping } from '../uapi/seam.ts';
import { elementCodec } from './element.ts';
import type { BpfMap } from './map.ts';

/** A global variable of a loaded collection. `TIn` is what may be written, where that is more than what is read. */
export class Variable<T = Value, TIn = T> {
  readonly name: string;
  readonly #spec: VariableSpec;
  readonly #map: BpfMap;
  readonly #codec: Codec;
  readonly #memory: Mapping | undefined;

  /** Made by `Kernel.load`; with `memory` for a variable of an arena. */
  constructor(
    spec: VariableSpec,
    map: BpfMap,
    { btf, memory }: { btf: (() => Btf) | undefined; memory?: Mapping | undefined },
  ) {
    this.name = spec.name;
    this.#memory = memory;
    this.#spec = spec;
    this.#map = map;
    this.#codec = elementCodec(spec.btfTypeId, spec.size, btf);
  }

  get(): T {
    const { offset, size } = this.#spec;
    return this.#codec.decode(this.#section().subarray(offset, offset + size)) as T;
  }

  /**
   * Writes it. Where its section cannot be mapped into memory, that is by writing the section back whole: what a
   * program writes to a neighbour in between is lost.
   * @throws {BpfError} EPERM for a constant, which is frozen since the load
   */
  set(value: T | TIn): void {
    const bytes = encodeFor(this.#spec, this.#codec, value as Value);
    const shared = this.#shared('write');
    if (shared !== undefined) {
      shared.set(bytes, this.#spec.offset);
      return;
    }
    const section = this.#section();
    section.set(bytes, this.#spec.offset);
    this.#map.setRawValue(0, section);
  }

  #section(): Uint8Array {
    return this.#shared('read') ?? this.#map.rawValue(0) ?? new Uint8Array(this.#map.valueSize);
  }

  #shared(mode: 'read' | 'write'): Uint8Array | undefined {
    return this.#memory?.bytes ?? this.#map.sharedBytes(mode);
  }
}

/**
 * Sets global variables and constants in a spec, before it is loaded: `setVariables(spec, { target_pid: 1 })`.
 * @throws {SkepError} 'no-variable' for a name that is not there, 'value' for one that does not fit its type
 */
export function setVariables(spec: CollectionSpec, values: Readonly<Record<string, Value>>): void {
  let parsed: Btf | undefined;
  const raw = spec.btf;
  const btf = raw === undefined ? undefined : () => (parsed ??= readBtf(raw));
  for (const [name, value] of Object.entries(values)) {
    const variable = Object.hasOwn(spec.variables, name) ? spec.variables[name] : undefined;
    if (variable === undefined) {
      const names = Object.keys(spec.variables).join(', ');
      throw new SkepError({
        code: 'no-variable',
        message: `there is no variable '${name}'`,
        hint: names === '' ? 'the object has none' : `there are ${names}`,
      });
    }
    const bytes = encodeFor(variable, elementCodec(variable.btfTypeId, variable.size, btf), value);
    initialValue(spec, variable.map).set(bytes, variable.offset);
  }
}

/** The initial bytes of a data map, to be edited in place; `.bss` gets them now. */
function initialValue(spec: CollectionSpec, mapName: string): Uint8Array {
  const map = spec.maps[mapName];
  if (map === undefined) throw new SkepError({ code: 'no-map', message: `there is no map '${mapName}'` });
  const value = map.contents[0]?.value;
  if (value instanceof Uint8Array) return value;
  const ends = Object.values(spec.variables).map((each) =>
    each.map === mapName ? each.offset + each.size : 0,
  );
  // An arena has no value: it starts with its variables.
  const zeroed = new Uint8Array(Math.max(map.valueSize, ...ends));
  map.contents = [{ key: new Uint8Array(map.keySize), value: zeroed }];
  return zeroed;
}

function encodeFor(variable: VariableSpec, codec: Codec, value: Value): Uint8Array {
  try {
    return codec.encode(value);
  } catch (error) {
    throw error instanceof SkepError ? error.at(`variable '${variable.name}'`) : error;
  }
}
