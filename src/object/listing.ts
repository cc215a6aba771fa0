/**
 * A program as a list to read: its instructions with the C source that they come from and the functions that begin
 * there, as `bpftool prog dump xlated` and `llvm-objdump -S` show them. Records of functions and lines are those
 * of BTF.ext, with instructions counted in slots.
 */
import { type FormatOptions, formatInsn, opcodeOf } from '../asm/index.ts';
import { toHex } from '../base/bytes.ts';
import { recordSizes } from '../btf/ext.ts';
import { type Btf, type BtfType, btfLinkages } from '../btf/index.ts';
import { decodeLenient, type Insn, type InvalidInsn } from '../isa/index.ts';

/** A place in a source file. */
export interface SourceLine {
  /** Without the white space around it. */
  readonly text: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface ListedInsn {
  readonly slot: number;
  /** Two hex digits. */
  readonly opcode: string;
  readonly text: string;
  /** The instruction's bytes, 8 or 16. */
  readonly bytes: Uint8Array;
  readonly insn: Insn | InvalidInsn;
  /** Where it is the first of them. */
  readonly source: SourceLine | undefined;
  /** The prototype of the function that begins here. */
  readonly proto: string | undefined;
}

export interface ListedProgram {
  readonly insns: Uint8Array;
  /** The bytes to show, where a kernel has others than those that say what an instruction does. */
  readonly bytes?: Uint8Array | undefined;
  readonly btf: Btf | undefined;
  readonly funcInfo: Uint8Array | undefined;
  readonly lineInfo: Uint8Array | undefined;
}

/** What instructions refer to, by their slots; `undefined` for the usual text. */
export type SlotOptions = (slot: number) => FormatOptions & {
  /** The whole text of an instruction. */
  readonly text?: ((insn: Insn | InvalidInsn) => string | undefined) | undefined;
};

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** struct bpf_line_info: insn_off, file_name_off, line_off, and line_col with the column in its low 10 bits. */
export function sourceLines({ btf, lineInfo }: ListedProgram): Map<number, SourceLine> {
  const lines = new Map<number, SourceLine>();
  if (btf === undefined || lineInfo === undefined) return lines;
  const view = viewOf(lineInfo);
  for (let at = 0; at + recordSizes.lineInfo <= lineInfo.length; at += recordSizes.lineInfo) {
    const text = btf.string(view.getUint32(at + 8, true)).trim();
    const position = view.getUint32(at + 12, true);
    if (text === '') continue;
    const file = btf.string(view.getUint32(at + 4, true));
    lines.set(view.getUint32(at, true), { text, file, line: position >>> 10, column: position & 0x3ff });
  }
  return lines;
}

/** struct bpf_func_info: insn_off, type_id. */
export function functionTypes({
  btf,
  funcInfo,
}: ListedProgram): Map<number, Extract<BtfType, { kind: 'func' }>> {
  const found = new Map<number, Extract<BtfType, { kind: 'func' }>>();
  if (btf === undefined || funcInfo === undefined) return found;
  const view = viewOf(funcInfo);
  for (let at = 0; at + recordSizes.funcInfo <= funcInfo.length; at += recordSizes.funcInfo) {
    const id = view.getUint32(at + 4, true);
    const type = id < btf.typeCount ? btf.type(id) : undefined;
    if (type?.kind === 'func') found.set(view.getUint32(at, true), type);
  }
  return found;
}

/** Names of types may go round in circles by their pointers. */
const maxDepth = 32;

/** A type in bpftool's way: every word is followed by a space. */
function typeWords(btf: Btf, id: number, depth = 0): string {
  const type = btf.type(id);
  if (depth > maxDepth) return '... ';
  switch (type.kind) {
    case 'void':
      return 'void ';
    case 'int':
    case 'float':
    case 'typedef':
      return `${type.name} `;
    case 'struct':
    case 'union':
      return `${type.kind} ${type.name} `;
    case 'enum':
    case 'enum64':
      return `enum ${type.name} `;
    case 'fwd':
      return `${type.of} ${type.name} `;
    case 'array':
      return `${typeWords(btf, type.type, depth + 1)}[${type.length}]`;
    case 'ptr':
      return `${typeWords(btf, type.type, depth + 1)}* `;
    case 'const':
    case 'volatile':
    case 'restrict':
      return `${type.kind} ${typeWords(btf, type.type, depth + 1)}`;
    case 'funcProto':
      return `${typeWords(btf, type.type, depth + 1)}(${parameters(btf, type, depth + 1)})`;
    case 'func':
    case 'var':
    case 'datasec':
      return `${type.name} `;
    default:
      return typeWords(btf, type.type, depth + 1);
  }
}

function parameters(btf: Btf, proto: Extract<BtfType, { kind: 'funcProto' }>, depth: number): string {
  const each = proto.parameters.map(({ name, type }, i) =>
    type === 0 && i === proto.parameters.length - 1 && name === ''
      ? '...'
      : `${typeWords(btf, type, depth)}${name}`,
  );
  return each.join(', ');
}

/** `int first(struct xdp_md * ctx)`, as bpftool writes it. */
export function prototypeText(btf: Btf, func: Extract<BtfType, { kind: 'func' }>): string {
  const proto = btf.type(func.type);
  if (proto.kind !== 'funcProto') return func.name;
  const linkage = func.linkage === btfLinkages.extern ? 'extern ' : '';
  return `${linkage}${typeWords(btf, proto.type)}${func.name}(${parameters(btf, proto, 0)})`;
}

/** The instructions of a program with what is known of each. */
export function listProgram(program: ListedProgram, optionsOf: SlotOptions = () => ({})): ListedInsn[] {
  const sources = sourceLines(program);
  const functions = functionTypes(program);
  const { btf, insns, bytes = insns } = program;
  return decodeLenient(insns).flatMap((insn, slot): ListedInsn[] => {
    if (insn === undefined) return [];
    const options = optionsOf(slot);
    const func = functions.get(slot);
    const length = insn.op === 'ldimm64' ? 16 : 8;
    return [
      {
        slot,
        opcode: opcodeOf(insn).toString(16).padStart(2, '0'),
        text: options.text?.(insn) ?? formatInsn(insn, options),
        bytes: bytes.subarray(slot * 8, slot * 8 + length),
        insn,
        source: sources.get(slot),
        proto: func === undefined || btf === undefined ? undefined : prototypeText(btf, func),
      },
    ];
  });
}

export interface LineOptions {
  /** Bytes below each instruction. */
  readonly opcodes?: boolean | undefined;
  /** File, line and column behind each line of source. */
  readonly linum?: boolean | undefined;
}

/** A kind of line, for whoever colours them. */
export interface TextLine {
  readonly kind: 'proto' | 'source' | 'insn' | 'bytes';
  readonly text: string;
}

/** The lines that bpftool prints of a program. */
export function* listingLines(insns: Iterable<ListedInsn>, options: LineOptions = {}): Generator<TextLine> {
  for (const { slot, opcode, text, bytes, source, proto } of insns) {
    if (proto !== undefined) yield { kind: 'proto', text: `${proto}:` };
    if (source !== undefined) {
      const place = ` [file:${source.file} line_num:${source.line} line_col:${source.column}]`;
      yield { kind: 'source', text: `; ${source.text}${options.linum ? place : ''}` };
    }
    yield { kind: 'insn', text: `${String(slot).padStart(4)}: (${opcode}) ${text}` };
    if (options.opcodes) yield { kind: 'bytes', text: `       ${toHex(bytes, ' ')}` };
  }
}
