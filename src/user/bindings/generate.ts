/**
 * Typed bindings: from an object's spec to the text of a TypeScript module, in which its programs, maps and
 * variables have names and types, and a function `load` that loads it into a kernel. The module stands on
 * `loadBindings`; nothing of it is read back.
 *
 * What a BPF program sends through a ring buffer or a perf buffer has no type in the map. It is found so, by
 * convention: a declaration tag on the map, `__attribute__((btf_decl_tag("record:event")))`, names `struct event`.
 */
import { toBase64 } from '../../base/bytes.ts';
import { type Btf, readBtf } from '../../btf/index.ts';
import type { CollectionSpec, MapSpec, ProgramSpec, VariableSpec } from '../../object/spec.ts';
import { mapTypeName } from '../../uapi/map-types.ts';
import { fdTypes, indexedTypes, perCpuTypes } from '../map.ts';
import { commentText, literal, NameSpace, pascalCase, propertyName } from './names.ts';

import { arrayOf, type Direction, TypeTexts } from './type-text.ts';

export interface BindingsInput {
  readonly spec: CollectionSpec;
  /** The object file's name, 'firewall.bpf.o'. */
  readonly name: string;
  /** Its bytes, to be carried in the module; or where it is, relative to the module, to be read at `load`. */
  readonly object: Uint8Array | { readonly path: string };
}

/** What a generated module declares and refers to; a type of the object has another name. */
const reserved = [
  'BindingsOptions',
  'Bindings',
  'KernelHandle',
  'Map',
  'Maps',
  'Program',
  'Programs',
  'Record',
  'Uint8Array',
  'URL',
  'Variables',
];

const base64Line = 100;

/** `text`, or 'Uint8Array' for what has no values. */
interface Element {
  readonly read: string;
  readonly write: string;
}

const bytes: Element = { read: 'Uint8Array', write: 'Uint8Array | number | bigint' };
const index: Element = { read: 'number', write: 'number' };

class Generator {
  readonly #input: BindingsInput;
  readonly #names: NameSpace;
  readonly #types: TypeTexts | undefined;
  readonly #btf: Btf | undefined;
  /** The interface of the whole. */
  readonly #main: string;

  constructor(input: BindingsInput) {
    this.#input = input;
    this.#names = new NameSpace(reserved);
    const main = pascalCase(input.name.split('.')[0] ?? '');
    this.#main = this.#names.unique(reserved.includes(main) ? `${main}Object` : main);
    const raw = input.spec.btf;
    this.#btf = raw === undefined ? undefined : readBtf(raw);
    this.#types = this.#btf && new TypeTexts(this.#btf, this.#names);
  }

  text(): string {
    const { spec, name } = this.#input;
    const sections = [
      this.#interface('Programs', 'Its programs.', this.#programs(Object.values(spec.programs))),
      this.#interface('Maps', 'Its maps.', this.#maps(Object.values(spec.maps))),
      this.#interface(
        'Variables',
        'Its global variables. `load` takes initial values, of constants too.',
        this.#variables(Object.values(spec.variables)),
      ),
      this.#load(),
    ].flat();
    const usesMaps = Object.keys(spec.maps).length > 0;
    const usesPrograms = Object.keys(spec.programs).length > 0;
    const embeds = this.#input.object instanceof Uint8Array;
    const imports = [
      'type Bindings',
      'type BindingsOptions',
      ...(embeds ? ['fromBase64'] : []),
      'type KernelHandle',
      'loadBindings',
      ...(usesMaps ? ['type Map'] : []),
      ...(usesPrograms ? ['type Program'] : []),
    ];
    return [
      '/**',
      ` * ${commentText(name)}: its programs, maps and variables, with their types.`,
      ' * Written by `skep gen ts`. Do not edit: write it anew when the object changes.',
      ' */',
      ...(embeds ? [] : ["import { readFileSync } from 'node:fs';"]),
      'import {',
      ...imports.map((each) => `  ${each},`),
      "} from 'skep';",
      '',
      ...(this.#types?.declarations() ?? []),
      ...sections,
    ].join('\n');
  }

  #interface(name: string, comment: string, members: readonly string[]): string[] {
    return [`/** ${comment} */`, `export interface ${name} {`, ...members, '}', ''];
  }

  #programs(programs: readonly ProgramSpec[]): string[] {
    return programs.map(
      ({ name, section }) =>
        `  ${propertyName(name)}: Program; // SEC(${commentText(JSON.stringify(section))})`,
    );
  }

  #maps(maps: readonly MapSpec[]): string[] {
    return maps.map((map) => {
      const key = this.#key(map);
      const value = this.#value(map);
      const parts = [key.read, value.read];
      if (key.read !== key.write || value.read !== value.write) parts.push(key.write, value.write);
      const kind = mapTypeName(map.type) ?? `type ${map.type}`;
      return `  ${propertyName(map.name)}: Map<${parts.join(', ')}>; // ${kind}, ${map.maxEntries} entries`;
    });
  }

  #key(map: MapSpec): Element {
    if (map.btfKeyTypeId === 0 && indexedTypes.includes(map.type)) return index;
    return this.#element(map.btfKeyTypeId, map.keySize);
  }

  #value(map: MapSpec): Element {
    const one = fdTypes.includes(map.type) ? index : this.#element(map.btfValueTypeId, map.valueSize);
    if (!perCpuTypes.includes(map.type)) return one;
    return { read: arrayOf(one.read), write: arrayOf(one.write) };
  }

  #element(typeId: number, size: number): Element {
    const types = this.#types;
    if (types === undefined || !types.hasValues(typeId, size)) return bytes;
    const text = (direction: Direction): string => types.text(typeId, direction);
    return { read: text('read'), write: text('write') };
  }

  #variables(variables: readonly VariableSpec[]): string[] {
    return variables.map(({ name, map, size, btfTypeId }) => {
      const { read } = this.#element(btfTypeId, size);
      return `  ${propertyName(name)}: ${read}; // ${commentText(map)}, ${size} bytes`;
    });
  }

  #load(): string[] {
    const { object, name } = this.#input;
    const main = this.#main;
    const lines = [
      '/** The object, loaded. Close it when it is no longer needed. */',
      `export type ${main} = Bindings<Programs, Maps, Variables>;`,
      '',
      '/** Loads the object: all of it or nothing. */',
      `export function load(kernel: KernelHandle, options: BindingsOptions<Variables> = {}): ${main} {`,
    ];
    const load = (bytesText: string): string =>
      `  return loadBindings(kernel, { bytes: ${bytesText}, name: ${literal(name)} }, options);`;
    if (!(object instanceof Uint8Array)) {
      return [...lines, load(`readFileSync(new URL(${literal(object.path)}, import.meta.url))`), '}', ''];
    }
    const text = toBase64(object);
    const chunks = Array.from({ length: Math.ceil(text.length / base64Line) }, (_, i) =>
      text.slice(i * base64Line, (i + 1) * base64Line),
    );
    return [
      ...lines,
      load('fromBase64(object)'),
      '}',
      '',
      `/** The bytes of ${commentText(name)}. */`,
      'const object = `',
      ...chunks,
      '`;',
      '',
    ];
  }
}

/**
 * The text of a module with the bindings of an object.
 * @throws {SkepError} code 'bindings' where its types are too many to write down
 */
export function generateBindings(input: BindingsInput): string {
  return new Generator(input).text();
}
