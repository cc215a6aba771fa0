/**
 * Typed bindings: from an object's spec to the text of a TypeScript module, in which its programs, maps and
 * variables have names and types, and a function `load` that loads it into a kernel. The module stands on
 * `loadBindings`; nothing of it is read back.
 *
 * What a BPF program sends through a ring buffer or a perf buffer has no type in the map; records.ts says how one is
 * found all the same. For such a map there is a function that reads it.
 */
import { toBase64 } from '../../base/bytes.ts';
import { type Btf, readBtf } from '../../btf/index.ts';
import type { CollectionSpec, MapSpec, ProgramSpec } from '../../object/spec.ts';
import { mapTypeName } from '../../uapi/map-types.ts';
import { fdTypes, indexedTypes, perCpuTypes } from '../map-codecs.ts';
import { commentText, literal, NameSpace, pascalCase, propertyName } from './names.ts';
import { type RecordType, recordTypes } from './records.ts';

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
  'InitialValues',
  'KernelHandle',
  'Map',
  'Maps',
  'PerfBuffer',
  'Program',
  'Programs',
  'Record',
  'RingBuffer',
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
const none: Element = { read: 'never', write: 'never' };

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
    const records = this.#btf === undefined ? [] : recordTypes(this.#btf, Object.values(spec.maps));
    const sections = [
      this.#interface('Programs', 'Its programs.', this.#programs(Object.values(spec.programs))),
      this.#interface('Maps', 'Its maps.', this.#maps(Object.values(spec.maps))),
      this.#interface('Variables', 'Its global variables.', this.#variables('read')),
      this.#interface(
        'InitialValues',
        'What variables may be before it is loaded, constants among them.',
        this.#variables('write'),
      ),
      this.#readers(records),
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
      ...(records.some(({ reader }) => reader === 'PerfBuffer') ? ['type PerfBuffer'] : []),
      ...(usesPrograms ? ['type Program'] : []),
      ...(records.some(({ reader }) => reader === 'RingBuffer') ? ['type RingBuffer'] : []),
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
    if (members.length === 0)
      return [`/** ${comment} There are none. */`, `export type ${name} = Record<never, never>;`, ''];
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
      const kind = mapTypeName(map.type) ?? `type ${map.type}`;
      const size = `${kind}, ${map.maxEntries} ${map.valueSize === 0 ? 'bytes' : 'entries'}`;
      return `  ${propertyName(map.name)}: Map${this.#parameters(map)}; // ${size}`;
    });
  }

  /** What is read of keys and values, and what may be written where that is more. */
  #parameters(map: MapSpec): string {
    if (map.keySize === 0 && map.valueSize === 0) return '<never, never>';
    const key = this.#key(map);
    const value = this.#value(map);
    const parts = [key.read, value.read];
    if (key.read !== key.write || value.read !== value.write) parts.push(key.write, value.write);
    return `<${parts.join(', ')}>`;
  }

  #key(map: MapSpec): Element {
    if (map.btfKeyTypeId === 0 && indexedTypes.includes(map.type)) return index;
    if (map.keySize === 0) return none;
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

  /** Values of the kernel's configuration are read only. */
  #variables(direction: Direction): string[] {
    const { variables, externs = {} } = this.#input.spec;
    const isConfig = (name: string): boolean =>
      Object.hasOwn(externs, name) && externs[name]?.kind === 'config';
    return Object.values(variables)
      .filter(({ name }) => direction === 'read' || !isConfig(name))
      .map(({ name, map, size, btfTypeId }) => {
        const text = this.#element(btfTypeId, size)[direction];
        if (direction === 'write') return `  ${propertyName(name)}?: ${text};`;
        return `  ${propertyName(name)}: ${text}; // ${commentText(map)}, ${size} bytes`;
      });
  }

  /** A function for each map whose records have a type. */
  #readers(records: readonly RecordType[]): string[] {
    return records.flatMap(({ map, reader, typeName, typeId }) => {
      const record = this.#types?.text(typeId, 'read') ?? 'Uint8Array';
      const name = this.#names.unique(`read${pascalCase(map)}`);
      const method = reader === 'RingBuffer' ? 'ringBuffer' : 'perfBuffer';
      const object = `object: ${this.#main}`;
      const access = /^[A-Za-z_$][\w$]*$/.test(map) ? `.${map}` : `[${literal(map)}]`;
      return [
        `/** A reader of the records of ${commentText(map)}. Close it when it is no longer needed. */`,
        `export function ${name}(${object}): ${reader}<${record}> {`,
        `  return object.maps${access}.${method}<${record}>({ type: ${literal(typeName)} });`,
        '}',
        '',
      ];
    });
  }

  #load(): string[] {
    const { object, name } = this.#input;
    const main = this.#main;
    const lines = [
      '/** The object, loaded. Close it when it is no longer needed. */',
      `export type ${main} = Bindings<Programs, Maps, Variables, InitialValues>;`,
      '',
      '/** Loads the object: all of it or nothing. */',
      `export function load(kernel: KernelHandle, options: BindingsOptions<InitialValues> = {}): ${main} {`,
    ];
    const load = (bytesText: string): string[] => [
      `  const bytes = ${bytesText};`,
      `  return loadBindings(kernel, { bytes, name: ${literal(name)} }, options);`,
      '}',
      '',
    ];
    if (!(object instanceof Uint8Array)) {
      return [...lines, ...load(`readFileSync(new URL(${literal(object.path)}, import.meta.url))`)];
    }
    const text = toBase64(object);
    const chunks = Array.from({ length: Math.ceil(text.length / base64Line) }, (_, i) =>
      text.slice(i * base64Line, (i + 1) * base64Line),
    );
    return [
      ...lines,
      ...load('fromBase64(object)'),
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
