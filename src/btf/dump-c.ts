/**
 * A BTF's types as a C header: what is named comes behind all that it needs, and every struct has the layout that
 * BTF says, by padding and packing where a compiler would choose another. It is meant for BPF programs,
 * as `bpftool btf dump format c` is: fields that they access are relocated.
 *
 * Two types of one name become 'name' and 'name___2', which CO-RE takes for one. Functions and variables
 * are not written. Names are checked: a hostile file cannot write code of its own.
 */
import { CLayouts, paddingFields } from './c-layout.ts';
import { badBtf } from './layout.ts';
import { declare } from './query.ts';
import type { Btf } from './read.ts';
import type { BtfComposite, BtfEnum, BtfMember, BtfType } from './types.ts';

/** Types on the way from one to another; C has few. */
const maxDepth = 1000;
/** Lines for each type, on average: a shared anonymous struct is written wherever it is used. */
const maxLinesPerType = 64;
const minLines = 1 << 16;
/** Characters of all declarations; the kernel's have 4 million. A name may be long, and be in very many of them. */
const maxText = 1 << 26;

/** Compilers know it themselves. */
const builtinTypedefs = ['__builtin_va_list'];

const prologue = [
  '#ifndef __VMLINUX_H__',
  '#define __VMLINUX_H__',
  '',
  '#ifndef BPF_NO_PRESERVE_ACCESS_INDEX',
  '#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)',
  '#endif',
  '',
];

const epilogue = [
  '#ifndef BPF_NO_PRESERVE_ACCESS_INDEX',
  '#pragma clang attribute pop',
  '#endif',
  '',
  '#endif /* __VMLINUX_H__ */',
];

/** How enums of other sizes than int's are declared. */
const enumModes: Readonly<Record<number, string>> = { 1: 'byte', 2: 'HI', 8: 'DI' };

class CDump {
  private readonly btf: Btf;
  private readonly layouts: CLayouts;
  private readonly lines: string[] = [];
  /** Types whose definition is written, or being written. */
  private readonly defined = new Set<number>();
  private readonly declared = new Set<string>();
  /** Uses whose needs are met: a type's id twice, and one more where it is used whole. */
  private readonly needed = new Set<number>();
  private readonly names = new Map<number, string>();
  /** How often a tag, and any other name, was given. */
  private readonly tags = new Map<string, number>();
  private readonly ordinary = new Map<string, number>();
  private depth = 0;
  private linesLeft: number;
  private textLeft = maxText;

  constructor(btf: Btf) {
    this.btf = btf;
    this.layouts = new CLayouts(btf);
    this.linesLeft = minLines + btf.typeCount * maxLinesPerType;
  }

  /** @param roots types to write with all that they need; without, every type, of split BTF every one of its own */
  dump(roots: readonly number[] | undefined): string[] {
    this.nameTags();
    if (roots === undefined) this.defineAll();
    else for (const id of roots) this.need(id, true);
    return [...prologue, ...this.lines, ...epilogue];
  }

  private defineAll(): void {
    const { btf } = this;
    const inlined = this.inlinedEnums();
    for (let id = btf.firstId; id < btf.typeCount; id++) {
      const type = btf.type(id);
      const isAnonymousEnum = (type.kind === 'enum' || type.kind === 'enum64') && type.name === '';
      if (isAnonymousEnum ? !inlined.has(id) : type.name !== '' && isDefinable(type)) this.define(id);
    }
  }

  /** Anonymous enums that are written where they are used. */
  private inlinedEnums(): Set<number> {
    const found = new Set<number>();
    for (let id = 1; id < this.btf.typeCount; id++) {
      const type = this.btf.type(id);
      if (type.kind === 'struct' || type.kind === 'union')
        for (const member of type.members) found.add(member.type);
      else if ('type' in type && type.kind !== 'declTag') found.add(type.type);
    }
    return found;
  }

