/**
 * What BPF_BTF_LOAD refuses in types that can well be read: names where there are none or that no C has, flags and
 * counts where a kind has neither, types that are not of the kind that another needs (the checks of
 * kernel/bpf/btf.c, `btf_check_all_metas` and `btf_resolve`, as Documentation/bpf/btf.rst describes the kinds).
 * Objects with such types are opened and printed all the same.
 */
import { badBtf, eachWords, loopOf, placeOf, vlenOf } from './layout.ts';
import { type BtfKind, btfKinds } from './types.ts';
import type { Records } from './validate.ts';

/** What a name has to be: absent; an identifier of C, perhaps absent; the same, but there; a section's; any text. */
type NameRule = 'none' | 'identifier?' | 'identifier' | 'section' | 'text' | 'text?';

interface Rule {
  readonly name: NameRule;
  /** Names of members, parameters and enumerators. */
  readonly inner?: NameRule;
  readonly kindFlag?: true;
  /** The highest vlen, where it is no count of elements. */
  readonly vlen?: number;
  /** Whether the third word is zero. */
  readonly noSize?: true;
}

const modifier: Rule = { name: 'none', vlen: 0 };
const composite: Rule = { name: 'identifier?', inner: 'identifier?', kindFlag: true };
const enumeration: Rule = { name: 'identifier?', inner: 'identifier', kindFlag: true };
/** Linkage: static or global. What is extern is to be found before types are loaded. */
const GLOBAL = 1;

const rules: { readonly [kind in Exclude<BtfKind, 'void'>]: Rule } = {
  int: { name: 'text?', vlen: 0 },
  ptr: modifier,
  array: { name: 'none', vlen: 0, noSize: true },
  struct: composite,
  union: composite,
  enum: enumeration,
  fwd: { name: 'identifier', kindFlag: true, vlen: 0, noSize: true },
  typedef: { name: 'identifier', vlen: 0 },
  volatile: modifier,
  const: modifier,
  restrict: modifier,
  func: { name: 'identifier', vlen: GLOBAL },
  funcProto: { name: 'none', inner: 'identifier?' },
  var: { name: 'identifier', vlen: 0 },
  datasec: { name: 'section' },
  float: { name: 'text?', vlen: 0 },
  declTag: { name: 'text', vlen: 0, kindFlag: true },
  typeTag: { name: 'text', vlen: 0, kindFlag: true },
  enum64: enumeration,
};

/** KSYM_NAME_LEN: more than any name has. */
const NAME_BYTES = 512;
/** Bits of `info` that mean something. */
const INFO_BITS = 0x9f00ffff;

const numberOf = (kind: BtfKind): number => btfKinds.indexOf(kind);
const kindsOf = (...kinds: BtfKind[]): Set<number> => new Set(kinds.map(numberOf));

const ruleOf: readonly (Rule | undefined)[] = btfKinds.map((kind) =>
  kind === 'void' ? undefined : rules[kind],
);
const [array, struct, union, func, funcProto, variable, datasec, declTag, ptr, int, float] = (
  [
    'array',
    'struct',
    'union',
    'func',
    'funcProto',
    'var',
    'datasec',
    'declTag',
    'ptr',
    'int',
    'float',
  ] as const
).map(numberOf);
const modifiers = kindsOf('typedef', 'volatile', 'const', 'restrict', 'typeTag');
/** What nothing has as its type. */
const named = kindsOf('var', 'datasec', 'declTag');
/** What a pointer or a modifier may end at, though it has no size. */
const sizeless = kindsOf('void', 'fwd', 'funcProto');
const sized = kindsOf('int', 'ptr', 'array', 'struct', 'union', 'enum', 'enum64', 'float');
/** What bitfields are of. */
const fieldable = kindsOf('int', 'enum', 'enum64');
const tagged = kindsOf('struct', 'union', 'func', 'var', 'typedef');

const isLetter = (c: number): boolean => (c | 32) >= 97 && (c | 32) <= 122;
const isDigit = (c: number): boolean => c >= 48 && c <= 57;
const isOther = (c: number): boolean => c === 95 || c === 46;
const isPrintable = (c: number): boolean => c >= 32 && c < 127;

