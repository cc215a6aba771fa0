/** Loaded BTF: the raw bytes and what `btf/` read in them. */
import type { Btf } from '../../btf/index.ts';
import { KernelObject, type Registry } from './object.ts';

export class BtfObject extends KernelObject {
  readonly kind = 'btf';
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly btf: Btf;
  readonly #registry: Registry<BtfObject>;

  constructor(bytes: Uint8Array, btf: Btf, registry: Registry<BtfObject>) {
    super();
    this.bytes = bytes;
    this.btf = btf;
    this.#registry = registry;
    this.id = registry.add(this);
  }

  protected release(): void {
    this.#registry.remove(this.id);
  }
}
