/**
 * Applying CO-RE relocations to instructions, as libbpf does: an immediate, the offset and size of an access to
 * memory, or a 64-bit immediate is set to what is so on the kernel that will run it. Where the kernel has no
 * such field or value, the instruction becomes a call that no verifier accepts, so that a program which
 * asked for existence first loads, and one that did not is told which field is missing.
 */
import { SkepError } from '../base/errors.ts';
import type { CoreRelocation, CoreResolution, CoreResolver } from '../btf/core/index.ts';
import { within } from './source.ts';
import type { ProgramSpec } from './spec.ts';

const slotSize = 8;
/** The id of the helper that a poisoned instruction calls: 0xbad2310. */
const poisonedHelper = 195896080;
const callOpcode = 0x85;
const wideLoadOpcode = 0x18;
/** The low three bits of an opcode (RFC 9669 section 3.1). */
const classes = { ld: 0, ldx: 1, st: 2, stx: 3, alu: 4, alu64: 7 } as const;
/** Bits 3–4 of an access's opcode, by bytes. */
const sizeBits = new Map([
  [4, 0x00],
  [2, 0x08],
  [1, 0x10],
  [8, 0x18],
]);

export interface RelocatedCode {
  readonly insns: Uint8Array<ArrayBuffer>;
  /** What poisoned instructions asked for, by slot. */
  readonly unresolved: ReadonlyMap<number, string>;
}

function bad(message: string): SkepError {
  return new SkepError({
    code: 'core',
    message,
    hint: 'the object and its BTF do not fit together; compile it again',
  });
}

/** One instruction and what to put into it. */
interface Patch {
  readonly view: DataView;
  readonly at: number;
  readonly resolution: CoreResolution;
}

function poison(view: DataView, at: number): void {
  const count = view.getUint8(at) === wideLoadOpcode ? 2 : 1;
  for (let slot = at; slot < at + count * slotSize && slot < view.byteLength; slot += slotSize) {
    view.setUint32(slot, callOpcode, true);
    view.setInt32(slot + 4, poisonedHelper, true);
  }
}

function checkHeld(held: bigint, { from, certain, text }: CoreResolution): void {
  if (certain && held !== from) throw bad(`${text}: it holds ${held}, where the object's types say ${from}`);
}

function patchImmediate({ view, at, resolution }: Patch, to: bigint): void {
  const isImmediate = (view.getUint8(at) & 0x08) === 0;
  if (!isImmediate) throw bad(`${resolution.text}: it takes a register`);
  checkHeld(BigInt(view.getUint32(at + 4, true)), {
    ...resolution,
    from: BigInt.asUintN(32, resolution.from),
  });
  view.setUint32(at + 4, Number(BigInt.asUintN(32, to)), true);
}

/** Returns false where the access cannot be made on this kernel. */
function patchAccess({ view, at, resolution }: Patch, to: bigint): boolean {
  const { text, sizes } = resolution;
  checkHeld(BigInt(view.getInt16(at + 2, true)), resolution);
  if (to > 0x7fffn) throw bad(`${text}: offset ${to} does not fit into an instruction`);
  if (sizes !== undefined && sizes.to === undefined) return false;
  view.setInt16(at + 2, Number(to), true);
  if (sizes?.to === undefined || sizes.to === sizes.from) return true;
  const opcode = view.getUint8(at);
  const [held, wanted] = [sizeBits.get(sizes.from), sizeBits.get(sizes.to)];
  if (held === undefined || wanted === undefined || (opcode & 0x18) !== held) {
    throw bad(`${text}: an access to ${sizes.from} bytes cannot become one to ${sizes.to}`);
  }
  view.setUint8(at, (opcode & ~0x18) | wanted);
  return true;
}

function patchWideLoad({ view, at, resolution }: Patch, to: bigint): void {
  const isPlain =
    view.getUint8(at) === wideLoadOpcode &&
    at + 2 * slotSize <= view.byteLength &&
    view.getUint32(at, true) >> 12 === 0 &&
    view.getUint32(at + slotSize, true) === 0;
  if (!isPlain) throw bad(`${resolution.text}: it is no load of a 64-bit number`);
  const held =
    BigInt(view.getUint32(at + 4, true)) | (BigInt(view.getUint32(at + slotSize + 4, true)) << 32n);
  checkHeld(held, resolution);
  view.setUint32(at + 4, Number(BigInt.asUintN(32, to)), true);
  view.setUint32(at + slotSize + 4, Number(BigInt.asUintN(64, to) >> 32n), true);
}

/** Puts the answer into the instruction; false where it is poisoned instead. */
function apply(patch: Patch): boolean {
  const { view, at, resolution } = patch;
  const { to } = resolution;
  if (to !== undefined) {
    const opcode = view.getUint8(at);
    switch (opcode & 7) {
      case classes.alu:
      case classes.alu64:
        patchImmediate(patch, to);
        return true;
      case classes.ldx:
      case classes.st:
      case classes.stx:
        if (patchAccess(patch, to)) return true;
        break;
      case classes.ld:
        patchWideLoad(patch, to);
        return true;
      default:
        throw bad(`${resolution.text}: opcode 0x${opcode.toString(16)} holds nothing to relocate`);
    }
  }
  poison(view, at);
  return false;
}

/**
 * The instructions of a program with its CO-RE relocations applied; a copy.
 * @throws {SkepError} code 'core', with program and instruction: for a relocation that does not fit its
 *   instruction, or that types of the kernel answer differently
 */
export function relocateCore(program: ProgramSpec, resolver: CoreResolver): RelocatedCode {
  const insns = new Uint8Array(program.insns);
  const view = new DataView(insns.buffer);
  const unresolved = new Map<number, string>();
  for (const relocation of program.coreRelocations ?? []) {
    within(place(program, relocation), () => {
      const at = relocation.slot * slotSize;
      if (at < 0 || at + slotSize > insns.length) throw bad('it lies outside the program');
      const resolution = resolver.resolve(relocation);
      if (!apply({ view, at, resolution })) unresolved.set(relocation.slot, resolution.text);
    });
  }
  return { insns, unresolved };
}

function place({ name }: ProgramSpec, { slot }: CoreRelocation): string {
  return `program '${name}', instruction ${slot}, CO-RE relocation`;
}

/** What the kernel says of a call that `poison` made, at the end of its log. */
const complaint = /^(\d+): \(85\) call unknown#195896080.*\n(invalid func unknown#195896080\n)/gm;

/**
 * A verifier's log in which the rejected call of a poisoned instruction is told as what it stands for, in
 * libbpf's words.
 */
export function explainPoison(log: string, unresolved: ReadonlyMap<number, string>): string {
  return log.replace(complaint, (line, slot: string) => {
    const text = unresolved.get(Number(slot));
    if (text === undefined) return line;
    return `${slot}: <invalid CO-RE relocation>\nfailed to resolve CO-RE relocation ${text}\n`;
  });
}
