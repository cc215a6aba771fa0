/**
 * The C lines that the log shows before instructions: `; int x = ctx->foo; @ file.c:12` (verbose_linfo).
 * They come from the program's line_info, 16 bytes a record: slot, offset of the file's name and of the
 * line's text in the BTF's strings, and line << 10 | column.
 */
import { Reader } from '../../base/bytes.ts';
import { SkepError } from '../../base/errors.ts';
import type { Btf } from '../../btf/index.ts';

const RECORD = 16;
const LINE_SHIFT = 10;

interface LineRecord {
  readonly slot: number;
  readonly file: number;
  readonly text: number;
  readonly line: number;
}

/** What line_info is checked against: the program's slots, and where its subprograms start. */
export interface LineInfoContext {
  readonly slots: number;
  /** Whether a slot is the first of an instruction. */
  readonly isInsn: (slot: number) => boolean;
  readonly subprogStarts: readonly number[];
}

export class SourceLines {
  private readonly btf: Btf;
  private readonly records: readonly LineRecord[];
  private previous: LineRecord | undefined;

  /** `lineInfo`: whole records; a rest at the end is ignored. */
  constructor(btf: Btf, lineInfo: Uint8Array) {
    this.btf = btf;
    const reader = new Reader(lineInfo, 'line_info');
    this.records = Array.from({ length: Math.floor(lineInfo.length / RECORD) }, (_, i) => ({
      slot: reader.u32(i * RECORD),
      file: reader.u32(i * RECORD + 4),
      text: reader.u32(i * RECORD + 8),
      line: reader.u32(i * RECORD + 12) >>> LINE_SHIFT,
    }));
  }

  /** What is wrong with the records, in Linux's words (check_btf_line); undefined where nothing is. */
  problem(context: LineInfoContext): string | undefined {
    let subprog = 0;
    let previous = 0;
    const starts = context.subprogStarts;
    for (const [i, record] of this.records.entries()) {
      if ((i > 0 && record.slot <= previous) || record.slot >= context.slots) {
        return `Invalid line_info[${i}].insn_off:${record.slot} (prev_offset:${previous} prog->len:${context.slots})`;
      }
      if (!context.isInsn(record.slot)) return `Invalid insn code at line_info[${i}].insn_off`;
      if (this.string(record.text) === undefined || this.string(record.file) === undefined) {
        return `Invalid line_info[${i}].line_off or .file_name_off`;
      }
      const start = starts[subprog];
      if (start !== undefined) {
        if (record.slot === start) subprog++;
        else if (start < record.slot) return `missing bpf_line_info for func#${subprog}`;
      }
      previous = record.slot;
    }
    if (subprog === starts.length) return undefined;
    return `missing bpf_line_info for ${starts.length - subprog} funcs starting from func#${subprog}`;
  }

  private string(offset: number): string | undefined {
    try {
      return this.btf.string(offset);
    } catch (error) {
      if (error instanceof SkepError) return undefined;
      throw error;
    }
  }

  /** The record that a slot belongs to: the last one that starts at or before it. */
  private find(slot: number): LineRecord | undefined {
    let low = 0;
    let high = this.records.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.records[middle]!.slot <= slot) low = middle + 1;
      else high = middle;
    }
    return this.records[low - 1];
  }

  /** The source position of a slot, whatever was shown before. */
  at(slot: number): { readonly file: string; readonly line: number; readonly text: string } | undefined {
    const record = this.find(slot);
    if (record === undefined) return undefined;
    const path = this.string(record.file) ?? '';
    return {
      file: path.slice(path.lastIndexOf('/') + 1),
      line: record.line,
      text: (this.string(record.text) ?? '').replace(/^[\s\v]+/, ''),
    };
  }

  /** The log's line for a slot, with its end; empty where that line was the last one shown. */
  show(slot: number): string {
    const record = this.find(slot);
    const previous = this.previous;
    if (record === undefined || record === previous) return '';
    if (previous?.file === record.file && previous.line === record.line) return '';
    this.previous = record;
    const { text, file, line } = this.at(slot)!;
    return `; ${text} @ ${file}:${line}\n`;
  }

  /** Forgets what was shown, as at the start of each function that is verified by itself. */
  restart(): void {
    this.previous = undefined;
  }
}
