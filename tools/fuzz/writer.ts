/**
 * What the statements of a generated program are written with. It knows which register holds what and which
 * stack bytes are written, and goes wrong on purpose now and then, by a little.
 */
import { type Line, label, type Unresolved } from '../../src/asm/index.ts';
import type { AluOp, AtomicOp, Insn, Operand, Reg, Size } from '../../src/isa/index.ts';
import type { FuzzedType } from './candidate.ts';
import type { Random } from './random.ts';
import { FIRST_MAP_FD, worldMaps } from './world.ts';

/** What a register holds: nothing, a number, or a pointer (`map` is the index of its map). */
export type Kind = 'none' | 'number' | 'ctx' | 'stack' | 'packet' | 'packetEnd' | 'value';

const aluOps: readonly AluOp[] = [
  ...(['add', 'sub', 'and', 'or', 'xor', 'lsh', 'rsh', 'arsh', 'mul', 'mov'] as const),
  ...(['add', 'sub', 'and', 'div', 'mod', 'sdiv', 'smod'] as const),
];
export const sizes: readonly Size[] = [1, 2, 4, 8];
const atomicOps: readonly AtomicOp[] = ['add', 'or', 'and', 'xor', 'xchg', 'cmpxchg'];
export const FP = 10;

export class Writer {
  readonly lines: Line[] = [];
  protected kinds: Kind[] = new Array<Kind>(11).fill('none');
  /** Bytes below the frame pointer that are written: 1 is the byte at -1. */
  protected written = new Set<number>();
  /** Map of a register that holds a value. */
  protected readonly mapOf = new Array<number>(11).fill(0);
  protected labels = 0;
  protected depth = 0;
  protected budget: number;
  protected readonly functions: { readonly name: string; readonly args: number }[] = [];
  /** A loop's counter, which its body leaves alone. */
  protected readonly reserved = new Set<number>();
  protected readonly random: Random;
  protected readonly type: FuzzedType;
  /** How often, in a hundred, a check is left out or is a little wrong. */
  protected readonly wrong: number;

  constructor(random: Random, type: FuzzedType) {
    this.random = random;
    this.type = type;
    this.wrong = random.pick([0, 0, 0, 2, 6]);
    this.budget = random.between(4, 26);
  }
  protected emit(insn: Insn): void {
    this.lines.push(insn);
  }

  protected jump(insn: Insn, to: string): void {
    const line: Unresolved = { insn, to };
    this.lines.push(line);
  }

  protected newLabel(): string {
    return `L${this.labels++}`;
  }

  protected set(reg: number, kind: Kind, map = 0): void {
    this.kinds[reg] = kind;
    this.mapOf[reg] = map;
  }

  protected copy(dst: number, src: number): void {
    this.emit({ op: 'alu', alu: 'mov', bits: 64, dst: dst as Reg, src: { reg: src as Reg } });
    this.set(dst, this.kinds[src]!, this.mapOf[src]);
  }

  protected constant(dst: number, imm: number): void {
    this.alu('mov', dst, { imm });
    this.set(dst, 'number');
  }

  protected alu(alu: AluOp, dst: number, src: Operand, bits: 32 | 64 = 64): void {
    this.emit({ op: 'alu', alu, bits, dst: dst as Reg, src });
  }

  protected oops(): boolean {
    return this.random.chance(this.wrong);
  }

