/**
 * Removing types that are there several times, as a linker does with the types of several compilation units (libbpf:
 * btf__dedup). Types are equal where the graphs behind them are: two structs of one name may differ in a struct that
 * one of their members points to, and then both stay. A forward declaration is the struct that it stands for, where
 * there is one only of that name. Types of split BTF become those of its base that they are equal to, which stay as they are.
 *
 * Four passes: numbers, enums and floats by what they are; structs and unions by walking the graphs of a pair together,
 * on the assumption that what was met before is equal, for graphs have circles; forward declarations by name; and then
 * all that refers to others, by what it refers to.
 */
import { badBtf } from './layout.ts';
import type { Btf } from './read.ts';
import { referencesOf, withReferences } from './references.ts';
import type { BtfComposite, BtfEnum, BtfType } from './types.ts';
import { BtfBuilder } from './write.ts';

/** Steps of walking pairs of graphs: what hostile types could make very many. */
const maxSteps = 50_000_000;
/** How deep graphs are walked; further apart, types are taken to be different, which is safe. */
const maxDepth = 3000;

export interface Deduplicated {
  /** With the types that are left; strings may be added before it is built. */
  readonly builder: BtfBuilder;
  /** By old id, the new one. */
  readonly ids: Uint32Array;
}

function isComposite(type: BtfType): type is BtfComposite {
  return type.kind === 'struct' || type.kind === 'union';
}

function isEnum(type: BtfType): type is BtfEnum {
  return type.kind === 'enum' || type.kind === 'enum64';
}

/** What two structs that may be equal have in common: all but the types of their members. */
function shallowKey(type: BtfComposite): string {
  const members = type.members.map(({ name, bitOffset, bitSize }) => `${bitOffset}:${bitSize} ${name}`);
  return `${type.kind} ${type.size} ${type.name}\0${members.join('\0')}`;
}

function enumKey(type: BtfEnum): string {
  const values = type.values.map(({ name, value }) => `${value} ${name}`);
  return `${type.kind} ${type.size} ${type.signed} ${type.name}\0${values.join('\0')}`;
}

/** All of a type but what it refers to. */
function ownKey(type: BtfType): string {
  switch (type.kind) {
    case 'int':
      return `int ${type.size} ${type.signed} ${type.char} ${type.bool} ${type.bitOffset} ${type.bits} ${type.name}`;
    case 'float':
      return `float ${type.size} ${type.name}`;
    case 'fwd':
      return `fwd ${type.of} ${type.name}`;
    case 'array':
      return `array ${type.length}`;
    case 'func':
      return `func ${type.linkage} ${type.name}`;
    case 'funcProto':
      return `proto ${type.parameters.map(({ name }) => name).join('\0')}`;
    case 'declTag':
      return `declTag ${type.component} ${type.attribute ?? false} ${type.name}`;
    case 'typeTag':
      return `typeTag ${type.attribute ?? false} ${type.name}`;
    default:
      return `${type.kind} ${type.name}`;
  }
}

class Dedup {
  readonly #btf: Btf;
  /** Types in front of it are the base's: others become them, they become no others. */
  readonly #first: number;
  /** By id, the type that it is the same as: itself until another is found. */
  readonly #same: Uint32Array;
  #steps = 0;

  constructor(btf: Btf) {
    this.#btf = btf;
    this.#first = btf.firstId;
    this.#same = Uint32Array.from({ length: btf.typeCount }, (_, id) => id);
  }

  run(): Deduplicated {
    this.#simple();
    this.#composites();
    this.#forwards();
    this.#references();
    return this.#compact();
  }

  #canonical(id: number): number {
    let at = id;
    while (this.#same[at] !== at) at = this.#same[at]!;
    return at;
  }