  /** Structs, unions and enums share one name space, and a forward declaration is of the type that is there. */
  private nameTags(): void {
    const { btf } = this;
    const kindOf = new Map<string, string>();
    const forwards: number[] = [];
    for (let id = 1; id < btf.typeCount; id++) {
      const type = btf.type(id);
      if (type.name === '') continue;
      if (type.kind === 'fwd') forwards.push(id);
      else if (
        type.kind === 'struct' ||
        type.kind === 'union' ||
        type.kind === 'enum' ||
        type.kind === 'enum64'
      ) {
        this.names.set(id, this.unique(this.tags, type.name));
        if (!kindOf.has(type.name)) kindOf.set(type.name, type.kind);
      }
    }
    for (const id of forwards) {
      const type = btf.type(id);
      if (type.kind !== 'fwd') continue;
      const isSame = (kindOf.get(type.name) ?? type.of) === type.of;
      this.names.set(id, isSame ? checked(type.name) : this.unique(this.tags, type.name));
      if (!kindOf.has(type.name)) {
        kindOf.set(type.name, type.of);
        this.unique(this.tags, type.name);
      }
    }
  }

  private unique(space: Map<string, number>, name: string): string {
    const count = (space.get(name) ?? 0) + 1;
    space.set(name, count);
    return count === 1 ? checked(name) : `${checked(name)}___${count}`;
  }

  private line(text: string): void {
    if (--this.linesLeft < 0) throw badBtf('its types are too many lines of C');
    this.lines.push(text);
  }

  private deeper<T>(step: () => T): T {
    if (++this.depth > maxDepth) throw badBtf(`types that are more than ${maxDepth} steps from each other`);
    const result = step();
    this.depth--;
    return result;
  }

  /** Writes the definition of a named type, or of an anonymous enum, once. */
  private define(id: number): void {
    if (this.defined.has(id)) return;
    this.defined.add(id);
    this.deeper(() => {
      const type = this.btf.type(id);
      switch (type.kind) {
        case 'struct':
        case 'union':
          this.needMembers(type);
          this.declared.add(`${type.kind} ${this.names.get(id)}`);
          this.line(`${this.compositeText(type, `${type.kind} ${this.names.get(id)}`, 0)};`);
          this.line('');
          break;
        case 'enum':
        case 'enum64':
          this.line(`${this.enumText(type, type.name === '' ? 'enum' : `enum ${this.names.get(id)}`, 0)};`);
          this.line('');
          break;
        case 'fwd':
          this.declareTag(id, type.of);
          break;
        case 'typedef': {
          if (builtinTypedefs.includes(type.name)) break;
          this.need(type.type, false);
          const name = this.unique(this.ordinary, type.name);
          this.names.set(id, name);
          this.line(`typedef ${this.declaration(type.type, name, 0)};`);
          this.line('');
          break;
        }
        default:
      }
    });
  }

  private declareTag(id: number, kind: 'struct' | 'union'): void {
    const text = `${kind} ${this.names.get(id)}`;
    if (this.declared.has(text)) return;
    this.declared.add(text);
    this.line(`${text};`);
    this.line('');
  }

  private needMembers(type: BtfComposite): void {
    for (const member of type.members) this.need(member.type, true);
  }

  /** Writes what must stand before a use of a type: its definition where it is used `whole`. */
  private need(id: number, whole: boolean): void {
    const use = id * 2 + Number(whole);
    if (this.needed.has(use)) return;
    this.needed.add(use);
    this.deeper(() => {
      const type = this.btf.type(id);
      switch (type.kind) {
        case 'struct':
        case 'union':
          if (type.name === '') this.needMembers(type);
          else if (whole) this.define(id);
          else this.declareTag(id, type.kind);
          break;
        case 'enum':
        case 'enum64':
          if (type.name !== '') this.define(id);
          break;
        case 'fwd':
          this.declareTag(id, type.of);
          break;
        case 'typedef':
          this.define(id);
          if (whole) this.need(type.type, true);
          break;
        case 'const':
        case 'volatile':
        case 'restrict':
        case 'typeTag':
          this.need(type.type, whole);
          break;
        case 'ptr':
          this.need(type.type, false);
          break;
        case 'array':
          this.need(type.type, true);
          break;
        case 'funcProto':
          this.need(type.type, false);
          for (const { type: each } of type.parameters) this.need(each, false);
          break;
        default:
      }
    });
  }

