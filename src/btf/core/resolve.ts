/**
 * Answers to CO-RE's questions: given an object's BTF and a kernel's, the value that an instruction must hold.
 * All types of the kernel with the same essential name are candidates; those in which the place is found must
 * give one answer.
 */
import { unreachable } from '../../base/errors.ts';
import { resolvedType, sizeOf } from '../query.ts';
import type { Btf } from '../read.ts';
import type { BtfMember, BtfType } from '../types.ts';
import { type AccessSpec, matchAccess, parseAccess } from './access.ts';
import { Candidates, type CoreTarget } from './candidates.ts';
import { type Budget, essentialName, isComposite, isEnum, spend } from './compare.ts';
import { badCore, type CoreKind, type CoreRelocation, coreKinds, formatAccess } from './relocation.ts';

/** Comparisons for all relocations of one object; those of Debian's tools need some thousands. */
const maxSteps = 1 << 24;

/** What a memory access reads: bytes, and the type that says whether another size is as good. */
interface Accessed {
  readonly size: number;
  readonly type: BtfType;
}

/** The value of one question in one BTF. */
interface Answer {
  readonly value: bigint;
  /** Whether the instruction must hold the object's own value: not where the compiler may choose it. */
  readonly certain: boolean;
  readonly accessed?: Accessed;
}

/** What to put into an instruction. */
export interface CoreResolution {
  /** What it holds as compiled, where that is `certain`. */
  readonly from: bigint;
  readonly certain: boolean;
  /** Undefined where the kernel has no such place: running it must fail. */
  readonly to: bigint | undefined;
  /** For an access to memory: bytes in the object and in the kernel; `to` is undefined where they may not differ. */
  readonly sizes?: { readonly from: number; readonly to: number | undefined };
  /** The question, for messages. */
  readonly text: string;
}

/** The bytes that a load of the member needs, and its bits. */
function extentOf(
  btf: Btf,
  member: BtfMember,
  bitOffset: number,
): { at: number; size: number; bits: number } {
  if (member.bitSize === 0) {
    const size = sizeOf(btf, member.type);
    return { at: Math.floor(bitOffset / 8), size, bits: size * 8 };
  }
  // The smallest load, aligned by its size, that holds all bits of it.
  let size = sizeOf(btf, member.type);
  const start = (): number => Math.floor(bitOffset / 8 / size) * size;
  while (bitOffset + member.bitSize - start() * 8 > size * 8) {
    if (size >= 8) throw badCore(`bitfield '${member.name}' does not fit into a load of 8 bytes`);
    size *= 2;
  }
  return { at: start(), size, bits: member.bitSize };
}

function isSigned(type: BtfType): boolean {
  return (isEnum(type) || type.kind === 'int') && type.signed;
}

function fieldAnswer(spec: AccessSpec, kind: CoreKind): Answer {
  const { btf, bitOffset } = spec;
  const last = spec.accessors.at(-1)!;
  const owner = btf.type(last.typeId);
  if (last.name === undefined || !isComposite(owner)) {
    const size = sizeOf(btf, last.typeId);
    if (kind.name === 'byte_sz') return { value: BigInt(size), certain: true };
    if (kind.name !== 'byte_off') throw badCore(`<${kind.name}> is asked of an element of an array`);
    const accessed = { size, type: resolvedType(btf, last.typeId) };
    return { value: BigInt(Math.floor(bitOffset / 8)), certain: true, accessed };
  }
  const member = owner.members[last.index]!;
  const type = resolvedType(btf, member.type);
  const { at, size, bits } = extentOf(btf, member, bitOffset);
  // For a bitfield the compiler may load more or fewer bytes than we would.
  const certain = member.bitSize === 0;
  switch (kind.name) {
    case 'byte_off':
      return { value: BigInt(at), certain, ...(certain ? { accessed: { size, type } } : {}) };
    case 'byte_sz':
      return { value: BigInt(size), certain };
    case 'signed':
      return { value: BigInt(isSigned(type)), certain: true };
    case 'lshift_u64':
      return { value: BigInt.asUintN(64, BigInt(64 - (bitOffset + bits - at * 8))), certain };
    case 'rshift_u64':
      return { value: BigInt.asUintN(64, BigInt(64 - bits)), certain: true };
    default:
      throw badCore(`<${kind.name}> is no question about a field`);
  }
}

