/**
 * BTF and BTF.ext of linked files: types are put behind each other, a global variable or function is described
 * once, sections of variables are described anew, types that several files have are left once, and records of
 * instructions move with their code.
 */

import { dedupBtf } from '../../btf/dedup.ts';
import type { BtfExtSection } from '../../btf/ext.ts';
import { type Btf, readBtf } from '../../btf/read.ts';
import { withReferences } from '../../btf/references.ts';
import { type BtfDatasec, type BtfType, btfLinkages } from '../../btf/types.ts';
import { BtfBuilder } from '../../btf/write.ts';
import { type LinkedFile, linkError, type MergedSection, type MergedSymbol } from './input.ts';

type Variable = BtfDatasec['variables'][number];

/** A type of the result: one of a file's. */
interface Source {
  file: LinkedFile;
  btf: Btf;
  id: number;
}

const isExtern = (type: BtfType): boolean =>
  (type.kind === 'var' || type.kind === 'func') && type.linkage === btfLinkages.extern;

/** Puts types together. */
export class TypeMerger {
  #builder = new BtfBuilder();
  /** Ids after types that are there several times were removed, by id before. */
  #left: Uint32Array | undefined;
  readonly #sources: Source[] = [];
  /** Ids in the result, by file and id there. */
  readonly #ids = new Map<LinkedFile, Uint32Array>();
  readonly #ofSymbols = new Map<MergedSymbol, { id: number; source: Source }>();
  readonly #global: (name: string) => MergedSymbol | undefined;

  constructor(global: (name: string) => MergedSymbol | undefined) {
    this.#global = global;
  }

  /** Gives all types of a file their ids. */
  addFile(file: LinkedFile): void {
    const { btf } = file;
    if (btf === undefined) return;
    const ids = new Uint32Array(btf.typeCount);
    this.#ids.set(file, ids);
    for (let id = 1; id < btf.typeCount; id++) {
      if (btf.kind(id) === 'datasec') continue;
      ids[id] = this.#place({ file, btf, id });
    }
  }

  #place(source: Source): number {
    const { file, btf, id: own } = source;
    const type = btf.type(own);
    const isGlobal = (type.kind === 'var' || type.kind === 'func') && type.linkage !== btfLinkages.static;
    const symbol = isGlobal ? this.#global(type.name) : undefined;
    const known = symbol && this.#ofSymbols.get(symbol);
    if (known === undefined) {
      this.#sources.push(source);
      const id = this.#sources.length;
      if (symbol !== undefined) this.#ofSymbols.set(symbol, { id, source });
      return id;
    }
    const before = known.source.btf.type(known.source.id);
    if (before.kind !== type.kind) {
      throw linkError(
        `'${type.name}' is a ${type.kind} here, and a ${before.kind} in the files before`,
        file.name,
      );
    }
    // The file that defines it knows best what it is.
    if (symbol?.definer === file && !isExtern(type)) Object.assign(known.source, source);
    return known.id;
  }

  /** The id in the result of a file's type. */
  idOf(file: LinkedFile, id: number): number {
    const placed = this.#ids.get(file)?.[id] ?? 0;
    return this.#left?.[placed] ?? placed;
  }

  /** What the result is built of; after `finish` it takes strings only. */
  get builder(): BtfBuilder {
    return this.#builder;
  }

  /** Writes all types, then the sections of variables. */
  finish(files: readonly LinkedFile[], sections: readonly MergedSection[]): void {
    for (const { file, btf, id } of this.#sources) {
      this.#builder.add(withReferences(btf.type(id), (each) => this.idOf(file, each)));
    }
    const variables = new Map<string, Map<number, Variable>>();
    for (const file of files) this.#addVariables(file, variables);
    const byName = new Map(sections.map((section) => [section.name, section]));
    for (const [name, found] of variables) {
      if (found.size === 0) continue;
      const sorted = [...found.values()].sort((a, b) => a.offset - b.offset);
      this.#builder.add({ kind: 'datasec', name, size: byName.get(name)?.size ?? 0, variables: sorted });
    }
    const { builder, ids } = dedupBtf(readBtf(this.#builder.build()));
    this.#builder = builder;
    this.#left = ids;
  }

  #addVariables(file: LinkedFile, into: Map<string, Map<number, Variable>>): void {
    const { btf, elf } = file;
    if (btf === undefined) return;
    for (const id of btf.idsOf('datasec')) {
      const datasec = btf.type(id);
      if (datasec.kind !== 'datasec') continue;
      let known = into.get(datasec.name);
      if (known === undefined) into.set(datasec.name, (known = new Map()));
      const section = elf.section(datasec.name);
      const part = section && file.parts.get(section.index);
      for (const variable of datasec.variables) {
        const offset = this.#offsetOf(file, btf.type(variable.type), { variable, at: part?.at });
        if (offset === undefined) continue;
        const type = this.idOf(file, variable.type);
        known.set(type, { type, offset, size: variable.size });
      }
    }
  }

  /** Where a variable is in its section; undefined where it is not in the result, or described elsewhere. */
  #offsetOf(
    file: LinkedFile,
    type: BtfType,
    { variable, at }: { variable: Variable; at: number | undefined },
  ): number | undefined {
    if (type.kind === 'var' && type.linkage === btfLinkages.static) {
      return at === undefined ? undefined : at + variable.offset;
    }
    const symbol = this.#global(type.name);
    if (isExtern(type)) return symbol?.definer === undefined ? 0 : undefined;
    return symbol?.definer === file ? symbol.value : undefined;
  }
}

