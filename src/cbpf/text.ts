/**
 * Classic BPF as text: reads what `tcpdump -ddd` prints (and its one-line form with commas, which `tc` and
 * `iptables -m bpf` take), and prints what `tcpdump -d` prints.
 */
import { SkepError, unreachable } from '../base/index.ts';
import { ancillaryAt } from './ancillary.ts';
import {
  type ClassicAlu,
  type ClassicInsn,
  type ClassicProgram,
  fromSockFilters,
  maxClassicInsns,
  type SockFilter,
  toSockFilter,
} from './insn.ts';

/** What a line holds, and the largest value of each. */
const columns = [
  ['code', 0xffff],
  ['jt', 0xff],
  ['jf', 0xff],
  ['k', 0xffffffff],
] as const;

function textError(line: number, message: string): SkepError {
  return new SkepError({
    code: 'classic',
    message,
    where: `line ${line}`,
    hint: 'as tcpdump -ddd prints it: the number of instructions, then "code jt jf k" for each',
  });
}

function parseLine(text: string, line: number): SockFilter {
  const words = text.split(/\s+/);
  if (words.length !== columns.length) throw textError(line, `expected 4 numbers, found ${words.length}`);
  const [code, jt, jf, k] = columns.map(([name, max], i) => {
    const word = words[i] as string;
    const value = Number(word);
    if (/^\d{1,10}$/.test(word) && value <= max) return value;
    throw textError(line, `${name} is ${JSON.stringify(word.slice(0, 20))}, not a number up to ${max}`);
  }) as [number, number, number, number];
  return { code, jt, jf, k };
}

/**
 * The program that `tcpdump -ddd` printed.
 * @throws SkepError (code 'classic') with the line.
 */
export function parseClassic(text: string): ClassicProgram {
  const lines = text
    .split(/[\n,]/)
    .map((raw, index) => ({ text: raw.trim(), line: index + 1 }))
    .filter((entry) => entry.text !== '');
  const first = lines[0];
  if (first === undefined) throw textError(1, 'no instructions');
  const count = /^\d{1,4}$/.test(first.text) ? Number(first.text) : Number.NaN;
  if (!(count >= 1 && count <= maxClassicInsns)) {
    throw textError(first.line, `expected the number of instructions, 1 to ${maxClassicInsns}`);
  }
  const rest = lines.slice(1);
  if (rest.length !== count) {
    throw textError(first.line, `${count} instructions announced, ${rest.length} there`);
  }
  return fromSockFilters(rest.map((entry) => parseLine(entry.text, entry.line)));
}

/** The operations whose constant is a mask, printed in hexadecimal. */
const masks: readonly ClassicAlu[] = ['and', 'or', 'xor'];
const loadNames = { 1: 'ldb', 2: 'ldh', 4: 'ld' } as const;
const hex = (k: number): string => `#0x${k.toString(16)}`;

function packetOperand(insn: Extract<ClassicInsn, { op: 'ldPacket' }>): string {
  if (insn.indexed) return `[x + ${insn.k | 0}]`;
  return `[${ancillaryAt(insn.k)?.name ?? insn.k | 0}]`;
}

/** Mnemonic and operand. */
function parts(insn: ClassicInsn, index: number): readonly [string, string] {
  switch (insn.op) {
    case 'ldPacket':
      return [loadNames[insn.size], packetOperand(insn)];
    case 'ldImm':
      return [insn.reg === 'a' ? 'ld' : 'ldx', hex(insn.k)];
    case 'ldMem':
      return [insn.reg === 'a' ? 'ld' : 'ldx', `M[${insn.k | 0}]`];
    case 'ldLen':
      return insn.reg === 'a' ? ['ld', '#pktlen'] : ['unimp', `0x${toSockFilter(insn).code.toString(16)}`];
    case 'ldxMsh':
      return ['ldxb', `4*([${insn.k | 0}]&0xf)`];
    case 'st':
      return [insn.reg === 'a' ? 'st' : 'stx', `M[${insn.k | 0}]`];
    case 'alu': {
      const { src } = insn;
      if (src === 'x') return [insn.alu, 'x'];
      return [insn.alu, masks.includes(insn.alu) ? hex(src) : `#${src | 0}`];
    }
    case 'ja':
      return ['ja', String((index + 1 + insn.k) | 0)];
    case 'jmp':
      return [`j${insn.cond}`, insn.src === 'x' ? 'x' : hex(insn.src)];
    case 'ret':
      return ['ret', insn.src === 'a' ? '' : `#${insn.src | 0}`];
    case 'neg':
    case 'tax':
    case 'txa':
      return [insn.op, ''];
    default:
      return unreachable(insn);
  }
}

/** One line an instruction, as `tcpdump -d` prints it: `(001) jeq      #0x800           jt 2\tjf 5`. */
export function formatClassic(program: ClassicProgram): string {
  return program
    .map((insn, index) => {
      const [name, operand] = parts(insn, index);
      const start = `(${String(index).padStart(3, '0')}) ${name.padEnd(8)} `;
      if (insn.op !== 'jmp') return `${start}${operand}\n`;
      return `${start}${operand.padEnd(16)} jt ${index + 1 + insn.jt}\tjf ${index + 1 + insn.jf}\n`;
    })
    .join('');
}
