/**
 * A module: function types, imports, functions, exports (WebAssembly core specification, §5.5). It has what
 * generated programs need: one imported memory, and functions.
 */
import { Bug } from '../../../base/errors.ts';
import { ByteWriter } from './bytes.ts';
import { Code, type FunctionRef, type FunctionType } from './code.ts';
import { valueTypes } from './opcodes.ts';

const HEADER = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
const section = { custom: 0, types: 1, imports: 2, functions: 3, exports: 7, code: 10 } as const;
const external = { function: 0, table: 1, memory: 2 } as const;
const FUNCREF = 0x70;
const LIMITS_MIN = 0;
const FUNCTION_TYPE = 0x60;
/** Limits with a maximum. */
const LIMITS_MIN_MAX = 1;

interface Imported {
  readonly module: string;
  readonly name: string;
  readonly type: FunctionType;
}

export interface MemoryImport {
  readonly module: string;
  readonly name: string;
  /** In pages of 64 KiB. */
  readonly initial: number;
  readonly maximum: number;
}

export interface Binary {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** For each defined function, where its instructions start in `bytes`. */
  readonly starts: readonly number[];
}

export class ModuleBuilder {
  readonly imports: Imported[] = [];
  readonly functions: Code[] = [];
  readonly exports: { readonly name: string; readonly ref: FunctionRef }[] = [];
  /** Shown in stack traces. */
  name: string | undefined;
  memory: MemoryImport | undefined;
  /** A table of functions, where functions are called through one. */
  table: Pick<MemoryImport, 'module' | 'name'> | undefined;
  private readonly types: FunctionType[] = [];
  private readonly typeIndices = new Map<string, number>();

  typeIndex(type: FunctionType): number {
    const key = `${type.params.join()}>${type.results.join()}`;
    let index = this.typeIndices.get(key);
    if (index === undefined) {
      index = this.types.length;
      this.types.push(type);
      this.typeIndices.set(key, index);
    }
    return index;
  }

  /** Imports come before all defined functions, because they share one index space. */
  import(module: string, name: string, type: FunctionType): FunctionRef {
    if (this.functions.length > 0) throw new Bug('an import after a function');
    this.imports.push({ module, name, type });
    return { index: this.imports.length - 1, name };
  }

  define(name: string, type: FunctionType, params: readonly string[]): { ref: FunctionRef; code: Code } {
    const code = new Code(name, type, params);
    this.functions.push(code);
    return { ref: { index: this.imports.length + this.functions.length - 1, name }, code };
  }

  export(name: string, ref: FunctionRef): void {
    this.exports.push({ name, ref });
  }

  build(): Binary {
    // Indices of types are given out while the sections after theirs are written.
    const imports = this.importSection();
    const functions = vector(this.functions, (out, { type }) => out.u32(this.typeIndex(type)));
    const types = vector(this.types, (out, { params, results }) => {
      out.byte(FUNCTION_TYPE);
      for (const list of [params, results]) {
        out.u32(list.length);
        for (const type of list) out.byte(valueTypes[type]);
      }
    });
    const exports = vector(this.exports, (out, { name, ref }) => {
      out.name(name);
      out.byte(external.function);
      out.u32(ref.index);
    });
    const out = new ByteWriter();
    out.bytes(HEADER);
    const add = (id: number, content: ByteWriter): number => {
      out.byte(id);
      out.u32(content.length);
      const at = out.length;
      out.bytes(content.peek());
      return at;
    };
    add(section.types, types);
    add(section.imports, imports);
    add(section.functions, functions);
    add(section.exports, exports);
    const starts: number[] = [];
    const codes = vector(this.functions, (to, code) => {
      const { bytes, start } = code.body();
      to.u32(bytes.length);
      starts.push(to.length + start);
      to.bytes(bytes);
    });
    const base = add(section.code, codes);
    if (this.name !== undefined) add(section.custom, nameSection(this.name));
    return { bytes: out.take(), starts: starts.map((start) => base + start) };
  }

  private importSection(): ByteWriter {
    const out = new ByteWriter();
    const { memory, table } = this;
    out.u32(this.imports.length + (memory === undefined ? 0 : 1) + (table === undefined ? 0 : 1));
    if (memory !== undefined) {
      out.name(memory.module);
      out.name(memory.name);
      out.byte(external.memory);
      out.byte(LIMITS_MIN_MAX);
      out.u32(memory.initial);
      out.u32(memory.maximum);
    }
    if (table !== undefined) {
      out.name(table.module);
      out.name(table.name);
      out.byte(external.table);
      out.byte(FUNCREF);
      out.byte(LIMITS_MIN);
      out.u32(0);
    }
    for (const { module, name, type } of this.imports) {
      out.name(module);
      out.name(name);
      out.byte(external.function);
      out.u32(this.typeIndex(type));
    }
    return out;
  }
}

/** The custom section `name`, with the module's alone (appendix 7.4.1). */
function nameSection(name: string): ByteWriter {
  const text = new ByteWriter();
  text.name(name);
  const out = new ByteWriter();
  out.name('name');
  out.byte(0);
  out.u32(text.length);
  out.bytes(text.peek());
  return out;
}

function vector<T>(items: readonly T[], write: (out: ByteWriter, item: T) => void): ByteWriter {
  const out = new ByteWriter();
  out.u32(items.length);
  for (const item of items) write(out, item);
  return out;
}
