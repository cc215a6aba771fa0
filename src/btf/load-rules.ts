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

/** What the check of one BTF needs. */
interface Loaded extends Records {
  /** The string section. */
  readonly strings: Uint8Array;
}

/**
 * Checks BTF that a program or map brings along.
 * @throws {SkepError} code 'btf', with the type and the place of its record
 */
export function checkLoadable(loaded: Loaded): void {
  for (let index = 0; index < loaded.starts.length; index++) new TypeCheck(loaded, index).check();
}

class TypeCheck {
  private readonly loaded: Loaded;
  private readonly index: number;
  private readonly at: number;

  constructor(loaded: Loaded, index: number) {
    this.loaded = loaded;
    this.index = index;
    this.at = loaded.starts[index]!;
  }

  private fail(message: string): never {
    const { firstId } = this.loaded;
    throw badBtf(
      `${btfKinds[this.loaded.kinds[this.index]!]}: ${message}`,
      placeOf(firstId + this.index, this.at),
    );
  }

  private word(offset: number): number {
    return this.loaded.words[this.at + offset]!;
  }

  check(): void {
    const kind = this.loaded.kinds[this.index]!;
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
    const { strings } = this.loaded;
    if (offset === 0 && (rule === 'none' || rule === 'identifier?' || rule === 'text?')) return;
    if (strings[offset] === 0 && rule !== 'text?') this.fail('it has no name');
    if (rule === 'none') this.fail('it has a name');
    const end = strings.indexOf(0, offset);
    if (rule !== 'text' && rule !== 'text?' && end - offset >= NAME_BYTES) this.fail('its name is too long');
    const isIdentifier = rule === 'identifier' || rule === 'identifier?';
    if (!isIdentifier && rule !== 'section') return;
    for (let i = offset; i < end; i++) {
      const c = strings[i]!;
      const fits = isIdentifier ? isLetter(c) || isOther(c) || (i > offset && isDigit(c)) : isPrintable(c);
      if (!fits) this.fail('its name is no identifier');
    }
  }

  /** The kind of a type. */
  private kind(id: number): number {
    const { firstId, kinds, baseKind } = this.loaded;
    if (id === 0) return 0;
    return id < firstId ? numberOf(baseKind(id)) : kinds[id - firstId]!;
  }

  /** The kind behind modifiers. */
  private end(id: number): number {
    const { firstId, words, starts } = this.loaded;
    let at = id;
    // No modifier leads to itself: `checkNesting`.
    while (at >= firstId && modifiers.has(this.kind(at))) at = words[starts[at - firstId]! + 2]!;
    return this.kind(at);
  }

  private wants(id: number, kind: number): void {
    if (this.kind(id) !== kind) this.fail(`type ${id} is no ${btfKinds[kind]}`);
  }

  /** What a pointer or modifier ends at: pointers go on to others, and may not come round. */
  private checkEnd(id: number): void {
    const end = this.end(id);
    if (named.has(this.kind(id)) || (!sized.has(end) && !sizeless.has(end)))
      this.fail(`type ${id} is no type of it`);
    const { firstId, words, starts } = this.loaded;
    let steps = 0;
    for (let at = id; at >= firstId && this.leadsOn(at); at = words[starts[at - firstId]! + 2]!) {
      if (++steps > starts.length) throw loopOf(placeOf(firstId + this.index, this.at));
    }
  }

  private leadsOn(id: number): boolean {
    return this.kind(id) === ptr || modifiers.has(this.kind(id));
  }

  /** Bytes of a type that has a size. */
  private sizeOf(id: number): number {
    const { firstId, words, starts } = this.loaded;
    if (id < firstId) return 0;
    const at = starts[id - firstId]!;
    const kind = this.kind(id);
    if (kind === ptr) return 8;
    if (kind === array) return words[at + 5]! * this.sizeOf(words[at + 3]!);
    return modifiers.has(kind) ? this.sizeOf(words[at + 2]!) : words[at + 2]!;
  }

  /** Whether a type is an int that takes all of its bytes, or no int at all. */
  private isWhole(id: number): boolean {
    const { firstId, words, starts } = this.loaded;
    let at = id;
    while (at >= firstId && modifiers.has(this.kind(at))) at = words[starts[at - firstId]! + 2]!;
    if (this.kind(at) !== int || at < firstId) return true;
    const start = starts[at - firstId]!;
    return (words[start + 3]! & 0x00ffffff) === words[start + 2]! * 8;
  }

  private checkSized(id: number): void {
    if (named.has(this.kind(id)) || !sized.has(this.end(id))) this.fail(`type ${id} has no size`);
  }

  private checkInt(): void {
    const data = this.word(3);
    const encoding = (data >>> 24) & 0xf;
    if (data >>> 28 !== 0 || ![0, 1, 2, 4].includes(encoding)) this.fail(`encoding ${data >>> 24}`);
  }

  private checkArray(): void {
    const [element, index, count] = [this.word(3), this.word(4), this.word(5)];
    this.checkSized(element);
    if (!this.isWhole(element)) this.fail('an array of ints that do not fill their bytes');
    if (this.end(index) !== int || !this.isWhole(index)) this.fail(`its index, type ${index}, is no int`);
    if (count * this.sizeOf(element) > 0xffffffff) this.fail('it has 4 GiB or more');
  }

  private checkMembers(info: number, rule: Rule): void {
    const bitfields = info >>> 31 === 1;
    let last = 0;
    for (let i = 0; i < vlenOf(info); i++) {
      const at = 3 + 3 * i;
      this.checkName(this.word(at), rule.inner!);
      this.checkSized(this.word(at + 1));
      const offset = bitfields ? this.word(at + 2) & 0xffffff : this.word(at + 2);
      if (this.loaded.kinds[this.index] === union && offset !== 0)
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
    const size = this.sizeOf(type);
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
      (named.has(this.kind(result)) || (this.end(result) !== 0 && !sized.has(this.end(result))))
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
    const { firstId, words, starts } = this.loaded;
    const proto = this.word(2);
    this.wants(proto, funcProto!);
    if (proto < firstId) return;
    const at = starts[proto - firstId]!;
    for (let i = 0; i < vlenOf(words[at + 1]!); i++) {
      if (words[at + 3 + 2 * i] === 0 && words[at + 4 + 2 * i] !== 0) this.fail(`parameter ${i} has no name`);
    }
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
      if (bytes < this.sizeOf(this.variableType(this.word(at))))
        this.fail(`variable ${i} is larger than its place`);
      end = offset + bytes;
    }
  }

  private variableType(id: number): number {
    const { firstId, words, starts } = this.loaded;
    return id < firstId ? 0 : words[starts[id - firstId]! + 2]!;
  }

  private checkTag(): void {
    const { firstId, words, starts } = this.loaded;
    const target = this.word(2);
    const kind = this.kind(target);
    if (!tagged.has(kind)) this.fail(`type ${target} has no tags`);
    const component = this.word(3) | 0;
    if (component === -1) return;
    if (component < -1 || target < firstId) this.fail(`component ${component}`);
    const start = starts[target - firstId]!;
    const counted = kind === func ? starts[words[start + 2]! - firstId] : start;
    const count = kind === struct || kind === union || kind === func ? vlenOf(words[(counted ?? 0) + 1]!) : 0;
    if (component >= count) this.fail(`component ${component} of ${count}`);
  }
}
