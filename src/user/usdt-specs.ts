/**
 * The two maps by which programs with libbpf's usdt.bpf.h learn where the arguments of a probe are:
 * `__bpf_usdt_specs`, records by number, and, for kernels that give programs no cookie, `__bpf_usdt_ip_to_spec_id`,
 * numbers by the address of the probe.
 */
import { SkepError } from '../base/errors.ts';
import type { System } from '../uapi/seam.ts';
import type { BpfMap } from './map.ts';

const cannot = (message: string, hint: string): SkepError =>
  new SkepError({ code: 'attach', where: 'map __bpf_usdt_specs', message, hint });

/** What is told about one place of a probe. */
export interface UsdtPlace {
  /** The record of its arguments. */
  readonly spec: Uint8Array;
  /** Where it is in memory; undefined where the program finds the record by a cookie. */
  readonly address?: bigint | undefined;
}

export class UsdtSpecs {
  readonly #system: System;
  readonly #specs: BpfMap;
  readonly #ids: BpfMap | undefined;
  readonly #used = new Set<number>();

  /** Undefined where an object has no such maps: its programs do not ask for arguments. */
  static of(system: System, maps: Readonly<Record<string, BpfMap>>): UsdtSpecs | undefined {
    const specs = maps['__bpf_usdt_specs'];
    return specs === undefined ? undefined : new UsdtSpecs(system, specs, maps['__bpf_usdt_ip_to_spec_id']);
  }

  private constructor(system: System, specs: BpfMap, ids: BpfMap | undefined) {
    this.#system = system;
    this.#specs = specs;
    this.#ids = ids;
  }

  /**
   * Puts records into the map; their numbers, the same one for places with equal records, and what takes them out
   * again once the places are left.
   * @throws {SkepError} 'attach' where the map has records of another size, or no room for them
   */
  add(places: readonly UsdtPlace[]): { readonly ids: readonly number[]; readonly remove: () => void } {
    const taken = new Map<string, number>();
    const addresses: bigint[] = [];
    const remove = (): void => {
      for (const id of taken.values()) this.#used.delete(id);
      if (this.#ids === undefined || this.#ids.closed) return;
      const mapFd = this.#ids.fd;
      for (const address of addresses) this.#system.bpf('mapDeleteElem', { mapFd, key: word(address) });
    };
    try {
      const ids = places.map(({ spec, address }) => {
        const text = spec.join();
        const id = taken.get(text) ?? this.#put(spec);
        taken.set(text, id);
        if (address !== undefined && this.#ids !== undefined) {
          write(this.#system, this.#ids, { key: word(address), value: int(id) });
          addresses.push(address);
        }
        return id;
      });
      return { ids, remove };
    } catch (error) {
      remove();
      throw error;
    }
  }

  #put(spec: Uint8Array): number {
    const { valueSize, maxEntries } = this.#specs;
    if (valueSize !== spec.length) {
      const message = `its records have ${valueSize} bytes, not ${spec.length}`;
      throw cannot(message, 'compile with usdt.bpf.h of libbpf 1');
    }
    let id = 0;
    while (this.#used.has(id)) id++;
    if (id >= maxEntries) {
      const hint = 'compile with -DBPF_USDT_MAX_SPEC_CNT=N, or set its maxEntries before the load';
      throw cannot(`all of its ${maxEntries} records are in use`, hint);
    }
    write(this.#system, this.#specs, { key: int(id), value: spec });
    this.#used.add(id);
    return id;
  }
}

const int = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const word = (value: bigint): Uint8Array => new Uint8Array(BigUint64Array.of(value).buffer);

function write(system: System, map: BpfMap, element: { key: Uint8Array; value: Uint8Array }): void {
  system.bpf('mapUpdateElem', { mapFd: map.fd, ...element });
}
