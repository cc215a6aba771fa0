/** What the parts of the static linker share: a file that is linked, and what becomes of its sections and symbols. */
import { SkepError } from '../../base/errors.ts';
import { readBtfExt } from '../../btf/ext.ts';
import { type Btf, readBtf } from '../../btf/read.ts';
import { type ElfFile, type ElfSection, type ElfSymbol, readElf } from '../../elf/elf.ts';
import type { NewRelocation, NewSymbol } from '../../elf/write.ts';
import { within } from '../source.ts';

export interface LinkInput {
  /** For messages: a file's name. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A section of the result: those of one name, one after the other. */
export interface MergedSection {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  align: number;
  size: number;
  data: Uint8Array;
  readonly relocations: NewRelocation[];
}

/** Where a section of a file went. */
export interface Part {
  readonly of: MergedSection;
  readonly at: number;
  /** Whether the same was there already, and stands for it. */
  readonly isRepeated?: true;
}

/** A symbol of the result, as files are added. */
export type MergedSymbol = { -readonly [F in keyof NewSymbol]: NewSymbol[F] } & {
  readonly index: number;
  /** The file that defines it; undefined for one of the kernel, or of nobody. */
  definer: LinkedFile | undefined;
};

export interface LinkedFile {
  readonly name: string;
  readonly elf: ElfFile;
  readonly btf: Btf | undefined;
  readonly ext: ReturnType<typeof readBtfExt> | undefined;
  /** By index of a section. */
  readonly parts: Map<number, Part>;
  /** By index of a symbol. */
  readonly symbols: Map<number, MergedSymbol>;
}

export function linkError(message: string, where?: string, hint?: string): SkepError {
  return new SkepError({ code: 'link', message, where, hint });
}

export function readInput({ name, bytes }: LinkInput): LinkedFile {
  return within(name, () => {
    const elf = readElf(bytes);
    const [types, ext] = [elf.section('.BTF'), elf.section('.BTF.ext')];
    const btf = types && within("section '.BTF'", () => readBtf(types.data));
    return {
      name,
      elf,
      btf,
      ext: btf && ext && within("section '.BTF.ext'", () => readBtfExt(ext.data)),
      parts: new Map(),
      symbols: new Map(),
    };
  });
}

/** For messages. */
export function placeIn(file: LinkedFile, { name }: ElfSection | ElfSymbol): string {
  return `${file.name}: '${name}'`;
}
