/** What the parts of the object reader share: the file, its BTF, and errors that name a place in it. */
import { SkepError } from '../base/errors.ts';
import type { Btf } from '../btf/read.ts';
import type { ElfFile, ElfSection } from '../elf/elf.ts';
import type { MapSpec } from './spec.ts';

export interface ObjectSource {
  /** The whole file. */
  readonly bytes: Uint8Array;
  readonly elf: ElfFile;
  /** With sizes and offsets filled in. */
  readonly btf: Btf | undefined;
  /** The object's name: its file's, up to the first dot. */
  readonly name: string;
}

/** A map and where in the ELF file its definition is. */
export interface PlacedMap {
  readonly spec: MapSpec;
  readonly section: ElfSection;
  readonly offset: number;
  /** Whether it holds variables: programs refer to its value rather than to it. */
  readonly isData: boolean;
  /** What tc numbers it; absent where it does not. */
  readonly tcId?: number;
}

export function badObject(message: string, where?: string, hint?: string): SkepError {
  return new SkepError({ code: 'object', message, where, hint });
}

/** Runs a step, with `place` in front of the place of an error. */
export function within<T>(place: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw error instanceof SkepError ? error.at(place) : error;
  }
}
