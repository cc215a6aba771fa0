/**
 * What ELF64 executables and shared objects of any processor consist of (elf(5)): the header, sections and segments,
 * checked against the size of the file. What is in them is for others.
 */
import type { Reader } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';

const sectionHeaderSize = 64;
const programHeaderSize = 56;
const PT_LOAD = 1;

export const badElf = (message: string): SkepError => new SkepError({ code: 'elf', message });

export interface Section {
  /** Where its name is in the section of names. */
  readonly name: number;
  readonly type: number;
  readonly address: bigint;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

/** A part of the file that is mapped at an address. */
export interface Segment {
  readonly executable: boolean;
  readonly writable: boolean;
  readonly offset: bigint;
  readonly address: bigint;
  /** Bytes in memory. */
  readonly size: bigint;
}

/** @throws {SkepError} 'elf' or 'truncated' for what is no such file */
export function checkHeader(file: Reader): void {
  if (file.length < 64 || file.u32(0) !== 0x464c457f) throw badElf('it is no ELF file');
  if (file.u8(4) !== 2 || file.u8(5) !== 1) throw badElf('it is no little-endian ELF file of 64 bits');
  const type = file.u16(16);
  if (type !== 2 && type !== 3) throw badElf('it is neither an executable nor a shared object');
  if (file.u16(58) !== sectionHeaderSize && file.size64(40) !== 0) {
    throw badElf(`section headers of ${file.u16(58)} bytes, not ${sectionHeaderSize}`);
  }
}

export function readSections(file: Reader): Section[] {
  const table = file.size64(40);
  if (table === 0) return [];
  const count = file.u16(60) || file.size64(table + 32);
  if (count > (file.length - table) / sectionHeaderSize) throw badElf(`${count} section headers do not fit`);
  return Array.from({ length: count }, (_, i) => {
    const at = table + i * sectionHeaderSize;
    return {
      name: file.u32(at),
      type: file.u32(at + 4),
      address: file.u64(at + 16),
      offset: file.size64(at + 24),
      size: file.size64(at + 32),
      link: file.u32(at + 40),
    };
  });
}

/** The segments that are loaded. */
export function readSegments(file: Reader): Segment[] {
  const table = file.size64(32);
  const count = file.u16(56);
  if (count === 0) return [];
  if (file.u16(54) !== programHeaderSize) {
    throw badElf(`program headers of ${file.u16(54)} bytes, not ${programHeaderSize}`);
  }
  if (count > (file.length - table) / programHeaderSize) throw badElf(`${count} program headers do not fit`);
  const found: Segment[] = [];
  for (let at = table; at < table + count * programHeaderSize; at += programHeaderSize) {
    if (file.u32(at) !== PT_LOAD) continue;
    const flags = file.u32(at + 4);
    found.push({
      executable: (flags & 1) !== 0,
      writable: (flags & 2) !== 0,
      offset: file.u64(at + 8),
      address: file.u64(at + 16),
      size: file.u64(at + 40),
    });
  }
  return found;
}
