/** A program that the fuzzer tries, with what it runs on; and its text, as findings are saved and replayed. */
import { assemble, disassemble } from '../../src/asm/index.ts';
import { decodeLenient, encode, type Slots } from '../../src/isa/index.ts';
import { type ProgTypeName, progTypes } from '../../src/uapi/prog-types.ts';

export const fuzzedTypes = ['socket_filter', 'xdp', 'tracepoint', 'raw_tracepoint'] as const;
export type FuzzedType = (typeof fuzzedTypes)[number];

/** Whose capabilities: all, or CAP_BPF and CAP_NET_ADMIN, where Linux forbids leaks and uninitialised reads. */
export type Privilege = 'root' | 'bpf';

export interface Candidate {
  readonly type: FuzzedType;
  readonly privilege: Privilege;
  /** prog_flags. */
  readonly flags: number;
  readonly slots: Slots;
  readonly packetLength: number;
  readonly words: readonly bigint[];
}

export function progTypeId(type: ProgTypeName): number {
  return progTypes[type].id;
}

export function bytesOf(candidate: Candidate): Uint8Array {
  return encode(candidate.slots);
}

/** The text that `readCandidate` reads: `#` lines say what it is, the rest is assembly. */
export function candidateText(candidate: Candidate, notes: readonly string[] = []): string {
  const head = [
    ...notes.map((note) => `# ${note}`),
    `# type: ${candidate.type}`,
    `# privilege: ${candidate.privilege}`,
    `# flags: ${candidate.flags}`,
    `# packet: ${candidate.packetLength}`,
    `# words: ${candidate.words.map((word) => `0x${BigInt.asUintN(64, word).toString(16)}`).join(' ')}`,
  ];
  const code = Array.from(bytesOf(candidate), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const lines = code.match(/.{16}/g) ?? [];
  const insns = disassemble(candidate.slots).trimEnd();
  return `${head.join('\n')}\n${insns.replace(/^/gm, '# ')}\n${lines.join('\n')}\n`;
}

/** Reads what `candidateText` wrote: the slots are hexadecimal, eight bytes a line, or assembly. */
export function readCandidate(text: string): Candidate {
  const field = (name: string): string => new RegExp(`^# ${name}: (.*)$`, 'm').exec(text)?.[1] ?? '';
  const body = text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .join('\n');
  const slots = /^[0-9a-f]{16}$/m.test(body) ? fromHexLines(body) : assemble(body);
  const type = fuzzedTypes.find((name) => name === field('type'));
  if (type === undefined) throw new Error(`no "# type:" of ${fuzzedTypes.join(', ')}`);
  return {
    type,
    privilege: field('privilege') === 'bpf' ? 'bpf' : 'root',
    flags: Number(field('flags') || 0),
    slots,
    packetLength: Number(field('packet') || 64),
    words: field('words')
      .split(' ')
      .filter((word) => word !== '')
      .map(BigInt),
  };
}

function fromHexLines(body: string): Slots {
  const digits = body.replace(/\s+/g, '');
  const bytes = Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
  return decodeLenient(bytes).map((insn) => {
    if (insn?.op === 'invalid') throw new Error(`no instruction: ${insn.message}`);
    return insn;
  });
}
