/**
 * A live program as its kernel runs it: instructions after the verifier's rewriting, with the records of functions
 * and source lines that go with them. On Linux, calls are of addresses by then; their names are looked up.
 */
import { formatInsn, type WideLoad } from '../asm/index.ts';
import type { Btf } from '../btf/index.ts';
import type { Insn, InvalidInsn } from '../isa/index.ts';
import type { ListedProgram, SlotOptions } from '../object/listing.ts';
import type { InfoOf } from '../uapi/info.ts';
import type { System } from '../uapi/seam.ts';
import { btfById } from './kernel-types.ts';

const slotSize = 8;
const callOpcode = 0x85;
const pseudoCall = 1;

export interface ProgramImage extends ListedProgram {
  /** As the kernel gives them; in `insns`, calls of subprograms are relative. */
  readonly bytes: Uint8Array;
  /** What instructions refer to by its name. */
  readonly options: SlotOptions;
}

function infoOf(system: System, fd: number, buffers: Partial<InfoOf<'prog'>>): InfoOf<'prog'> {
  const info: InfoOf<'prog'> = { ...buffers, kind: 'prog' };
  system.bpf('objGetInfoByFd', { bpfFd: fd, info });
  return info;
}

/**
 * Reads a program's image from its kernel.
 * @throws {BpfError} where the kernel does not show it
 */
export function readProgramImage(system: System, fd: number): ProgramImage {
  const sizes = infoOf(system, fd, {});
  const { xlatedProgLen = 0, nrFuncInfo = 0, nrLineInfo = 0, nrJitedKsyms = 0, btfId = 0 } = sizes;
  const bytes = new Uint8Array(xlatedProgLen);
  const [funcInfo, lineInfo] = [new Uint8Array(nrFuncInfo * 8), new Uint8Array(nrLineInfo * 16)];
  const jitedKsyms = new Uint8Array(nrJitedKsyms * 8);
  infoOf(system, fd, {
    xlatedProgLen,
    xlatedProgInsns: bytes,
    nrFuncInfo,
    funcInfoRecSize: 8,
    funcInfo,
    nrLineInfo,
    lineInfoRecSize: 16,
    lineInfo,
    nrJitedKsyms,
    jitedKsyms,
  });
  const btf: Btf | undefined = btfId === 0 ? undefined : btfById(system, btfId);
  const insns = withRelativeCalls(bytes);
  const names = callNames(system, bytes, jitedKsyms);
  return {
    bytes,
    insns,
    btf,
    funcInfo,
    lineInfo,
    options: (slot) => ({ text: (insn) => insnText(insn, names.get(slot)) }),
  };
}

/** Compiled, Linux keeps a subprogram's number in the immediate of its call, and where it is in the offset. */
function withRelativeCalls(bytes: Uint8Array): Uint8Array {
  const insns = new Uint8Array(bytes);
  const view = new DataView(insns.buffer);
  for (let at = 0; at < insns.length; at += slotSize) {
    const offset = view.getInt16(at + 2, true);
    if (view.getUint8(at) !== callOpcode || view.getUint8(at + 1) >> 4 !== pseudoCall || offset === 0)
      continue;
    view.setInt16(at + 2, 0, true);
    view.setInt32(at + 4, offset, true);
  }
  return insns;
}

/** Where a call goes: an address, and its name where it has one. */
interface Called {
  readonly address: bigint;
  readonly name: string | undefined;
}

/** The functions that calls go to, by slot: of the machine's addresses, so none where the kernel has none. */
function callNames(system: System, bytes: Uint8Array, jitedKsyms: Uint8Array): Map<number, Called> {
  const base = system.symbolAddress?.('__bpf_call_base');
  const found = new Map<number, bigint>();
  if (base === undefined || system.symbolsAt === undefined) return new Map();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const subprograms = new DataView(jitedKsyms.buffer);
  for (let at = 0; at < bytes.length; at += slotSize) {
    if (view.getUint8(at) !== callOpcode) continue;
    const imm = view.getInt32(at + 4, true);
    const isSubprogram = view.getUint8(at + 1) >> 4 === pseudoCall;
    if (!isSubprogram) found.set(at / slotSize, BigInt.asUintN(64, base + BigInt(imm)));
    else if (imm >= 0 && imm * 8 + 8 <= jitedKsyms.length) {
      found.set(at / slotSize, subprograms.getBigUint64(imm * 8, true));
    }
  }
  const names = system.symbolsAt(new Set(found.values()));
  return new Map([...found].map(([slot, address]) => [slot, { address, name: names.get(address) }]));
}

const signed = (value: number): string => (value < 0 ? String(value) : `+${value}`);

/** What stands right of `rN = `: a map has its id in the place of a descriptor. */
function wideText({ pseudo, lo, hi }: WideLoad): string | undefined {
  if (pseudo === 'mapFd') return `map[id:${lo >>> 0}]`;
  if (pseudo === 'mapValue') return `map[id:${lo >>> 0}][0]${signed(hi)}`;
  return pseudo === 'func' ? `subprog[${signed(lo)}]` : undefined;
}

/** A call as bpftool writes it: 'call pc+8#bpf_prog_76643cf5e00fce22_thrice', 'call bpf_map_lookup_elem#2688'. */
function insnText(insn: Insn | InvalidInsn, called: Called | undefined): string | undefined {
  if (insn.op === 'ldimm64') return formatInsn(insn, { wideLoad: wideText });
  if (insn.op !== 'call' || called === undefined) return undefined;
  const { name, address } = called;
  if (insn.kind === 'subprog') return `${formatInsn(insn)}${name === undefined ? '' : `#${name}`}`;
  return name === undefined ? `call 0x${address.toString(16)}` : `call ${name}#${insn.imm}`;
}
