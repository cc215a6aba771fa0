/**
 * The BTF of the embedded kernel, built from its table of types (uapi/kernel-types.ts): members are laid out by C's
 * rules, and what a member needs is added before it. The enums of the user-space interface come from their own tables.
 */
import { Bug } from '../base/errors.ts';
import { BtfBuilder, type BtfMember, type BtfType, btfLinkages } from '../btf/index.ts';
import { attachTypes } from '../uapi/attach-types.ts';
import { helpers } from '../uapi/helpers.ts';
import { kernelFunctions, kernelStructs, kernelTraces, kernelTypedefs } from '../uapi/kernel-types.ts';
import { mapTypes } from '../uapi/map-types.ts';
import { progTypes } from '../uapi/prog-types.ts';

/** C's numbers on x86-64: bytes, and whether signed. */
const numbers: Readonly<Record<string, readonly [size: number, signed: boolean]>> = {
  char: [1, true],
  'signed char': [1, true],
  'unsigned char': [1, false],
  _Bool: [1, false],
  short: [2, true],
  'unsigned short': [2, false],
  int: [4, true],
  'unsigned int': [4, false],
  long: [8, true],
  'unsigned long': [8, false],
  'long long': [8, true],
  'unsigned long long': [8, false],
};

const pointerSize = 8;

interface Laid {
  readonly id: number;
  readonly size: number;
  readonly align: number;
}

/** A member or an argument: its type without stars and brackets, and those. */
interface Declaration {
  readonly base: string;
  readonly stars: number;
  readonly name: string;
  readonly length: number | undefined;
  readonly bits: number;
}

/** 'const struct cred *cred', 'char comm[16]', '__u8 ihl:4'; a pointer may have no name, 'void *'. */
function parseDeclaration(text: string): Declaration {
  const form = text.endsWith('*')
    ? /^(?<base>\w[\w ]*?) *(?<stars>\*+)$/
    : /^(?<base>\w[\w ]*?) *(?<stars>\**) *\b(?<name>\w+)(?:\[(?<length>\d+)\])?(?::(?<bits>\d+))?$/;
  const parts = form.exec(text);
  const { base = '', stars = '', name = '', length, bits = '0' } = parts?.groups ?? {};
  if (parts === null) throw new Bug(`not a declaration: ${text}`);
  return {
    base: base.trim(),
    stars: stars.length,
    name,
    length: length === undefined ? undefined : Number(length),
    bits: Number(bits),
  };
}

function parseDeclarations(text: string): Declaration[] {
  return text
    .split(';')
    .map((each) => each.trim())
    .filter((each) => each !== '')
    .map(parseDeclaration);
}

const roundUp = (value: number, to: number): number => Math.ceil(value / to) * to;

class KernelTypes {
  /** By id, from 1. A struct's place is kept until it is laid out: pointers to it may come before. */
  readonly #types: (BtfType | undefined)[] = [];
  /** What a name of C stands for, 'struct cred' among them. */
  readonly #known = new Map<string, Laid>();
  /** Ids of structs that something refers to. */
  readonly #structs = new Map<string, number>();

  build(): Uint8Array<ArrayBuffer> {
    for (const name of Object.keys(kernelTypedefs)) this.#base(name);
    for (const name of Object.keys(kernelStructs)) this.#base(`struct ${name}`);
    this.#enums();
    for (const [name, text] of Object.entries(kernelTraces)) this.#trace(name, text);
    for (const [name, text] of Object.entries(kernelFunctions)) this.#function(name, text);
    const builder = new BtfBuilder();
    for (const [i, type] of this.#types.entries()) {
      if (type === undefined) throw new Bug(`type ${i + 1} of the kernel was left out`);
      builder.add(type);
    }
    return builder.build();
  }