  protected held(kind: Kind): number | undefined {
    const having = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].filter((reg) => this.kinds[reg] === kind);
    if (this.oops()) return this.random.below(11);
    return having.length === 0 ? undefined : this.random.pick(having);
  }

  /** A register to write, other than `not`. The context stays in r6 while it is there. */
  protected target(...not: number[]): number {
    const free = [0, 1, 2, 3, 4, 5, 7, 8, 9].filter((reg) => !not.includes(reg) && !this.reserved.has(reg));
    return this.random.pick(free);
  }

  protected number(...not: number[]): number {
    const reg = this.held('number');
    if (reg !== undefined && !not.includes(reg) && !this.reserved.has(reg)) return reg;
    const dst = this.target(...not);
    if (this.random.chance(30)) this.constant(dst, this.random.immediate());
    else this.unknown(dst);
    return dst;
  }

  /** A number that the verifier does not know. */
  protected unknown(dst: number): void {
    const { random } = this;
    const context = [6, 1].find((reg) => this.kinds[reg] === 'ctx');
    if (context === undefined) this.constant(dst, random.immediate());
    else if (this.type === 'raw_tracepoint' || this.type === 'tracepoint') {
      const size = this.type === 'tracepoint' ? random.pick(sizes) : 8;
      this.load({ dst, src: context, off: size * random.below(64 / size), size });
    } else if (this.type === 'socket_filter') {
      this.load({ dst, src: context, off: random.pick([0, 4, 8, 16, 48, 52, 56, 60, 64]), size: 4 });
    } else this.load({ dst, src: context, off: random.pick([12, 16]), size: 4 });
    this.set(dst, 'number');
  }

  protected load(what: { dst: number; src: number; off: number; size: Size; signed?: boolean }): void {
    const { dst, src, off, size, signed = false } = what;
    this.emit({ op: 'load', size, signed, dst: dst as Reg, src: src as Reg, off });
    this.set(dst, 'number');
  }

  /** A load, store or atomic operation through a pointer. */
  protected access(at: { base: number; off: number; size: Size; how?: 'rw' | 'r' | 'w' }): void {
    const { random } = this;
    const { base, off, size, how = 'rw' } = at;
    const dst = base as Reg;
    const kind = random.below(10);
    if (how !== 'w' && (kind < 5 || how === 'r') && !this.oops()) {
      this.load({ dst: this.target(base), src: base, off, size, signed: size < 8 && random.chance(20) });
    } else if (kind < 7 || how === 'w') {
      this.emit({ op: 'store', size, dst, off, src: { imm: random.immediate() } });
    } else if (kind < 9 || size < 4) {
      this.emit({ op: 'store', size, dst, off, src: { reg: this.number(base) as Reg } });
    } else this.atomic({ base, off, size: size as 4 | 8 });
  }

  protected atomic(at: { base: number; off: number; size: 4 | 8 }): void {
    const atomic = this.random.pick(atomicOps);
    const exchanges = atomic === 'xchg' || atomic === 'cmpxchg';
    if (atomic === 'cmpxchg' && this.kinds[0] !== 'number') this.constant(0, this.random.immediate());
    if (at.base === 0 && atomic === 'cmpxchg') return;
    const src = this.number(at.base) as Reg;
    const fetch = exchanges || this.random.chance(40);
    this.emit({ op: 'atomic', atomic, fetch, size: at.size, dst: at.base as Reg, off: at.off, src });
  }

  protected binary(dst: number, bits: 32 | 64): void {
    const { random } = this;
    const alu = random.pick(aluOps);
    const shift = alu === 'lsh' || alu === 'rsh' || alu === 'arsh';
    if (random.chance(45)) {
      const src = this.number() as Reg;
      this.alu(alu, dst, { reg: src }, bits);
      return;
    }
    let imm = random.immediate();
    if (shift && !this.oops()) imm = random.below(bits);
    if ((alu === 'div' || alu === 'mod' || alu === 'sdiv' || alu === 'smod') && imm === 0) imm = 3;
    this.alu(alu, dst, { imm }, bits);
  }

  /** An aligned place within the first 64 bytes of the stack (now and then anywhere). */
  protected slot(size: Size): number {
    if (this.oops()) return -this.random.between(0, 520);
    return -size * this.random.between(1, 64 / size);
  }

  protected markWritten(off: number, size: number): void {
    for (let i = 0; i < size; i++) this.written.add(-off - i);
  }

  protected isWritten(off: number, size: number): boolean {
    for (let i = 0; i < size; i++) if (!this.written.has(-off - i)) return false;
    return true;
  }

  /** Whether a bound is a little too wide: by one, mostly. */
  protected tooFar(): number {
    return this.random.chance(this.wrong + 6) ? this.random.pick([1, 1, 1, 2, 8]) : 0;
  }

  /** Bounds `reg` below `limit` (a little too far now and then); false where it jumps to `out` otherwise. */
  protected bound(reg: number, limit: number, out: string): void {
    const { random } = this;
    const far = limit + this.tooFar();
    const dst = reg as Reg;
    const bits = random.pick([32, 64] as const);
    switch (random.below(8)) {
      case 0: {
        let mask = 1;
        while (mask * 2 <= far) mask *= 2;
        this.alu('and', reg, { imm: mask - 1 }, bits);
        return;
      }
      case 1:
        this.alu('mod', reg, { imm: far }, bits);
        return;
      case 2:
        this.jump({ op: 'jmp', cond: 'gt', bits: 64, dst, src: { imm: far - 1 }, off: 0 }, out);
        return;
      case 3: {
        const on = this.newLabel();
        this.jump({ op: 'jmp', cond: 'lt', bits: 64, dst, src: { imm: far }, off: 0 }, on);
        this.jump({ op: 'ja', wide: false, off: 0 }, out);
        this.lines.push(label(on));
        return;
      }
      case 4:
        this.jump({ op: 'jmp', cond: 'sge', bits: 64, dst, src: { imm: far }, off: 0 }, out);
        if (!this.oops()) this.jump({ op: 'jmp', cond: 'slt', bits: 64, dst, src: { imm: 0 }, off: 0 }, out);
        return;
      case 5:
      case 6: {
        // The smaller of the two.
        const on = this.newLabel();
        const cond = random.pick(['lt', 'le'] as const);
        this.jump({ op: 'jmp', cond, bits, dst, src: { imm: far - 1 }, off: 0 }, on);
        this.alu('mov', reg, { imm: far - 1 }, random.pick([32, 64]));
        this.lines.push(label(on));
        if (bits === 32 && !this.oops()) this.alu('mov', reg, { reg: dst }, 32);
        return;
      }
      default:
        if (!this.oops()) this.alu('mov', reg, { reg: dst }, 32);
        this.jump({ op: 'jmp', cond: 'ge', bits: 32, dst, src: { imm: far }, off: 0 }, out);
    }
  }

  protected scale(index: number, size: number): void {
    if (size === 1) return;
    if (this.random.chance(50)) this.alu('lsh', index, { imm: Math.log2(size) });
    else this.alu('mul', index, { imm: size });
  }

  protected mapPointer(dst: number, map: number): void {
    const lo = FIRST_MAP_FD + map;
    this.emit({ op: 'ldimm64', dst: dst as Reg, pseudo: 'mapFd', lo, hi: 0 });
  }

  /** Puts a key for `map` on the stack; its offset. */
  protected key(map: number): number {
    const { random } = this;
    const { keySize, maxEntries } = worldMaps[map]!;
    const off = -8 * random.between(1, 8);
    const src: Operand = random.chance(70)
      ? { imm: random.below(maxEntries + 1) }
      : { reg: this.number() as Reg };
    this.emit({ op: 'store', size: this.oops() ? 2 : (keySize as Size), dst: FP, off, src });
    this.markWritten(off, keySize);
    return off;
  }

  protected pointer(dst: number, off: number): void {
    this.copy(dst, FP);
    this.alu('add', dst, { imm: off });
  }

  protected helper(imm: number): void {
    this.emit({ op: 'call', kind: 'helper', imm });
    for (let reg = 0; reg <= 5; reg++) this.set(reg, 'none');
    this.set(0, 'number');
  }

  protected snapshot(): { kinds: Kind[]; written: Set<number> } {
    return { kinds: [...this.kinds], written: new Set(this.written) };
  }

  /** What holds both here and there: where two paths meet. */
  protected merge(there: { kinds: Kind[]; written: Set<number> }): void {
    for (let reg = 0; reg < 10; reg++) if (this.kinds[reg] !== there.kinds[reg]) this.kinds[reg] = 'none';
    for (const byte of this.written) if (!there.written.has(byte)) this.written.delete(byte);
  }
}