/** Of parameters without a name: nobody has looked; there is none. */
const [UNKNOWN, NONE] = [-2, -1];
/** What is known of where pointers lead. */
const [unseen, walked, looped, ended] = [0, 1, 2, 3];
const NOT_ASKED = 0xffffffff;

/** The types of one BTF without a base, and what is found out about each of them once, however many refer to it. */
class LoadedTypes {
  readonly words: Uint32Array;
  readonly starts: Uint32Array;
  /** By id, with void. */
  readonly kinds: Uint8Array;
  readonly strings: Uint8Array;
  /** The types behind modifiers, by id. */
  private readonly ends: Uint32Array;
  private readonly sizes: Float64Array;
  private readonly loops: Uint8Array;
  private readonly nameless: Int32Array;

  constructor({ words, starts, kinds }: Records, strings: Uint8Array) {
    this.words = words;
    this.starts = starts;
    this.kinds = new Uint8Array(kinds.length + 1);
    this.kinds.set(kinds, 1);
    this.strings = strings;
    this.ends = new Uint32Array(this.kinds.length).fill(NOT_ASKED);
    this.sizes = new Float64Array(this.kinds.length).fill(-1);
    this.loops = new Uint8Array(this.kinds.length);
    this.nameless = new Int32Array(this.kinds.length).fill(UNKNOWN);
  }

  word(id: number, offset: number): number {
    return this.words[this.starts[id - 1]! + offset]!;
  }

  kind(id: number): number {
    return this.kinds[id]!;
  }

  /** The type behind modifiers. None leads to itself, and no chain is long: `checkNesting`. */
  end(id: number): number {
    if (!modifiers.has(this.kinds[id]!)) return id;
    if (this.ends[id] === NOT_ASKED) this.ends[id] = this.end(this.word(id, 2));
    return this.ends[id]!;
  }

  /** Bytes of a type that has a size. */
  size(id: number): number {
    const end = this.end(id);
    if (this.sizes[end]! < 0) this.sizes[end] = this.sizeOfOwn(end);
    return this.sizes[end]!;
  }

  private sizeOfOwn(id: number): number {
    const kind = this.kinds[id];
    if (kind === ptr) return 8;
    return kind === array ? this.word(id, 5) * this.size(this.word(id, 3)) : this.word(id, 2);
  }

  /** Whether a type is an int that takes all of its bytes, or no int at all. */
  isWhole(id: number): boolean {
    const end = this.end(id);
    return this.kinds[end] !== int || (this.word(end, 3) & 0x00ffffff) === this.word(end, 2) * 8;
  }

  /** Whether pointers and modifiers, each of which leads to one type, come round behind a type. */
  leadsToLoop(id: number): boolean {
    const path: number[] = [];
    let at = id;
    while (this.loops[at] === unseen && (this.kinds[at] === ptr || modifiers.has(this.kinds[at]!))) {
      this.loops[at] = walked;
      path.push(at);
      at = this.word(at, 2);
    }
    const found = this.loops[at] === walked || this.loops[at] === looped ? looped : ended;
    for (const one of path) this.loops[one] = found;
    return this.loops[id] === looped;
  }

  /** The first parameter of a prototype that has a type and no name; -1 where there is none. */
  namelessParameter(proto: number): number {
    if (this.nameless[proto] === UNKNOWN) {
      const count = vlenOf(this.word(proto, 1));
      let i = 0;
      while (i < count && (this.word(proto, 3 + 2 * i) !== 0 || this.word(proto, 4 + 2 * i) === 0)) i++;
      this.nameless[proto] = i < count ? i : NONE;
    }
    return this.nameless[proto]!;
  }
}

/**
 * Checks BTF that a program or map brings along, which goes on from no other.
 * @throws {SkepError} code 'btf', with the type and the place of its record; 'btf-loop' for pointers that come round
 */
export function checkLoadable(records: Records, strings: Uint8Array): void {
  const types = new LoadedTypes(records, strings);
  for (let id = 1; id < types.kinds.length; id++) new TypeCheck(types, id).check();
}

class TypeCheck {
  private readonly types: LoadedTypes;
  private readonly id: number;