  #type(id: number): BtfType {
    return this.#btf.type(id);
  }

  /** Numbers, floats, enums and forward declarations. An enum without values is one of that name that has some. */
  #simple(): void {
    const known = new Map<string, number>();
    const empty: number[] = [];
    const enums = new Map<string, number>();
    for (let id = 1; id < this.#btf.typeCount; id++) {
      const type = this.#type(id);
      if (!isEnum(type) && type.kind !== 'int' && type.kind !== 'float' && type.kind !== 'fwd') continue;
      const key = isEnum(type) ? enumKey(type) : ownKey(type);
      const first = known.get(key);
      if (first !== undefined) {
        this.#become(id, first);
        continue;
      }
      known.set(key, id);
      if (!isEnum(type) || type.name === '') continue;
      if (type.values.length === 0) empty.push(id);
      else if (!enums.has(type.name)) enums.set(type.name, id);
    }
    for (const id of empty) {
      const full = enums.get(this.#type(id).name);
      if (full !== undefined) this.#same[id] = full;
    }
  }

  #composites(): void {
    const buckets = new Map<string, number[]>();
    for (let id = 1; id < this.#btf.typeCount; id++) {
      const type = this.#type(id);
      if (!isComposite(type) || this.#same[id] !== id) continue;
      const key = shallowKey(type);
      let bucket = buckets.get(key);
      if (bucket === undefined) buckets.set(key, (bucket = []));
      if (id < this.#first || !this.#joins(id, bucket)) bucket.push(id);
    }
  }

  /** Makes `id` the same as one of the `candidates` that its graph equals; whether there is one. */
  #joins(id: number, candidates: readonly number[]): boolean {
    for (const candidate of candidates) {
      const pairs = new Map<number, number>();
      if (!this.#equal(id, candidate, { pairs, depth: 0 })) continue;
      for (const [theirs, ours] of pairs) this.#unite(ours, theirs);
      this.#same[id] = candidate;
      return true;
    }
    return false;
  }

  /** What was taken to be equal in graphs that turned out to be: structs, and what forward declarations stand for. */
  #unite(a: number, b: number): void {
    const [ours, theirs] = [this.#canonical(a), this.#canonical(b)];
    if (ours === theirs) return;
    const [type, other] = [this.#type(ours), this.#type(theirs)];
    if (type.kind === 'fwd' && isComposite(other)) this.#become(ours, theirs);
    else if (other.kind === 'fwd' && isComposite(type)) this.#become(theirs, ours);
    else if (isComposite(type) && isComposite(other) && theirs < ours) this.#become(ours, theirs);
  }

  #become(id: number, other: number): void {
    if (id >= this.#first) this.#same[id] = other;
  }

  /** Whether two graphs are equal, where the pairs so far are. */
  #equal(a: number, b: number, state: { pairs: Map<number, number>; depth: number }): boolean {
    const [ours, theirs] = [this.#canonical(a), this.#canonical(b)];
    if (ours === theirs) return true;
    if (++this.#steps > maxSteps) throw badBtf('its types take too long to compare');
    if (state.depth > maxDepth) return false;
    const known = state.pairs.get(theirs);
    // Some compilers write one array or anonymous struct several times in a unit.
    if (known !== undefined) return known === ours || this.#identical(known, ours, 0);
    state.pairs.set(theirs, ours);
    const [type, other] = [this.#type(ours), this.#type(theirs)];
    if (type.name !== other.name) return false;
    if (type.kind === 'fwd' && isComposite(other)) return type.of === other.kind;
    // What the base only declares it cannot learn from another.
    if (other.kind === 'fwd' && isComposite(type)) return other.of === type.kind && theirs >= this.#first;
    if (type.kind !== other.kind) return false;
    if (isEnum(type)) {
      const rival = other as BtfEnum;
      const isForward = type.values.length === 0 || rival.values.length === 0;
      return isForward ? type.size === rival.size : enumKey(type) === enumKey(rival);
    }
    const isSame = isComposite(type)
      ? shallowKey(type) === shallowKey(other as BtfComposite)
      : ownKey(type) === ownKey(other);
    if (!isSame) return false;
    const [from, to] = [referencesOf(type), referencesOf(other)];
    const deeper = { pairs: state.pairs, depth: state.depth + 1 };
    return from.length === to.length && from.every((id, i) => this.#equal(id, to[i]!, deeper));
  }

  /** Whether two types of one unit are written alike, down to the same types. */
  #identical(a: number, b: number, depth: number): boolean {
    const [ours, theirs] = [this.#canonical(a), this.#canonical(b)];
    if (ours === theirs) return true;
    if (depth > 32) return false;
    const [type, other] = [this.#type(ours), this.#type(theirs)];
    if (type.kind !== other.kind || (type.kind !== 'array' && !isComposite(type))) return false;
    const isSame = isComposite(type)
      ? shallowKey(type) === shallowKey(other as BtfComposite)
      : ownKey(type) === ownKey(other);
    const [from, to] = [referencesOf(type), referencesOf(other)];
    return isSame && from.every((id, i) => this.#identical(id, to[i]!, depth + 1));
  }

  /** A forward declaration that is left is the struct of its name, where there is one. */
  #forwards(): void {
    const found = new Map<string, number | undefined>();
    for (let id = 1; id < this.#btf.typeCount; id++) {
      const type = this.#type(id);
      if (!isComposite(type) || type.name === '' || this.#same[id] !== id) continue;
      const key = `${type.kind} ${type.name}`;
      found.set(key, found.has(key) ? undefined : id);
    }
    for (const id of this.#btf.idsOf('fwd')) {
      const type = this.#type(id);
      if (type.kind !== 'fwd' || this.#same[id] !== id || id < this.#first) continue;
      const full = found.get(`${type.of} ${type.name}`);
      if (full !== undefined) this.#same[id] = full;
    }
  }

  /** All that is known by what it refers to, from the leaves up: circles go through structs, which are done. */
  #references(): void {
    const known = new Map<string, number>();
    const done = new Uint8Array(this.#btf.typeCount);
    const visit = (start: number): void => {
      const stack = [start];
      while (stack.length > 0) {
        const id = stack[stack.length - 1]!;
        const type = this.#type(id);
        if (done[id] === 2 || this.#isSettled(type, id)) {
          done[id] = 2;
          stack.pop();
          continue;
        }
        const references = referencesOf(type).map((each) => this.#canonical(each));
        const waiting = references.filter(
          (each) => done[each] !== 2 && !this.#isSettled(this.#type(each), each),
        );
        if (done[id] === 0 && waiting.length > 0) {
          done[id] = 1;
          stack.push(...waiting.filter((each) => done[each] === 0));
          continue;
        }
        const key = `${ownKey(type)}\0${references.join(' ')}`;
        const first = known.get(key);
        if (first === undefined) known.set(key, id);
        else this.#become(id, first);
        done[id] = 2;
        stack.pop();
      }
    };
    for (let id = 1; id < this.#btf.typeCount; id++) visit(id);
  }

  /** Whether a type is not for `#references`: variables and sections are never the same as others. */
  #isSettled(type: BtfType, id: number): boolean {
    if (this.#same[id] !== id) return true;
    const { kind } = type;
    return (
      isComposite(type) || isEnum(type) || ['void', 'int', 'float', 'fwd', 'var', 'datasec'].includes(kind)
    );
  }

  #compact(): Deduplicated {
    const { typeCount } = this.#btf;
    const ids = new Uint32Array(typeCount);
    let next = 1;
    for (let id = 1; id < typeCount; id++) if (this.#same[id] === id) ids[id] = next++;
    for (let id = 1; id < typeCount; id++) ids[id] = ids[this.#canonical(id)]!;
    const { base } = this.#btf;
    const builder = base === undefined ? new BtfBuilder() : new BtfBuilder(base, 'split');
    for (let id = this.#first; id < typeCount; id++) {
      if (this.#same[id] !== id) continue;
      builder.add(withReferences(this.#type(id), (each) => ids[each]!));
    }
    return { builder, ids };
  }
}

/**
 * The types of a BTF without those that are there several times; of split BTF, without those that its base has.
 * @throws {SkepError} code 'btf' for types that take too long to compare
 */
export function dedupBtf(btf: Btf): Deduplicated {
  return new Dedup(btf).run();
}
