/** A loaded program: what the verifier accepted, what runs it, and what the info command tells of it. */
import { SkepError } from '../../base/errors.ts';
import type { Executable } from '../../vm/types.ts';
import type { BtfObject } from './btf.ts';
import type { MapObject } from './map.ts';
import { KernelObject, type Registry } from './object.ts';

export interface ProgFacts {
  readonly name: string;
  readonly type: number;
  readonly expectedAttachType: number;
  readonly flags: number;
  /** Of a tracing program: the raw tracepoint that it was loaded for. */
  readonly attachTo: string | undefined;
  readonly gplCompatible: boolean;
  readonly tag: Uint8Array;
  /** As loaded, with map fds replaced by map ids. */
  readonly xlated: Uint8Array;
  readonly funcInfo: Uint8Array | undefined;
  readonly lineInfo: Uint8Array | undefined;
  /** When it was loaded, in nanoseconds of the kernel's clock. */
  readonly loadTime: bigint;
  readonly uid: number;
  /** Instructions that the verifier processed. */
  readonly verifiedInsns: number;
  /** End of the furthest context access, in bytes; undefined where the verifier does not say. */
  readonly maxCtxOffset: number | undefined;
  /** The error where the verifier knows the program and this runtime cannot run it. */
  readonly executable: Executable | SkepError;
}

export class ProgObject extends KernelObject {
  readonly kind = 'prog';
  readonly id: number;
  readonly facts: ProgFacts;
  readonly btf: BtfObject | undefined;
  readonly #maps: MapObject[];
  readonly #registry: Registry<ProgObject>;

  /** Takes a reference on each of the maps and on the BTF. */
  constructor(
    facts: ProgFacts,
    uses: { readonly maps: readonly MapObject[]; readonly btf: BtfObject | undefined },
    registry: Registry<ProgObject>,
  ) {
    super();
    this.facts = facts;
    this.#maps = uses.maps.map((map) => map.get());
    this.btf = uses.btf?.get();
    this.#registry = registry;
    this.id = registry.add(this);
  }

  get maps(): readonly MapObject[] {
    return this.#maps;
  }

  /** BPF_PROG_BIND_MAP: keeps `map` alive as long as the program. */
  bindMap(map: MapObject): void {
    if (!this.#maps.includes(map)) this.#maps.push(map.get());
  }

  protected release(): void {
    this.#registry.remove(this.id);
    const { executable } = this.facts;
    if (!(executable instanceof SkepError)) executable.release?.();
    for (const map of this.#maps) map.put();
    this.btf?.put();
  }
}