  constructor(types: LoadedTypes, id: number) {
    this.types = types;
    this.id = id;
  }

  private get place(): string {
    return placeOf(this.id, this.types.starts[this.id - 1]!);
  }

  private fail(message: string): never {
    throw badBtf(`${btfKinds[this.types.kind(this.id)]}: ${message}`, this.place);
  }

  private word(offset: number): number {
    return this.types.word(this.id, offset);
  }

  check(): void {
    const kind = this.types.kind(this.id);
    const rule = ruleOf[kind];
    if (rule === undefined) this.fail('no type of its own');
    const info = this.word(1);
    if ((info & ~INFO_BITS) !== 0) this.fail('bits of info that mean nothing');
    if (rule.kindFlag === undefined && info >>> 31 === 1) this.fail('it has no kind flag');
    if (rule.vlen !== undefined && vlenOf(info) > rule.vlen) this.fail(`a count of ${vlenOf(info)}`);
    if (rule.noSize === true && this.word(2) !== 0) this.fail('it has no size');
    this.checkName(this.word(0), rule.name);
    if (kind === int) this.checkInt();
    else if (kind === array) this.checkArray();
    else if (kind === struct || kind === union) this.checkMembers(info, rule);
    else if (kind === funcProto) this.checkParameters(info, rule);
    else if (kind === func) this.checkFunction();
    else if (kind === variable) this.checkVariable();
    else if (kind === datasec) this.checkSection(info);
    else if (kind === declTag) this.checkTag();
    else if (kind === ptr || modifiers.has(kind)) this.checkEnd(this.word(2));
    else if (rule.inner !== undefined) {
      const step = eachWords[kind]!;
      for (let i = 0; i < vlenOf(info); i++) this.checkName(this.word(3 + i * step), rule.inner);
    }
  }

  private checkName(offset: number, rule: NameRule): void {
    const { strings } = this.types;
    if (offset === 0 && (rule === 'none' || rule === 'identifier?' || rule === 'text?')) return;
    if (strings[offset] === 0 && rule !== 'text?') this.fail('it has no name');
    if (rule === 'none') this.fail('it has a name');
    const isIdentifier = rule === 'identifier' || rule === 'identifier?';
    if (!isIdentifier && rule !== 'section') return;
    let end = offset;
    while (strings[end] !== 0 && end - offset < NAME_BYTES) end++;
    if (end - offset === NAME_BYTES) this.fail('its name is too long');
    for (let i = offset; i < end; i++) {
      const c = strings[i]!;
      const fits = isIdentifier ? isLetter(c) || isOther(c) || (i > offset && isDigit(c)) : isPrintable(c);
      if (!fits) this.fail('its name is no identifier');
    }
  }

  /** The kind behind modifiers. */
  private end(id: number): number {
    return this.types.kind(this.types.end(id));
  }

  private wants(id: number, kind: number): void {
    if (this.types.kind(id) !== kind) this.fail(`type ${id} is no ${btfKinds[kind]}`);
  }

  /** What a pointer or modifier ends at: pointers go on to others, and may not come round. */
  private checkEnd(id: number): void {
    const end = this.end(id);
    if (named.has(this.types.kind(id)) || (!sized.has(end) && !sizeless.has(end)))
      this.fail(`type ${id} is no type of it`);
    if (this.types.leadsToLoop(id)) throw loopOf(this.place);
  }

  private checkSized(id: number): void {
    if (named.has(this.types.kind(id)) || !sized.has(this.end(id))) this.fail(`type ${id} has no size`);
  }

  private checkInt(): void {
    const data = this.word(3);
    const encoding = (data >>> 24) & 0xf;
    if (data >>> 28 !== 0 || ![0, 1, 2, 4].includes(encoding)) this.fail(`encoding ${data >>> 24}`);
  }

  private checkArray(): void {
    const [element, index, count] = [this.word(3), this.word(4), this.word(5)];
    this.checkSized(element);
    if (!this.types.isWhole(element)) this.fail('an array of ints that do not fill their bytes');
    if (this.end(index) !== int || !this.types.isWhole(index))
      this.fail(`its index, type ${index}, is no int`);
    if (count * this.types.size(element) > 0xffffffff) this.fail('it has 4 GiB or more');
  }