  #add(type: BtfType | undefined): number {
    return this.#types.push(type);
  }

  /** The same type again has the same id. */
  #derived(key: string, type: () => BtfType, { size, align }: { size: number; align: number }): Laid {
    let laid = this.#known.get(key);
    if (laid === undefined) this.#known.set(key, (laid = { id: this.#add(type()), size, align }));
    return laid;
  }

  /** A type by its name, laid out. */
  #base(name: string): Laid {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const laid = this.#make(name);
    this.#known.set(name, laid);
    return laid;
  }

  #make(name: string): Laid {
    const number = Object.hasOwn(numbers, name) ? numbers[name] : undefined;
    if (number !== undefined) {
      const [size, signed] = number;
      const type: BtfType = {
        kind: 'int',
        name,
        size,
        signed,
        char: false,
        bool: name === '_Bool',
        bitOffset: 0,
        bits: size * 8,
      };
      return { id: this.#add(type), size, align: size };
    }
    const [first = '', ...rest] = name.split(' ');
    if (first === 'const' || first === 'volatile') {
      const inner = this.#base(rest.join(' '));
      return { ...inner, id: this.#add({ kind: first, name: '', type: inner.id }) };
    }
    if (first === 'struct') return this.#layOut(rest.join(' '));
    const meaning = Object.hasOwn(kernelTypedefs, name) ? kernelTypedefs[name] : undefined;
    if (meaning === undefined) throw new Bug(`the kernel has no type '${name}'`);
    const inner = this.#base(meaning);
    return { ...inner, id: this.#add({ kind: 'typedef', name, type: inner.id }) };
  }

  /** The id of a struct whose layout does not matter here, or of one that is declared and never laid out. */
  #structId(name: string): number {
    let id = this.#structs.get(name);
    if (id === undefined) {
      const isKnown = Object.hasOwn(kernelStructs, name);
      id = this.#add(isKnown ? undefined : { kind: 'fwd', name, of: 'struct' });
      this.#structs.set(name, id);
    }
    return id;
  }

  #layOut(name: string): Laid {
    const text = Object.hasOwn(kernelStructs, name) ? kernelStructs[name] : undefined;
    if (text === undefined) throw new Bug(`struct ${name} of the kernel is nowhere laid out`);
    const id = this.#structId(name);
    const members: BtfMember[] = [];
    let [at, align] = [0, 1];
    for (const declaration of parseDeclarations(text)) {
      const type = this.#declared(declaration);
      const { bits } = declaration;
      const unit = type.align * 8;
      // A bitfield stays behind the last where it does not cross a boundary of its type.
      const crosses = Math.floor(at / unit) !== Math.floor((at + bits - 1) / unit);
      if (bits === 0 || crosses) at = roundUp(at, unit);
      members.push({ name: declaration.name, type: type.id, bitOffset: at, bitSize: bits });
      at += bits === 0 ? type.size * 8 : bits;
      align = Math.max(align, type.align);
    }
    const size = roundUp(at, align * 8) / 8;
    this.#types[id - 1] = { kind: 'struct', name, size, members };
    return { id, size, align };
  }

  #declared({ base, stars, length }: Declaration): Laid {
    let laid = stars === 0 ? this.#base(base) : this.#pointee(base);
    for (let i = 0; i < stars; i++) {
      const { id } = laid;
      const shape = { size: pointerSize, align: pointerSize };
      laid = this.#derived(`${id} *`, () => ({ kind: 'ptr', name: '', type: id }), shape);
    }
    if (length === undefined) return laid;
    const [{ id, size, align }, index] = [laid, this.#base('unsigned int')];
    const array: BtfType = { kind: 'array', name: '', type: id, indexType: index.id, length };
    return this.#derived(`${id}[${length}]`, () => array, { size: size * length, align });
  }

  /** What a pointer points to: of a struct, the id is enough. */
  #pointee(base: string): Laid {
    const [first = '', ...rest] = base.split(' ');
    const nothing = { size: 0, align: 1 };
    if (base === 'void') return { id: 0, ...nothing };
    if (first === 'struct') return { id: this.#structId(rest.join(' ')), ...nothing };
    if (first !== 'const' && first !== 'volatile') return this.#base(base);
    const { id } = this.#pointee(rest.join(' '));
    return this.#derived(`${first} ${id}`, () => ({ kind: first, name: '', type: id }), nothing);
  }

  /** Of the user-space interface: programs ask by CO-RE whether a kernel has a value. */
  #enums(): void {
    const upper = (name: string): string => name.toUpperCase();
    const ids = (rows: Readonly<Record<string, { readonly id: number }>>, spell: (name: string) => string) =>
      Object.entries(rows).map(([name, { id }]) => ({ name: spell(name), value: BigInt(id) }));
    const enums = {
      bpf_map_type: ids(mapTypes, (name) => `BPF_MAP_TYPE_${upper(name)}`),
      bpf_prog_type: ids(progTypes, (name) => `BPF_PROG_TYPE_${upper(name)}`),
      bpf_attach_type: ids(attachTypes, (name) => `BPF_${upper(name)}`),
      bpf_func_id: ids(helpers, (name) => `BPF_FUNC_${name}`),
    };
    for (const [name, values] of Object.entries(enums)) {
      this.#add({ kind: 'enum', name, size: 4, signed: false, values });
    }
  }

  /** typedef void (*btf_trace_NAME)(void *, …) */
  #trace(name: string, text: string): void {
    const parameters = this.#parameters(`void *; ${text}`).map(({ type }) => ({ name: '', type }));
    const proto = this.#add({ kind: 'funcProto', name: '', type: 0, parameters });
    const pointer = this.#add({ kind: 'ptr', name: '', type: proto });
    this.#add({ kind: 'typedef', name: `btf_trace_${name}`, type: pointer });
  }

  /** A function for programs: tagged, as the kernel's are. `text` is 'int(struct bpf_iter_num *it; int start)'. */
  #function(name: string, text: string): void {
    const open = text.indexOf('(');
    const type = this.#add(this.#proto(text.slice(0, open), text.slice(open + 1, -1)));
    const id = this.#add({ kind: 'func', name, type, linkage: btfLinkages.static });
    this.#add({ kind: 'declTag', name: 'bpf_kfunc', type: id, component: -1 });
  }

  #proto(result: string, parameters: string): BtfType {
    return {
      kind: 'funcProto',
      name: '',
      type: this.#named(result),
      parameters: this.#parameters(parameters),
    };
  }

  #parameters(text: string): { name: string; type: number }[] {
    return text
      .split(';')
      .map((each) => each.trim())
      .filter((each) => each !== '')
      .map((each) => {
        const callback = /^(?<result>.+)\(\*(?<name>\w+)\)\((?<parameters>.*)\)$/.exec(each)?.groups;
        if (callback === undefined) {
          const declaration = parseDeclaration(each);
          return { name: declaration.name, type: this.#declared(declaration).id };
        }
        const { result = '', name = '', parameters = '' } = callback;
        const type = this.#add(this.#proto(result, parameters.replaceAll(',', ';')));
        return { name, type: this.#add({ kind: 'ptr', name: '', type }) };
      });
  }

  /** The id of a type that is written without a name: 'void', 'struct cred *'. */
  #named(text: string): number {
    if (text === 'void') return 0;
    return this.#declared(parseDeclaration(text.endsWith('*') ? text : `${text} _`)).id;
  }
}

let built: Uint8Array<ArrayBuffer> | undefined;

/** The raw BTF of the embedded kernel: always the same bytes. */
export function embeddedKernelBtf(): Uint8Array {
  built ??= new KernelTypes().build();
  return built;
}
