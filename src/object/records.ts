/**
 * BTF.ext records by place: those of a stretch of a section, for a program that is put together from
 * several. Records of a section are in the order of their instructions, which makes finding them a
 * binary search.
 */
import { concatBytes } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import type { BtfExtSection } from '../btf/ext.ts';
import type { Btf } from '../btf/read.ts';

const slotSize = 8;

/** Code from byte `start` to before `end` of a section, and the slot of the program that it is placed at. */
export interface Stretch {
  readonly section: string;
  readonly start: number;
  readonly end: number;
  readonly slot: number;
}

/** The records of one kind, of all sections. */
export class RecordIndex {
  private readonly bySection = new Map<string, { view: DataView; recordSize: number; count: number }>();

  constructor(sections: readonly BtfExtSection[], btf: Btf) {
    for (const { nameOffset, recordSize, count, records } of sections) {
      const name = btf.string(nameOffset);
      const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
      if (this.bySection.has(name)) throw bad(`two lists of records for section '${name}'`);
      this.bySection.set(name, { view, recordSize, count });
      let before = 0;
      for (let i = 0; i < count; i++) {
        const offset = view.getUint32(i * recordSize, true);
        if (offset % slotSize !== 0)
          throw bad(`a record at offset ${offset} of section '${name}', inside an instruction`);
        if (offset < before) throw bad(`records of section '${name}' are out of order at offset ${offset}`);
        before = offset;
      }
    }
  }

  /** Indexes of the records from byte `start` to before `end` of a section. */
  private range(section: string, start: number, end: number): { from: number; to: number } {
    const known = this.bySection.get(section);
    if (known === undefined) return { from: 0, to: 0 };
    const lowerBound = (offset: number): number => {
      let [low, high] = [0, known.count];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (known.view.getUint32(middle * known.recordSize, true) < offset) low = middle + 1;
        else high = middle;
      }
      return low;
    };
    return { from: lowerBound(start), to: lowerBound(end) };
  }

  /**
   * The records of a stretch of code, cut to `size` bytes each, with instruction offsets in slots from
   * `slot`, where the stretch is placed.
   */
  cut(stretch: Stretch, size: number): Uint8Array {
    const { section, start, end, slot } = stretch;
    const { from, to } = this.range(section, start, end);
    const known = this.bySection.get(section);
    if (known === undefined || from === to) return new Uint8Array();
    const { view, recordSize } = known;
    if (to - from > (end - start) / slotSize)
      throw bad(`more records than instructions in section '${section}'`);
    const out = new Uint8Array((to - from) * size);
    const records = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    if (recordSize === size) out.set(records.subarray(from * size, to * size));
    else {
      for (let i = from; i < to; i++) {
        out.set(records.subarray(i * recordSize, i * recordSize + size), (i - from) * size);
      }
    }
    const outView = new DataView(out.buffer);
    for (let at = 0; at < out.length; at += size) {
      outView.setUint32(at, (outView.getUint32(at, true) - start) / slotSize + slot, true);
    }
    return out;
  }

  /** `cut` of several stretches, one after the other; undefined where there is no record. */
  cutAll(stretches: readonly Stretch[], size: number): Uint8Array<ArrayBuffer> | undefined {
    const all = concatBytes(stretches.map((stretch) => this.cut(stretch, size)));
    return all.length === 0 ? undefined : all;
  }
}

function bad(message: string): SkepError {
  return new SkepError({ code: 'btf-ext', message });
}