  private checkMembers(info: number, rule: Rule): void {
    const bitfields = info >>> 31 === 1;
    let last = 0;
    for (let i = 0; i < vlenOf(info); i++) {
      const at = 3 + 3 * i;
      this.checkName(this.word(at), rule.inner!);
      this.checkSized(this.word(at + 1));
      const offset = bitfields ? this.word(at + 2) & 0xffffff : this.word(at + 2);
      if (this.types.kind(this.id) === union && offset !== 0)
        this.fail('a member of a union behind its start');
      if (offset < last) this.fail(`member ${i} is before the one before it`);
      last = offset;
      this.checkPlace(i, { offset, bits: bitfields ? this.word(at + 2) >>> 24 : 0, bitfields });
    }
  }

  /** Whether a member is at a whole byte, unless it is a bitfield, and within the struct. */
  private checkPlace(
    i: number,
    { offset, bits, bitfields }: { offset: number; bits: number; bitfields: boolean },
  ): void {
    const type = this.word(4 + 3 * i);
    const end = this.end(type);
    const size = this.types.size(type);
    if (bits === 0 && offset % 8 !== 0 && (end !== int || bitfields))
      this.fail(`member ${i} is at no whole byte`);
    if (bits !== 0 && (!fieldable.has(end) || bits > size * 8)) this.fail(`member ${i} has no ${bits} bits`);
    if (end === float && offset % (Math.min(size, 8) * 8) !== 0) this.fail(`member ${i} is not aligned`);
    const last = bits === 0 ? offset + size * 8 : offset + bits;
    if (Math.ceil(last / 8) > this.word(2)) this.fail(`member ${i} is behind its end`);
  }

  private checkParameters(info: number, rule: Rule): void {
    const result = this.word(2);
    if (
      result !== 0 &&
      (named.has(this.types.kind(result)) || (this.end(result) !== 0 && !sized.has(this.end(result))))
    ) {
      this.fail(`its result, type ${result}, has no size`);
    }
    const count = vlenOf(info);
    for (let i = 0; i < count; i++) {
      const [name, type] = [this.word(3 + 2 * i), this.word(4 + 2 * i)];
      this.checkName(name, rule.inner!);
      const rest = type === 0 && i === count - 1;
      if (rest && name !== 0) this.fail('its last parameter has a name and no type');
      if (!rest) this.checkSized(type);
    }
  }

  /** What has a body names its parameters. */
  private checkFunction(): void {
    const proto = this.word(2);
    this.wants(proto, funcProto!);
    const nameless = this.types.namelessParameter(proto);
    if (nameless !== NONE) this.fail(`parameter ${nameless} has no name`);
  }

  private checkVariable(): void {
    if (this.word(3) > GLOBAL) this.fail(`linkage ${this.word(3)}`);
    this.checkSized(this.word(2));
  }

  private checkSection(info: number): void {
    const size = this.word(2);
    if (size === 0) this.fail('it has no size');
    let end = 0;
    for (let i = 0; i < vlenOf(info); i++) {
      const at = 3 + 3 * i;
      this.wants(this.word(at), variable!);
      const [offset, bytes] = [this.word(at + 1), this.word(at + 2)];
      if (offset < end || bytes === 0 || offset + bytes > size)
        this.fail(`variable ${i} is not in its place`);
      if (bytes < this.types.size(this.types.word(this.word(at), 2)))
        this.fail(`variable ${i} is larger than its place`);
      end = offset + bytes;
    }
  }

  private checkTag(): void {
    const { types } = this;
    const target = this.word(2);
    const kind = types.kind(target);
    if (!tagged.has(kind)) this.fail(`type ${target} has no tags`);
    const component = this.word(3) | 0;
    if (component === -1) return;
    if (component < -1) this.fail(`component ${component}`);
    const isComposite = kind === struct || kind === union;
    const counted = kind === func ? types.word(target, 2) : isComposite ? target : undefined;
    const count = counted === undefined ? 0 : vlenOf(types.word(counted, 1));
    if (component >= count) this.fail(`component ${component} of ${count}`);
  }
}
