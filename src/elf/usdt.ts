/**
 * Probes that executables and shared objects carry themselves (USDT), in notes as SystemTap writes them
 * (sourceware.org/systemtap/wiki/UserSpaceProbeImplementation): bytes in; names, places in the file, semaphores and
 * the text about the arguments out. What that text means is for those who attach.
 *
 * A note's description is three addresses, of the probe, of the section `.stapsdt.base` when the file was linked, and
 * of the semaphore or 0; then three strings: provider, name, arguments. Tools that move a file's addresses afterwards
 * leave notes alone, so the difference to where the base is now is added to both.
 */
import { Reader } from '../base/bytes.ts';
import type { BinaryMachine, BinaryProbe } from '../uapi/seam.ts';
import {
  badElf,
  checkHeader,
  readSections,
  readSegments,
  type Section,
  type Segment,
} from './executable-layout.ts';

const ET_EXEC = 2;
const SHT_NOTE = 7;
const NT_STAPSDT = 3;
const OWNER = 'stapsdt\0';

/** e_machine */
const machines: Readonly<Record<number, BinaryMachine>> = { 62: 'x64', 183: 'arm64' };

export interface UsdtProbes {
  /** Undefined for one whose registers nobody here knows. */
  readonly machine: BinaryMachine | undefined;
  /** Whether it is loaded at the addresses that it names. */
  readonly isFixed: boolean;
  readonly probes: readonly BinaryProbe[];
}

/**
 * The probes that `wanted` asks for, in the order of their notes: one for each place in the code.
 * @throws {SkepError} 'elf' or 'truncated' for what is no such file, or has notes that lead nowhere
 */
export function usdtProbes(
  bytes: Uint8Array,
  wanted: (provider: string, name: string) => boolean,
): UsdtProbes {
  const file = new Reader(bytes, 'the ELF file');
  checkHeader(file);
  const sections = namedSections(file);
  const [notes, base] = [sections.get('.note.stapsdt'), sections.get('.stapsdt.base')];
  const found = { machine: machines[file.u16(18)], isFixed: file.u16(16) === ET_EXEC };
  if (notes === undefined || notes.type !== SHT_NOTE) return { ...found, probes: [] };
  const segments = readSegments(file);
  const probes: BinaryProbe[] = [];
  for (const note of readNotes(new Reader(file.slice(notes.offset, notes.size), 'the notes of probes'))) {
    if (!wanted(note.provider, note.name)) continue;
    const moved = base === undefined || note.base === 0n ? 0n : base.address - note.base;
    probes.push(placed(note, moved, segments));
  }
  return { ...found, probes };
}

function namedSections(file: Reader): Map<string, Section> {
  const sections = readSections(file);
  const strings = sections[file.u16(62)];
  const named = new Map<string, Section>();
  if (strings === undefined) return named;
  const names = new Reader(file.slice(strings.offset, strings.size), 'the names of sections');
  // Two are of interest, and names may overlap: no more is read of each than those have.
  for (const section of sections) {
    const name = names.bytes.subarray(section.name, section.name + LONGEST);
    const end = name.indexOf(0);
    if (end >= 0) named.set(decoder.decode(name.subarray(0, end)), section);
  }
  return named;
}

const LONGEST = '.stapsdt.base\0'.length;
const decoder = new TextDecoder();

interface Note {
  readonly address: bigint;
  readonly base: bigint;
  readonly semaphore: bigint;
  readonly provider: string;
  readonly name: string;
  readonly args: string;
}

/** Notes are of words: lengths of owner and description, type; then both, each filled up to a multiple of four. */
function* readNotes(notes: Reader): Generator<Note, void> {
  for (let at = 0; at < notes.length; ) {
    const [ownerSize, size, type] = [notes.u32(at), notes.u32(at + 4), notes.u32(at + 8)];
    const owner = at + 12;
    const start = owner + aligned(ownerSize);
    if (type === NT_STAPSDT && decoder.decode(notes.slice(owner, ownerSize)) === OWNER) {
      yield readNote(new Reader(notes.slice(start, size), 'the note of a probe'));
    }
    at = start + aligned(size);
  }
}

const aligned = (size: number): number => Math.ceil(size / 4) * 4;

function readNote(note: Reader): Note {
  const strings: string[] = [];
  for (let at = 24; strings.length < 3; ) {
    const end = note.bytes.indexOf(0, at);
    if (end < 0) throw badElf('the note of a probe is cut short');
    strings.push(decoder.decode(note.bytes.subarray(at, end)));
    at = end + 1;
  }
  const [provider = '', name = '', args = ''] = strings;
  return { address: note.u64(0), base: note.u64(8), semaphore: note.u64(16), provider, name, args };
}

function placed(note: Note, moved: bigint, segments: readonly Segment[]): BinaryProbe {
  const { provider, name, args } = note;
  const inFile = (address: bigint, what: string, is: (segment: Segment) => boolean): bigint => {
    const segment = segments.find(
      (each) => is(each) && address >= each.address && address < each.address + each.size,
    );
    if (segment !== undefined) return address - segment.address + segment.offset;
    throw badElf(
      `the ${what} of its probe ${provider}:${name} is at 0x${address.toString(16)}, in no such part`,
    );
  };
  const address = BigInt.asUintN(64, note.address + moved);
  const semaphore =
    note.semaphore === 0n
      ? 0n
      : inFile(BigInt.asUintN(64, note.semaphore + moved), 'semaphore', ({ writable }) => writable);
  return {
    provider,
    name,
    args,
    address,
    offset: inFile(address, 'code', ({ executable }) => executable),
    semaphore,
  };
}