/** The place of an id or the offset of a string in records of each kind. */
export const recordFields = {
  funcInfo: { types: [4], strings: [] },
  lineInfo: { types: [], strings: [4, 8] },
  coreRelocations: { types: [4], strings: [8] },
} as const;

/** The records of one kind of all files. */
export function mergeRecords(
  files: readonly LinkedFile[],
  kind: keyof typeof recordFields,
  merger: TypeMerger,
): BtfExtSection[] {
  const merged = new Map<string, { recordSize: number; parts: Uint8Array[] }>();
  for (const file of files) {
    const { btf, ext, elf } = file;
    if (btf === undefined || ext === undefined) continue;
    for (const { nameOffset, recordSize, records } of ext[kind]) {
      const name = btf.string(nameOffset);
      const section = elf.section(name);
      const part = section && file.parts.get(section.index);
      if (part === undefined) continue;
      const known = merged.get(name) ?? { recordSize, parts: [] };
      if (known.recordSize !== recordSize) {
        throw linkError(`records of ${recordSize} bytes, ${known.recordSize} in the files before`, file.name);
      }
      merged.set(name, known);
      known.parts.push(moveRecords({ file, btf, merger, kind }, { records, recordSize, by: part.at }));
    }
  }
  return [...merged].map(([name, { recordSize, parts }]) => {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const records = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      records.set(part, at);
      at += part.length;
    }
    return { nameOffset: merger.builder.string(name), recordSize, count: length / recordSize, records };
  });
}

function moveRecords(
  from: { file: LinkedFile; btf: Btf; merger: TypeMerger; kind: keyof typeof recordFields },
  { records, recordSize, by }: { records: Uint8Array; recordSize: number; by: number },
): Uint8Array {
  const { file, btf, merger, kind } = from;
  const moved = new Uint8Array(records);
  const view = new DataView(moved.buffer);
  const { types, strings } = recordFields[kind];
  for (let at = 0; at + recordSize <= moved.length; at += recordSize) {
    view.setUint32(at, view.getUint32(at, true) + by, true);
    for (const field of types) {
      const id = view.getUint32(at + field, true);
      if (id >= btf.typeCount) throw linkError(`a record names type ${id}, of ${btf.typeCount}`, file.name);
      view.setUint32(at + field, merger.idOf(file, id), true);
    }
    for (const field of strings) {
      const text = btf.string(view.getUint32(at + field, true));
      view.setUint32(at + field, merger.builder.string(text), true);
    }
  }
  return moved;
}
