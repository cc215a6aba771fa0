/**
 * The C source of a program's instructions, from the line records of its BTF.
 */
import { readBtf } from '../btf/index.ts';
import type { CollectionSpec, ProgramSpec } from '../object/index.ts';

/** struct bpf_line_info: insn_off, file_name_off, line_off, line_col. */
const recordSize = 16;

/** The trimmed line of C that starts at a slot, for slots where one does. */
export function sourceLines(spec: CollectionSpec, program: ProgramSpec): Map<number, string> {
  const lines = new Map<number, string>();
  const { lineInfo } = program;
  if (spec.btf === undefined || lineInfo === undefined) return lines;
  const btf = readBtf(spec.btf);
  const view = new DataView(lineInfo.buffer, lineInfo.byteOffset, lineInfo.byteLength);
  for (let at = 0; at + recordSize <= lineInfo.length; at += recordSize) {
    const text = btf.string(view.getUint32(at + 8, true)).trim();
    if (text !== '') lines.set(view.getUint32(at, true), text);
  }
  return lines;
}
