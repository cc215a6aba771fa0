/**
 * A program's text to its instructions, in two passes: statements to instructions and labels to slots, then
 * the labels into jumps and calls.
 */
import { fromHex, toHex } from '../base/index.ts';
import { decodeLenient, encode, type Insn, type Slots, toRaw } from '../isa/index.ts';
import { helpers } from '../uapi/index.ts';
import { type Parsed, parseStatement } from './parse.ts';
import { withTarget } from './targets.ts';
import { quote, type Statement, syntaxError, type Token, tokenize } from './tokens.ts';

const wideOpcode = 0x18;

interface Program {
  readonly slots: (Insn | undefined)[];
  readonly labels: Map<string, number>;
  /** The labels to fill in, by slot. */
  readonly wanted: Map<number, Token>;
}

/** Notes each `name:` at the front of a statement, and gives what follows. */
function takeLabels({ tokens }: Statement, program: Program): readonly Token[] {
  let at = 0;
  for (; tokens[at]?.kind === 'word' && tokens[at + 1]?.text === ':'; at += 2) {
    const label = tokens[at] as Token;
    if (program.labels.has(label.text)) throw syntaxError(label, `label ${quote(label.text)} is there twice`);
    program.labels.set(label.text, program.slots.length);
  }
  return tokens.slice(at);
}

const hexByte = (value: number): string => value.toString(16).padStart(2, '0');

/**
 * The instruction of a line that also shows its encoding; the two must agree. LLVM's text does not tell the
 * kinds of calls apart, so there the bytes decide.
 */
function checkShown({ shown }: Statement, { insn, label }: Parsed, first: Token): Insn {
  const { bytes, opcode } = shown;
  const actual = toRaw(insn).opcode;
  if (opcode !== undefined && actual !== opcode) {
    const message = `the line says opcode (${hexByte(opcode)}), but this is (${hexByte(actual)})`;
    throw syntaxError(first, message);
  }
  if (bytes === undefined || label !== undefined) return insn;
  const encoded = toHex(encode(insn.op === 'ldimm64' ? [insn, undefined] : [insn]), ' ');
  const wanted = bytes.replace(/\s/g, ' ');
  if (encoded === wanted) return insn;
  const [decoded] = decodeLenient(fromHex(bytes));
  const isSameCall = decoded?.op === 'call' && insn.op === 'call' && decoded.imm === insn.imm;
  if (isSameCall) return decoded;
  throw syntaxError(first, `the line says bytes ${wanted}, but this is ${encoded}`);
}

/** What a label stands for: a slot, or, in a call, a helper. */
function resolve(slot: number, label: Token, program: Program): Insn {
  const insn = program.slots[slot] as Insn;
  const at = program.labels.get(label.text);
  if (at === undefined) {
    const name = label.text.replace(/^bpf_/, '');
    if (insn.op === 'call' && Object.hasOwn(helpers, name)) {
      return { op: 'call', kind: 'helper', imm: helpers[name as keyof typeof helpers].id };
    }
    const what = insn.op === 'call' ? 'label or helper' : 'label';
    throw syntaxError(label, `there is no ${what} ${quote(label.text)}`);
  }
  const next = slot + 1;
  const off = at - next;
  const isNarrow = insn.op === 'jmp' || insn.op === 'mayGoto' || (insn.op === 'ja' && !insn.wide);
  if (isNarrow && (off < -0x8000 || off > 0x7fff)) {
    throw syntaxError(label, `${quote(label.text)} is ${off} slots away, out of reach`, 'use gotol');
  }
  return withTarget(insn, off);
}

/**
 * Assembles a program written in the kernel's notation, LLVM's, or a mixture.
 *
 * @returns its instructions by slot, ready for `encode`.
 * @throws SkepError (code 'asm-syntax') with line and column, and what was expected there.
 */
export function assemble(text: string): Slots {
  const program: Program = { slots: [], labels: new Map(), wanted: new Map() };
  for (const statement of tokenize(text)) {
    const tokens = takeLabels(statement, program);
    const first = tokens[0] as Token;
    if (first.kind === 'end') continue;
    const parsed = parseStatement(tokens, statement.shown.opcode === wideOpcode);
    const insn = checkShown(statement, parsed, first);
    if (parsed.label !== undefined) program.wanted.set(program.slots.length, parsed.label);
    program.slots.push(insn);
    if (insn.op === 'ldimm64') program.slots.push(undefined);
  }
  for (const [slot, label] of program.wanted) program.slots[slot] = resolve(slot, label, program);
  return program.slots;
}
