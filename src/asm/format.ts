/**
 * One instruction as text, in either dialect. The kernel's is byte for byte what Linux's verifier log prints
 * after the opcode (observed on 6.18); it leaves out what Linux leaves out, so it is for reading, and
 * `disassemble` adds what makes it unambiguous. What only the caller can know (names of kernel functions,
 * addresses of maps, labels) comes in as functions.
 */
import { unreachable } from '../base/index.ts';
import { callKinds, type Insn, type InvalidInsn, type Operand, reading, toRaw } from '../isa/index.ts';
import { helperName } from '../uapi/index.ts';
import {
  aluSigns,
  condSigns,
  type Dialect,
  type KfuncCall,
  kfuncWord,
  lockSigns,
  pseudoWords,
  signedSizes,
  unsignedSizes,
  type WideLoad,
} from './syntax.ts';

export interface FormatOptions {
  /** Default 'kernel'. */
  readonly dialect?: Dialect | undefined;
  /** What stands right of `rN = ` for a two-slot load; `undefined` for the usual text. */
  readonly wideLoad?: ((insn: WideLoad) => string | undefined) | undefined;
  /** The name of a kernel function: printed as Linux does, `call NAME#ID`. Default `kfunc`. */
  readonly kfunc?: ((insn: KfuncCall) => string | undefined) | undefined;
  /** A label for a jump's or call's offset from the next slot; `undefined` for the offset itself. */
  readonly target?: ((off: number) => string | undefined) | undefined;
}

/** The opcode byte of an instruction (of its first slot). */
export function opcodeOf(insn: Insn | InvalidInsn): number {
  return insn.op === 'invalid' ? insn.raw.opcode : toRaw(insn).opcode;
}

/** The 64-bit number of a two-slot load, unsigned. */
export function wideNumber(insn: WideLoad): bigint {
  return (BigInt(insn.hi >>> 0) << 32n) | BigInt(insn.lo >>> 0);
}

const signed = (value: number): string => (value < 0 ? String(value) : `+${value}`);
/** `- 8`: LLVM's sign with a space on either side. */
const spaced = (value: number): string => (value < 0 ? `- ${-value}` : `+ ${value}`);
const regName = (reg: number, bits: 32 | 64): string => `${bits === 32 ? 'w' : 'r'}${reg}`;

interface Access {
  readonly size: 1 | 2 | 4 | 8;
  readonly signed?: boolean;
  readonly base: number;
  readonly off: number;
}

class Formatter {
  private readonly options: FormatOptions;
  private readonly llvm: boolean;

  constructor(options: FormatOptions) {
    this.options = options;
    this.llvm = options.dialect === 'llvm';
  }

  private address(base: number, off: number): string {
    return this.llvm ? `r${base} ${spaced(off)}` : `r${base} ${signed(off)}`;
  }

  private access(access: Access): string {
    const type = (access.signed === true ? signedSizes : unsignedSizes)[access.size];
    return `(${type} *)(${this.address(access.base, access.off)})`;
  }

  /** A register that holds a value of that size: LLVM names the 32-bit one where it is enough. */
  private valueReg(reg: number, size: number): string {
    return regName(reg, this.llvm && size < 8 ? 32 : 64);
  }

  private operand(src: Operand, bits: 32 | 64): string {
    return 'reg' in src ? regName(src.reg, bits) : String(src.imm);
  }

  private target(off: number): string {
    return this.options.target?.(off) ?? (this.llvm ? signed(off) : `pc${signed(off)}`);
  }

  private jmp(insn: Extract<Insn, { op: 'jmp' }>): string {
    const { src, bits } = insn;
    const right = 'imm' in src && !this.llvm ? `0x${(src.imm >>> 0).toString(16)}` : this.operand(src, bits);
    return `if ${regName(insn.dst, bits)} ${condSigns[insn.cond]} ${right} goto ${this.target(insn.off)}`;
  }

  private load(insn: Extract<Insn, { op: 'load' }>): string {
    const { dst, size, src: base, off } = insn;
    // LLVM has no sign-extending load into a 32-bit register.
    const left = insn.signed ? `r${dst}` : this.valueReg(dst, size);
    return `${left} = *${this.access({ size, signed: insn.signed, base, off })}`;
  }

  private store(insn: Extract<Insn, { op: 'store' }>): string {
    const { dst: base, size, off, src } = insn;
    const value = 'reg' in src ? this.valueReg(src.reg, size) : String(src.imm);
    return `*${this.access({ size, base, off })} = ${value}`;
  }

  private atomic(insn: Extract<Insn, { op: 'atomic' }>): string {
    const { atomic, size, dst: base, off } = insn;
    const src = this.valueReg(insn.src, size);
    const place = this.access({ size, base, off });
    if (atomic === 'xchg' || atomic === 'cmpxchg') {
      const r0 = this.valueReg(0, size);
      const result = atomic === 'cmpxchg' ? r0 : src;
      const args = atomic === 'cmpxchg' ? `${r0}, ${src}` : src;
      if (!this.llvm) return `${result} = atomic${size === 8 ? '64' : ''}_${atomic}(${place}, ${args})`;
      return `${result} = ${atomic}${size === 8 ? '_64' : '32_32'}(${this.address(base, off)}, ${args})`;
    }
    if (!insn.fetch) return `lock *${place} ${lockSigns[atomic]} ${src}`;
    return `${src} = atomic${size === 8 && !this.llvm ? '64' : ''}_fetch_${atomic}(${place}, ${src})`;
  }

