/**
 * Sections of one name become one, in the order of the files. What only debuggers and compilers read is left out,
 * and types are put together elsewhere.
 */
import { bytesEqual, roundUp } from '../../base/bytes.ts';
import { type ElfSection, sectionFlags, sectionTypes } from '../../elf/elf.ts';
import { type LinkedFile, linkError, type MergedSection, placeIn } from './input.ts';

/** Sections that all files must have alike, and the result has once. */
const once = ['license', 'version'];
/** A page is more than any type wants. */
const maxAlign = 4096;
/** Of a section of the result; what a file only claims (NOBITS) is not stored, but must be a number. */
const maxSize = 0xffffffff;

function isKept({ flags, type, size, name }: ElfSection): boolean {
  if ((flags & sectionFlags.alloc) === 0) return false;
  if (type !== sectionTypes.progbits && type !== sectionTypes.nobits) return false;
  return size > 0 || (flags & sectionFlags.execInstr) === 0 || name !== '.text';
}

/** Puts the sections of files behind each other, and notes in the files where theirs went. */
export function mergeSections(files: readonly LinkedFile[]): MergedSection[] {
  const byName = new Map<string, { merged: MergedSection; parts: { data: Uint8Array; at: number }[] }>();
  for (const file of files) {
    for (const section of file.elf.sections) {
      if (!isKept(section)) continue;
      const { name, type, flags } = section;
      let entry = byName.get(name);
      if (entry === undefined) {
        const index = byName.size;
        const merged = {
          index,
          name,
          type,
          flags,
          align: 1,
          size: 0,
          data: new Uint8Array(),
          relocations: [],
        };
        byName.set(name, (entry = { merged, parts: [] }));
      }
      const { merged, parts } = entry;
      if (merged.type !== type || merged.flags !== flags) {
        throw linkError(
          'it is of another type or has other flags than in the files before',
          placeIn(file, section),
        );
      }
      const first = parts[0];
      if (first !== undefined && once.includes(name)) {
        if (!bytesEqual(first.data, section.data))
          throw linkError('it differs between the files', placeIn(file, section));
        file.parts.set(section.index, { of: merged, at: 0, isRepeated: true });
        continue;
      }
      const at = place(merged, file, section);
      parts.push({ data: section.data, at });
      file.parts.set(section.index, { of: merged, at });
    }
  }
  for (const { merged, parts } of byName.values()) {
    if (merged.type === sectionTypes.nobits) continue;
    merged.data = new Uint8Array(merged.size);
    for (const { data, at } of parts) merged.data.set(data, at);
  }
  return [...byName.values()].map(({ merged }) => merged);
}

/** Makes room for a section at the end; where it goes. */
function place(merged: MergedSection, file: LinkedFile, section: ElfSection): number {
  const align = Math.max(1, section.align);
  if (align > maxAlign || (align & (align - 1)) !== 0) {
    throw linkError(`it is aligned to ${section.align} bytes`, placeIn(file, section));
  }
  merged.align = Math.max(merged.align, align);
  const at = roundUp(merged.size, merged.align);
  if (at + section.size > maxSize) throw linkError('its parts are more than 4 GiB', placeIn(file, section));
  merged.size = at + section.size;
  return at;
}