/** The answer in one BTF; `spec` is undefined where there is no such place, and the answer where there is none. */
function answer(spec: AccessSpec | undefined, kind: CoreKind): Answer | undefined {
  switch (kind.name) {
    case 'field_exists':
    case 'enumval_exists':
    case 'type_exists':
    case 'type_matches':
      return { value: spec === undefined ? 0n : 1n, certain: true };
    case 'local_type_id':
    case 'target_type_id':
      // A linker may have numbered types anew.
      return { value: BigInt(spec?.rootId ?? 0), certain: spec === undefined };
    case 'type_size':
      return { value: spec === undefined ? 0n : BigInt(sizeOf(spec.btf, spec.rootId)), certain: true };
    case 'enumval_value': {
      if (spec === undefined) return undefined;
      const { typeId, index } = spec.accessors[0]!;
      const type = spec.btf.type(typeId);
      if (!isEnum(type)) return undefined;
      // libbpf 1.1 takes unsigned enumerators of 32 bits for signed, and then refuses those from 2^31 on.
      return { value: BigInt.asUintN(64, type.values[index]!.value), certain: true };
    }
    case 'byte_off':
    case 'byte_sz':
    case 'signed':
    case 'lshift_u64':
    case 'rshift_u64':
      return spec === undefined ? undefined : fieldAnswer(spec, kind);
    default:
      return unreachable(kind);
  }
}

/** An access of another size reads the same value only of pointers and of unsigned integers. */
function mayResize(a: BtfType, b: BtfType): boolean {
  if (a.kind === 'ptr' && b.kind === 'ptr') return true;
  return a.kind === 'int' && b.kind === 'int' && !a.signed && !b.signed;
}

/** Resolves the questions of one object against one kernel. */
export class CoreResolver {
  private readonly local: Btf;
  private readonly candidates: Candidates;
  private readonly budget: Budget = { steps: maxSteps };
  private readonly known = new Map<string, CoreResolution>();

  constructor(local: Btf, target: CoreTarget) {
    this.local = local;
    this.candidates = new Candidates(target);
  }

  /**
   * What one relocation comes to.
   * @throws {SkepError} code 'core' for a broken record, or where candidates give different answers
   */
  resolve(relocation: CoreRelocation): CoreResolution {
    const key = `${relocation.kind} ${relocation.typeId} ${relocation.access}`;
    let known = this.known.get(key);
    if (known === undefined) this.known.set(key, (known = this.compute(relocation)));
    return known;
  }

  private compute({ kind: kindName, typeId, access }: CoreRelocation): CoreResolution {
    const kind = coreKinds.find(({ name }) => name === kindName)!;
    const local = parseAccess(this.local, { typeId, access, about: kind.about });
    const text = `<${kind.name}> ${formatAccess(this.local, local, kind.about)}`;
    const from = answer(local, kind)!;
    if (kind.name === 'local_type_id') return { from: from.value, certain: false, to: from.value, text };
    const name = essentialName(this.local.type(typeId).name);
    if (name === '') throw badCore(`${text}: a type without a name cannot be found in a kernel`);
    let found: { spec: AccessSpec; answer: Answer | undefined } | undefined;
    for (const { btf, id } of this.candidates.of(this.local.type(typeId), name)) {
      spend(this.budget);
      const pair = { local: this.local, target: btf, budget: this.budget };
      const spec = matchAccess(pair, local, { id, kind });
      if (spec === undefined) continue;
      const theirs = answer(spec, kind);
      found ??= { spec, answer: theirs };
      if (found.spec.bitOffset !== spec.bitOffset || found.answer?.value !== theirs?.value) {
        throw badCore(`${text}: the kernel's types ${found.spec.rootId} and ${id} give different answers`);
      }
    }
    const to = answer(found?.spec, kind);
    return {
      from: from.value,
      certain: from.certain && (to?.certain ?? true),
      to: to?.value,
      text,
      ...sizesOf(from, to),
    };
  }
}

function sizesOf(from: Answer, to: Answer | undefined): Pick<CoreResolution, 'sizes'> {
  if (from.accessed === undefined || to?.accessed === undefined) return {};
  const [a, b] = [from.accessed, to.accessed];
  return { sizes: { from: a.size, to: a.size === b.size || mayResize(a.type, b.type) ? b.size : undefined } };
}

/** The relocation that a record of BTF.ext is: struct bpf_core_relo, with its place in slots. */
export function coreRelocationOf(btf: Btf, record: DataView): CoreRelocation {
  const kind = coreKinds[record.getUint32(12, true)];
  if (kind === undefined)
    throw badCore(`a CO-RE relocation of kind ${record.getUint32(12, true)} is unknown`);
  return {
    slot: record.getUint32(0, true),
    kind: kind.name,
    typeId: record.getUint32(4, true),
    access: btf.string(record.getUint32(8, true)),
  };
}