  private declaration(id: number, declarator: string, indent: number): string {
    const baseName = (base: number): string => this.deeper(() => this.baseText(base, indent));
    const text = declare(this.btf, id, { declarator, baseName, plain: true });
    this.textLeft -= text.length;
    if (this.textLeft < 0) throw badBtf('its types are too much text of C');
    return text;
  }

  /** The text of a type at the centre of declarators: its name, or all of an anonymous one. */
  private baseText(id: number, indent: number): string {
    const type = this.btf.type(id);
    switch (type.kind) {
      case 'struct':
      case 'union':
        return type.name === ''
          ? this.compositeText(type, type.kind, indent)
          : `${type.kind} ${this.names.get(id)}`;
      case 'enum':
      case 'enum64':
        return type.name === '' ? this.enumText(type, 'enum', indent) : `enum ${this.names.get(id)}`;
      case 'fwd':
        return `${type.of} ${this.names.get(id)}`;
      case 'void':
        return 'void';
      case 'typedef':
        return this.names.get(id) ?? checked(type.name);
      default:
        return checkedWords(type.name);
    }
  }

  private compositeText(type: BtfComposite, head: string, indent: number): string {
    const { packed, padding, filler } = this.layouts.of(type);
    const tabs = '\t'.repeat(indent + 1);
    const lines = [`${head} {`];
    let at = 0;
    for (const [i, member] of type.members.entries()) {
      for (const field of paddingFields(at, padding[i]!)) lines.push(`${tabs}${field};`);
      lines.push(`${tabs}${this.memberText(member, indent + 1)};`);
      at = this.endOf(member);
    }
    if (type.kind === 'struct') {
      for (const field of paddingFields(at, padding.at(-1)!)) lines.push(`${tabs}${field};`);
    }
    if (filler > 0) lines.push(`${tabs}char __filler[${filler}];`);
    this.linesLeft -= lines.length;
    if (this.linesLeft < 0) throw badBtf('its types are too many lines of C');
    const attribute = packed ? ' __attribute__((packed))' : '';
    return `${lines.join('\n')}\n${'\t'.repeat(indent)}}${attribute}`;
  }

  private endOf({ type, bitOffset, bitSize }: BtfMember): number {
    return bitOffset + (bitSize > 0 ? bitSize : this.layouts.sizeOf(type) * 8);
  }

  private memberText({ name, type, bitSize }: BtfMember, indent: number): string {
    const text = this.declaration(type, name === '' ? '' : checked(name), indent);
    return bitSize === 0 ? text : `${text}: ${bitSize}`;
  }

  private enumText(type: BtfEnum, head: string, indent: number): string {
    const tabs = '\t'.repeat(indent + 1);
    const suffix = type.kind === 'enum' ? '' : type.signed ? 'LL' : 'ULL';
    const values = type.values.map(({ name, value }) => {
      // The smallest number cannot be written: its digits are one too large.
      const text = value === -(2n ** 63n) ? '(-9223372036854775807LL - 1)' : `${value}${suffix}`;
      return `${tabs}${this.unique(this.ordinary, name)} = ${text},`;
    });
    this.linesLeft -= values.length;
    if (this.linesLeft < 0) throw badBtf('its types are too many lines of C');
    if (values.length === 0 && head !== 'enum') return head;
    const mode = enumModes[type.size];
    const attribute = mode === undefined ? '' : ` __attribute__((mode(${mode})))`;
    return [`${head} {`, ...values, `${'\t'.repeat(indent)}}${attribute}`].join('\n');
  }
}

function isDefinable({ kind }: BtfType): boolean {
  return ['struct', 'union', 'enum', 'enum64', 'fwd', 'typedef'].includes(kind);
}

function checked(name: string): string {
  if (/^[A-Za-z_$][\w$]*$/.test(name)) return name;
  throw badBtf(`${JSON.stringify(name.slice(0, 40))} is no name of C`);
}

/** The name of a number may have several words. */
function checkedWords(name: string): string {
  return name.split(' ').map(checked).join(' ');
}

/**
 * The lines of a C header with every type of a BTF; of split BTF with every one of its own, and what those need of its
 * base.
 * @param roots only these types, with what they need
 * @throws {SkepError} code 'btf' for names that are none, and types that C cannot write
 */
export function dumpC(btf: Btf, roots?: readonly number[]): string[] {
  return new CDump(btf).dump(roots);
}