  private ldPacket(insn: Extract<Insn, { op: 'ldPacket' }>): string {
    const type = unsignedSizes[insn.size];
    if (insn.src === undefined) return `r0 = *(${type} *)skb[${insn.imm}]`;
    // LLVM's own form has no constant; it is added where there is one.
    const index = this.llvm && insn.imm === 0 ? `r${insn.src}` : `r${insn.src} + ${insn.imm}`;
    return `r0 = *(${type} *)skb[${index}]`;
  }

  private call(insn: Extract<Insn, { op: 'call' }>): string {
    switch (insn.kind) {
      case 'subprog':
        return `call ${this.options.target?.(insn.imm) ?? `pc${signed(insn.imm)}`}`;
      case 'kfunc': {
        const name = this.options.kfunc?.(insn);
        if (name !== undefined) return `call ${name}#${insn.imm}`;
        return `call ${kfuncWord}#${insn.imm}${insn.off === 0 ? '' : `[${insn.off}]`}`;
      }
      case 'helper': {
        if (this.llvm) return `call ${insn.imm}`;
        const name = insn.imm === 0 ? 'unspec' : helperName(insn.imm);
        return `call ${name === undefined ? 'unknown' : `bpf_${name}`}#${insn.imm}`;
      }
      default:
        return unreachable(insn);
    }
  }

  private wideValue(insn: WideLoad): string {
    const given = this.options.wideLoad?.(insn);
    if (given !== undefined) return given;
    const { pseudo, lo, hi } = insn;
    switch (pseudo) {
      case 'imm':
        return this.llvm ? `${BigInt.asIntN(64, wideNumber(insn))} ll` : `0x${wideNumber(insn).toString(16)}`;
      case 'func': {
        const target = this.options.target?.(lo) ?? signed(lo);
        return hi === 0 ? `subprog[${target}]` : `subprog[${signed(lo)}][${hi}]`;
      }
      case 'btfId':
        return hi === 0 ? `btf[id:${lo}]` : `btf[id:${lo}][${hi}]`;
      default: {
        const { word, key, value } = pseudoWords[pseudo];
        return `${word}[${key}:${lo}]${value ? `[0]${signed(hi)}` : ''}`;
      }
    }
  }

  format(insn: Insn): string {
    switch (insn.op) {
      case 'alu': {
        const { alu, bits, dst, src } = insn;
        return `${regName(dst, bits)} ${aluSigns[alu]} ${this.operand(src, bits)}`;
      }
      case 'neg': {
        const reg = regName(insn.dst, insn.bits);
        return `${reg} = -${reg}`;
      }
      case 'movsx':
        return `${regName(insn.dst, insn.bits)} = (s${insn.from})${regName(insn.src, insn.bits)}`;
      case 'addrSpaceCast':
        return `r${insn.dst} = addr_space_cast(r${insn.src}, ${insn.to}, ${insn.from})`;
      case 'swap':
        return `r${insn.dst} = ${insn.kind}${insn.width} r${insn.dst}`;
      case 'load':
        return this.load(insn);
      case 'store':
        return this.store(insn);
      case 'atomic':
        return this.atomic(insn);
      case 'loadAcquire': {
        const { dst, size, src: base, off } = insn;
        return `${this.valueReg(dst, size)} = load_acquire(${this.access({ size, base, off })})`;
      }
      case 'storeRelease': {
        const { dst: base, size, off, src } = insn;
        return `store_release(${this.access({ size, base, off })}, ${this.valueReg(src, size)})`;
      }
      case 'ldimm64':
        return `r${insn.dst} = ${this.wideValue(insn)}`;
      case 'ldPacket':
        return this.ldPacket(insn);
      case 'ja':
        return `${insn.wide ? 'gotol' : 'goto'} ${this.target(insn.off)}`;
      case 'mayGoto':
        return `may_goto ${this.target(insn.off)}`;
      case 'jmp':
        return this.jmp(insn);
      case 'call':
        return this.call(insn);
      case 'exit':
        return 'exit';
      default:
        return unreachable(insn);
    }
  }
}

/**
 * The text of one instruction, without slot number and opcode: `r0 = *(u8 *)(r1 +0)`. An invalid one is
 * printed as Linux prints it: by the fields that it shows, or `BUG_` and its opcode.
 */
export function formatInsn(insn: Insn | InvalidInsn, options: FormatOptions = {}): string {
  const readable = insn.op === 'invalid' ? reading(insn) : insn;
  if (readable === undefined) return `BUG_${opcodeOf(insn).toString(16).padStart(2, '0')}`;
  // No kind of call: Linux looks up no name.
  if (insn.op === 'invalid' && readable.op === 'call' && insn.raw.src >= callKinds.length) {
    return `call unknown#${insn.raw.imm}`;
  }
  return new Formatter(options).format(readable);
}
