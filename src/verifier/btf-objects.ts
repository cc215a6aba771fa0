/**
 * The BTFs that types of registers come from, by number: 0 is the kernel's, the others are the program's and its
 * maps'. A register of a BTF pointer has such a number and a type id in it; here is also what several parts ask
 * of a type: whether one struct begins with another, and what it is called.
 */
import { type Btf, type BtfType, readBtf, resolveModifiers } from '../btf/index.ts';
import { typedWalk } from './btf-walk.ts';

export const KERNEL = 0;

/** A type of one of the BTFs. */
export interface TypeRef {
  readonly object: number;
  readonly id: number;
}

const known = new WeakMap<Uint8Array, Btf>();

/**
 * BTF that is read once, as Linux does before any program that is typed by it is loaded.
 * @throws {SkepError} for bytes that are none
 */
export function readOnce(bytes: Uint8Array): Btf {
  let btf = known.get(bytes);
  if (btf === undefined) known.set(bytes, (btf = readBtf(bytes)));
  return btf;
}

export class BtfObjects {
  private readonly source: { readonly kernelBtf?: Uint8Array | undefined };
  private readonly list: (Btf | undefined)[] = [undefined];

  /** @param source where the kernel's raw BTF is asked for, when it is needed */
  constructor(source: { readonly kernelBtf?: Uint8Array | undefined }) {
    this.source = source;
  }

  /** The kernel's BTF, read when it is first asked for. */
  get kernel(): Btf | undefined {
    let kernel = this.list[KERNEL];
    if (kernel === undefined) {
      const { kernelBtf } = this.source;
      kernel = kernelBtf && readOnce(kernelBtf);
      this.list[KERNEL] = kernel;
    }
    return kernel;
  }

  /** The number of a BTF that is not the kernel's. */
  numberOf(btf: Btf): number {
    for (let i = 1; i < this.list.length; i++) {
      const other = this.list[i] as Btf;
      if (other === btf || sameBytes(other.bytes, btf.bytes)) return i;
    }
    return this.list.push(btf) - 1;
  }

  at(object: number): Btf | undefined {
    return object === KERNEL ? this.kernel : this.list[object];
  }

  type(ref: TypeRef): BtfType {
    return this.at(ref.object)?.type(ref.id) ?? { kind: 'void', name: '' };
  }

  name(ref: TypeRef): string {
    return this.type(ref).name;
  }

  /** A struct of the kernel by its name; 0 where there is none. */
  kernelStruct(name: string): number {
    return this.kernel?.find(name, 'struct') ?? 0;
  }

  /** Whether `off` bytes into a type there is a `wanted`, itself or what it begins with (btf_struct_ids_match). */
  matches(
    given: TypeRef & { readonly off: number },
    wanted: TypeRef,
    how: { readonly strict: boolean; readonly log: (text: string) => void },
  ): boolean {
    if (given.object !== wanted.object) return false;
    if (given.off === 0 && given.id === wanted.id) return true;
    const btf = this.at(given.object);
    if (how.strict || btf === undefined) return false;
    let { id, off } = given;
    for (;;) {
      const found = typedWalk(btf, { id, off, size: 1, untrusted: false });
      if (found.kind === 'error') how.log(`${found.message}\n`);
      if (found.kind !== 'struct') return false;
      if (found.id === wanted.id) return true;
      id = resolveModifiers(btf, found.id);
      off = 0;
    }
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  return a === b || a.every((byte, i) => byte === b[i]);
}

/** `STRUCT`, as messages name kinds of types (btf_type_str). */
export function kindText(type: BtfType): string {
  switch (type.kind) {
    case 'void':
      return 'UNKNOWN';
    case 'funcProto':
      return 'FUNC_PROTO';
    case 'declTag':
      return 'DECL_TAG';
    case 'typeTag':
      return 'TYPE_TAG';
    default:
      return type.kind.toUpperCase();
  }
}
