/**
 * Makes programs that are valid for the most part: the generator knows which register holds what and which
 * stack bytes are written, and goes wrong on purpose now and then, by a little (a check that is one byte
 * short, a bound on the wrong register, a map value not compared with NULL).
 */
import { type Line, label, program, type Unresolved } from '../../src/asm/index.ts';
import type { AluOp, AtomicOp, Insn, JmpCond, Operand, Reg, Size } from '../../src/isa/index.ts';
import { type Candidate, type FuzzedType, fuzzedTypes } from './candidate.ts';
import type { Random } from './random.ts';
import { FIRST_MAP_FD, jumpsFds, valueMaps, worldMaps } from './world.ts';

/** What a register holds: nothing, a number, or a pointer (`map` is the index of its map). */
type Kind = 'none' | 'number' | 'ctx' | 'stack' | 'packet' | 'packetEnd' | 'value';

const aluOps: readonly AluOp[] = [
  ...(['add', 'sub', 'and', 'or', 'xor', 'lsh', 'rsh', 'arsh', 'mul', 'mov'] as const),
  ...(['add', 'sub', 'and', 'div', 'mod', 'sdiv', 'smod'] as const),
];
const conds: readonly JmpCond[] = ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'set', 'sgt', 'sge', 'slt', 'sle'];
const sizes: readonly Size[] = [1, 2, 4, 8];
const atomicOps: readonly AtomicOp[] = ['add', 'or', 'and', 'xor', 'xchg', 'cmpxchg'];
const FP = 10;
const MAP_LOOKUP = 1;
const MAP_UPDATE = 2;
const MAP_DELETE = 3;
/** Helpers without arguments whose result is a number. */
const sources = [5, 7, 8];

const opposite: Readonly<Record<'gt' | 'ge' | 'lt' | 'le', JmpCond>> = {
  gt: 'lt',
  ge: 'le',
  lt: 'gt',
  le: 'ge',
};

class Generator {
  readonly lines: Line[] = [];
  private kinds: Kind[] = new Array<Kind>(11).fill('none');
  /** Bytes below the frame pointer that are written: 1 is the byte at -1. */
  private written = new Set<number>();
  /** Map of a register that holds a value. */
  private readonly mapOf = new Array<number>(11).fill(0);
  private labels = 0;
  private depth = 0;
  private budget: number;
  private readonly functions: { readonly name: string; readonly args: number }[] = [];
  /** A loop's counter, which its body leaves alone. */
  private readonly reserved = new Set<number>();
  private readonly random: Random;
  private readonly type: FuzzedType;
  /** How often, in a hundred, a check is left out or is a little wrong. */
  private readonly wrong: number;

  constructor(random: Random, type: FuzzedType) {
    this.random = random;
    this.type = type;
    this.wrong = random.pick([0, 0, 0, 2, 6]);
    this.budget = random.between(4, 26);
  }

  main(): void {
    const { random } = this;
    this.kinds[FP] = 'stack';
    this.kinds[1] = 'ctx';
    this.copy(6, 1);
    for (const reg of [7, 8, 9] as const) if (random.chance(60)) this.unknown(reg);
    this.block();
    this.finish();
    while (this.functions.length > 0) this.subprogram();
  }

  private finish(): void {
    if (this.kinds[0] !== 'number' || this.random.chance(40)) {
      const from = this.random.chance(70) ? this.held('number') : undefined;
      if (from === undefined) this.constant(0, this.random.immediate());
      else this.copy(0, from);
    }
    this.emit({ op: 'exit' });
  }

  private subprogram(): void {
    const made = this.functions.shift()!;
    this.kinds = new Array<Kind>(11).fill('none');
    this.written = new Set();
    this.kinds[FP] = 'stack';
    this.reserved.clear();
    for (let arg = 1; arg <= made.args; arg++) this.kinds[arg] = 'number';
    this.budget = this.random.between(2, 7);
    this.lines.push(label(made.name));
    this.block();
    this.finish();
  }

  // Emitting

  private emit(insn: Insn): void {
    this.lines.push(insn);
  }

  private jump(insn: Insn, to: string): void {
    const line: Unresolved = { insn, to };
    this.lines.push(line);
  }

  private newLabel(): string {
    return `L${this.labels++}`;
  }

  private set(reg: number, kind: Kind, map = 0): void {
    this.kinds[reg] = kind;
    this.mapOf[reg] = map;
  }

  private copy(dst: number, src: number): void {
    this.emit({ op: 'alu', alu: 'mov', bits: 64, dst: dst as Reg, src: { reg: src as Reg } });
    this.set(dst, this.kinds[src]!, this.mapOf[src]);
  }

  private constant(dst: number, imm: number): void {
    this.alu('mov', dst, { imm });
    this.set(dst, 'number');
  }

  private alu(alu: AluOp, dst: number, src: Operand, bits: 32 | 64 = 64): void {
    this.emit({ op: 'alu', alu, bits, dst: dst as Reg, src });
  }

  private oops(): boolean {
    return this.random.chance(this.wrong);
  }

  // Registers

  private held(kind: Kind): number | undefined {
    const having = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].filter((reg) => this.kinds[reg] === kind);
    if (this.oops()) return this.random.below(11);
    return having.length === 0 ? undefined : this.random.pick(having);
  }

  /** A register to write, other than `not`. The context stays in r6 while it is there. */
  private target(...not: number[]): number {
    const free = [0, 1, 2, 3, 4, 5, 7, 8, 9].filter((reg) => !not.includes(reg) && !this.reserved.has(reg));
    return this.random.pick(free);
  }

  private number(...not: number[]): number {
    const reg = this.held('number');
    if (reg !== undefined && !not.includes(reg) && !this.reserved.has(reg)) return reg;
    const dst = this.target(...not);
    if (this.random.chance(30)) this.constant(dst, this.random.immediate());
    else this.unknown(dst);
    return dst;
  }

  /** A number that the verifier does not know. */
  private unknown(dst: number): void {
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

  private load(what: { dst: number; src: number; off: number; size: Size; signed?: boolean }): void {
    const { dst, src, off, size, signed = false } = what;
    this.emit({ op: 'load', size, signed, dst: dst as Reg, src: src as Reg, off });
    this.set(dst, 'number');
  }

  /** A load, store or atomic operation through a pointer. */
  private access(at: { base: number; off: number; size: Size; how?: 'rw' | 'r' | 'w' }): void {
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

  private atomic(at: { base: number; off: number; size: 4 | 8 }): void {
    const atomic = this.random.pick(atomicOps);
    const exchanges = atomic === 'xchg' || atomic === 'cmpxchg';
    if (atomic === 'cmpxchg' && this.kinds[0] !== 'number') this.constant(0, this.random.immediate());
    if (at.base === 0 && atomic === 'cmpxchg') return;
    const src = this.number(at.base) as Reg;
    const fetch = exchanges || this.random.chance(40);
    this.emit({ op: 'atomic', atomic, fetch, size: at.size, dst: at.base as Reg, off: at.off, src });
  }

  // Statements

  private block(): void {
    this.depth++;
    const count = this.random.between(1, 8);
    for (let i = 0; i < count && this.budget > 0; i++) this.statement();
    this.depth--;
  }

  private statement(): void {
    this.budget--;
    const { random } = this;
    const kinds: readonly (() => void)[] = [
      () => this.arithmetic(),
      () => this.arithmetic(),
      () => this.stackStore(),
      () => this.stackLoad(),
      () => this.spill(),
      () => this.variableStack(),
      () => this.lookup(),
      () => this.lookup(),
      () => this.valueAccess(),
      () => this.valueAccess(),
      () => this.mapChange(),
      () => this.source(),
      () => this.call(),
      () => this.condition(),
      () => this.condition(),
      () => this.condition(),
      () => this.loop(),
      () =>
        this.type === 'xdp' ? this.packet() : this.type === 'socket_filter' ? this.classic() : this.source(),
      () => (this.type === 'xdp' ? this.packet() : this.arithmetic()),
      () => this.tailCall(),
    ];
    random.pick(kinds)();
  }

  private arithmetic(): void {
    const { random } = this;
    for (let i = random.between(1, 5); i > 0; i--) {
      const dst = this.number() as Reg;
      const bits = random.pick([32, 64] as const);
      const kind = random.below(12);
      if (kind === 0) this.emit({ op: 'neg', bits, dst });
      else if (kind === 1) {
        const from = bits === 64 ? random.pick([8, 16, 32] as const) : random.pick([8, 16] as const);
        this.emit({ op: 'movsx', bits, from, dst, src: this.number() as Reg });
      } else if (kind === 2) {
        const swap = random.pick(['le', 'be', 'bswap'] as const);
        this.emit({ op: 'swap', kind: swap, width: random.pick([16, 32, 64]), dst });
      } else if (kind === 3) {
        const lo = random.immediate();
        const hi = random.pick([0, -1, random.immediate()]);
        this.emit({ op: 'ldimm64', dst, pseudo: 'imm', lo, hi });
      } else this.binary(dst, bits);
    }
  }

  private binary(dst: number, bits: 32 | 64): void {
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
  private slot(size: Size): number {
    if (this.oops()) return -this.random.between(0, 520);
    return -size * this.random.between(1, 64 / size);
  }

  private markWritten(off: number, size: number): void {
    for (let i = 0; i < size; i++) this.written.add(-off - i);
  }

  private isWritten(off: number, size: number): boolean {
    for (let i = 0; i < size; i++) if (!this.written.has(-off - i)) return false;
    return true;
  }

  private stackStore(): void {
    const { random } = this;
    for (let i = random.between(1, 3); i > 0; i--) {
      const size = random.pick([1, 2, 4, 8, 8] as const);
      const off = this.slot(size);
      const src: Operand = random.chance(40) ? { imm: random.immediate() } : { reg: this.number() as Reg };
      this.emit({ op: 'store', size, dst: FP, off, src });
      this.markWritten(off, size);
    }
  }

  private stackLoad(): void {
    const { random } = this;
    for (let tries = 0; tries < 6; tries++) {
      const size = random.pick(sizes);
      const off = this.slot(size);
      if (!this.isWritten(off, size) && !this.oops()) continue;
      if (random.chance(15) && size >= 4) this.atomic({ base: FP, off, size: size as 4 | 8 });
      else this.load({ dst: this.target(), src: FP, off, size, signed: size < 8 && random.chance(25) });
      return;
    }
    this.stackStore();
  }

  /** A register to the stack and back, maybe narrower or into another register, maybe overwritten in part. */
  private spill(): void {
    const { random } = this;
    const off = -8 * random.between(1, 8);
    const src = random.chance(50) ? this.number() : random.pick([6, FP, this.held('value') ?? FP]);
    if (this.kinds[src] === 'none' && !this.oops()) return;
    const kind = this.kinds[src]!;
    const size: Size = kind === 'number' ? random.pick([4, 8, 8] as const) : 8;
    this.emit({ op: 'store', size, dst: FP, off, src: { reg: src as Reg } });
    this.markWritten(off, size);
    const clobber = random.chance(12);
    if (clobber) {
      const part = random.pick([1, 2, 4] as const);
      const within = part * random.below(8 / part);
      this.emit({ op: 'store', size: part, dst: FP, off: off + within, src: { imm: random.immediate() } });
      this.markWritten(off + within, part);
    }
    if (random.chance(40)) this.condition();
    const back: Size = kind === 'number' && random.chance(40) ? random.pick(sizes) : size;
    if (!this.isWritten(off, back) && !this.oops()) return;
    if (clobber && kind !== 'number' && !this.oops()) return;
    const dst = this.target();
    this.load({ dst, src: FP, off, size: back });
    if (back === 8 && size === 8) this.set(dst, kind, this.mapOf[src]);
  }

  /** Whether a bound is a little too wide: by one, mostly. */
  private tooFar(): number {
    return this.random.chance(this.wrong + 6) ? this.random.pick([1, 1, 1, 2, 8]) : 0;
  }

  /** Bounds `reg` below `limit` (a little too far now and then); false where it jumps to `out` otherwise. */
  private bound(reg: number, limit: number, out: string): void {
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

  private variableStack(): void {
    const { random } = this;
    const size = random.pick(sizes);
    const span = size * random.pick([2, 4, 8].filter((count) => count * size <= 64));
    const start = -8 * random.between(Math.ceil(span / 8), 8);
    if (!this.isWritten(start, span) && random.chance(90)) {
      for (let off = start; off < start + span; off += 8) {
        this.emit({ op: 'store', size: 8, dst: FP, off, src: { imm: random.immediate() } });
        this.markWritten(off, 8);
      }
    }
    const out = this.newLabel();
    const before = this.snapshot();
    const index = this.number();
    this.bound(index, span / size, out);
    this.scale(index, size);
    const base = this.target(index);
    this.copy(base, FP);
    if (random.chance(50)) {
      this.alu('add', base, { imm: start });
      this.alu('add', base, { reg: index as Reg });
      this.access({ base, off: 0, size });
    } else {
      this.alu('add', base, { reg: index as Reg });
      this.access({ base, off: start, size });
    }
    this.merge(before);
    this.lines.push(label(out));
  }

  private scale(index: number, size: number): void {
    if (size === 1) return;
    if (this.random.chance(50)) this.alu('lsh', index, { imm: Math.log2(size) });
    else this.alu('mul', index, { imm: size });
  }

  private mapPointer(dst: number, map: number): void {
    const lo = FIRST_MAP_FD + map;
    this.emit({ op: 'ldimm64', dst: dst as Reg, pseudo: 'mapFd', lo, hi: 0 });
  }

  /** Puts a key for `map` on the stack; its offset. */
  private key(map: number): number {
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

  private pointer(dst: number, off: number): void {
    this.copy(dst, FP);
    this.alu('add', dst, { imm: off });
  }

  private helper(imm: number): void {
    this.emit({ op: 'call', kind: 'helper', imm });
    for (let reg = 0; reg <= 5; reg++) this.set(reg, 'none');
    this.set(0, 'number');
  }

  private lookup(): void {
    const { random } = this;
    const map = random.below(valueMaps);
    if (random.chance(25) && worldMaps[map]!.type === 2 && worldMaps[map]!.maxEntries === 1) {
      const dst = this.target();
      const hi = random.chance(70) ? 0 : random.below(worldMaps[map]!.valueSize);
      this.emit({ op: 'ldimm64', dst: dst as Reg, pseudo: 'mapValue', lo: FIRST_MAP_FD + map, hi });
      this.set(dst, hi === 0 ? 'value' : 'none', map);
      return;
    }
    const off = this.key(map);
    this.pointer(2, off);
    this.mapPointer(1, map);
    this.helper(MAP_LOOKUP);
    const out = this.newLabel();
    const before = this.snapshot();
    if (!this.oops()) this.nullCheck(0, out);
    this.set(0, 'value', map);
    if (random.chance(60)) this.copy(random.pick([7, 8, 9].filter((reg) => !this.reserved.has(reg))), 0);
    this.valueAccess();
    if (random.chance(40)) this.block();
    this.merge(before);
    this.lines.push(label(out));
  }

  private nullCheck(reg: number, out: string): void {
    const dst = reg as Reg;
    if (this.random.chance(70)) {
      this.jump({ op: 'jmp', cond: 'eq', bits: 64, dst, src: { imm: 0 }, off: 0 }, out);
      return;
    }
    const on = this.newLabel();
    this.jump({ op: 'jmp', cond: 'ne', bits: 64, dst, src: { imm: 0 }, off: 0 }, on);
    this.jump({ op: 'ja', wide: false, off: 0 }, out);
    this.lines.push(label(on));
  }

  private valueAccess(): void {
    const { random } = this;
    const base = this.held('value');
    if (base === undefined) {
      if (this.depth < 3) this.lookup();
      return;
    }
    const { valueSize, access } = worldMaps[this.mapOf[base]!]!;
    const how = access === 'none' ? 'rw' : access;
    const size = random.pick(sizes);
    if (random.chance(50) || valueSize < size * 2) {
      const last = valueSize - size + this.tooFar();
      const off = last < 0 || random.chance(25) ? Math.max(0, last) : random.between(0, last);
      this.access({ base, off, size, how });
      return;
    }
    const out = this.newLabel();
    const before = this.snapshot();
    const index = this.number(base);
    const spare = valueSize - size;
    const fixed = random.below(Math.min(8, spare));
    this.bound(index, spare - fixed + 1, out);
    const at = this.target(index, base);
    this.copy(at, base);
    this.alu(random.chance(95) ? 'add' : 'sub', at, { reg: index as Reg });
    if (random.chance(30)) this.alu('add', at, { imm: fixed });
    if (random.chance(15)) this.condition();
    if (this.kinds[at] === 'value') this.access({ base: at, off: fixed * random.below(2), size, how });
    this.set(at, 'none');
    this.merge(before);
    this.lines.push(label(out));
  }

  private mapChange(): void {
    const { random } = this;
    const map = random.below(valueMaps);
    const key = this.key(map);
    const { valueSize } = worldMaps[map]!;
    const value = -8 * (8 + Math.ceil(valueSize / 8));
    const update = random.chance(70);
    if (update) {
      for (let off = value; off < value + valueSize; off += 8) {
        if (random.chance(3)) continue;
        this.emit({ op: 'store', size: 8, dst: FP, off, src: { imm: random.immediate() } });
      }
      this.pointer(3, value);
      this.constant(4, random.pick([0, 0, 0, 1, 2, 3]));
    }
    this.pointer(2, key);
    this.mapPointer(1, map);
    this.helper(update ? MAP_UPDATE : MAP_DELETE);
  }

  private source(): void {
    if (this.random.chance(60)) this.unknown(this.target());
    else this.helper(this.random.pick(sources));
  }

  private tailCall(): void {
    if (this.kinds[6] !== 'ctx' || this.random.chance(60)) return void this.arithmetic();
    this.copy(1, 6);
    this.emit({ op: 'ldimm64', dst: 2, pseudo: 'mapFd', lo: jumpsFds[this.type], hi: 0 });
    if (this.random.chance(50)) this.constant(3, this.random.below(3));
    else this.unknown(3);
    this.helper(12);
  }

  private call(): void {
    const { random } = this;
    const args = random.between(0, 3);
    for (let arg = 1; arg <= args; arg++) {
      const from = this.held('number');
      if (from === undefined) this.constant(arg, random.immediate());
      else this.copy(arg, from);
    }
    const reuse = this.functions.find((made) => made.args <= args);
    const name = reuse !== undefined && random.chance(40) ? reuse.name : `F${this.labels++}`;
    if (name !== reuse?.name) this.functions.push({ name, args });
    this.jump({ op: 'call', kind: 'subprog', imm: 0 }, name);
    for (let reg = 0; reg <= 5; reg++) this.set(reg, 'none');
    this.set(0, 'number');
  }

  private snapshot(): { kinds: Kind[]; written: Set<number> } {
    return { kinds: [...this.kinds], written: new Set(this.written) };
  }

  /** What holds both here and there: where two paths meet. */
  private merge(there: { kinds: Kind[]; written: Set<number> }): void {
    for (let reg = 0; reg < 10; reg++) if (this.kinds[reg] !== there.kinds[reg]) this.kinds[reg] = 'none';
    for (const byte of this.written) if (!there.written.has(byte)) this.written.delete(byte);
  }

  private condition(): void {
    const { random } = this;
    if (this.depth > 4) return void this.arithmetic();
    const dst = this.number() as Reg;
    const src: Operand = random.chance(65) ? { imm: random.immediate() } : { reg: this.number() as Reg };
    const bits = random.pick([32, 64] as const);
    const otherwise = this.newLabel();
    this.jump({ op: 'jmp', cond: random.pick(conds), bits, dst, src, off: 0 }, otherwise);
    const before = this.snapshot();
    this.block();
    if (random.chance(50)) {
      this.merge(before);
      this.lines.push(label(otherwise));
      return;
    }
    const end = this.newLabel();
    const after = this.snapshot();
    this.jump({ op: 'ja', wide: false, off: 0 }, end);
    this.lines.push(label(otherwise));
    this.kinds = before.kinds;
    this.written = before.written;
    this.block();
    this.merge(after);
    this.lines.push(label(end));
  }

  private loop(): void {
    const { random } = this;
    if (this.depth > 2 || this.reserved.size > 1) return void this.condition();
    const counter = random.pick([7, 8, 9].filter((reg) => !this.reserved.has(reg)));
    this.constant(counter, random.chance(96) ? random.below(4) : random.immediate());
    this.reserved.add(counter);
    const top = this.newLabel();
    this.lines.push(label(top));
    const before = this.snapshot();
    this.budget = Math.min(this.budget, 4);
    this.block();
    this.merge(before);
    const bits = random.pick([32, 64] as const);
    const cond = random.pick(['lt', 'le', 'slt', 'ne', 'sle'] as const);
    this.alu('add', counter, { imm: cond === 'ne' ? 1 : random.pick([1, 1, 1, 2, 3]) }, bits);
    const src = { imm: random.between(4, this.reserved.size > 1 ? 5 : 12) };
    this.jump({ op: 'jmp', cond, bits, dst: counter as Reg, src, off: 0 }, top);
    this.reserved.delete(counter);
  }

  private classic(): void {
    if (this.kinds[6] !== 'ctx') return;
    const { random } = this;
    const size = random.pick([1, 2, 4] as const);
    const src = random.chance(40) ? (this.number(0) as Reg) : undefined;
    this.emit({ op: 'ldPacket', size, src, imm: random.chance(80) ? random.below(60) : random.immediate() });
    for (let reg = 1; reg <= 5; reg++) this.set(reg, 'none');
    this.set(0, 'number');
  }

  /** A packet access behind a comparison with data_end, at a fixed or a variable offset. */
  private packet(): void {
    const { random } = this;
    const context = [6, 1].find((reg) => this.kinds[reg] === 'ctx');
    if (context === undefined) return;
    const [data, end, probe] = random.pick([
      [2, 3, 4],
      [1, 5, 2],
      [7, 8, 3],
      [4, 2, 9],
    ] as const);
    if ([data, end, probe].some((reg) => this.reserved.has(reg) || reg === context)) return;
    this.load({ dst: data, src: context, off: 0, size: 4 });
    this.set(data, 'packet');
    this.load({ dst: end, src: context, off: 4, size: 4 });
    this.set(end, 'packetEnd');
    const out = this.newLabel();
    const before = this.snapshot();
    const variable = random.chance(45);
    if (variable) {
      const index = this.number(data, end, probe);
      this.bound(index, random.pick([4, 16, 64, 256, 0xffff]), out);
      if (index !== data && index !== end) this.alu('add', data, { reg: index as Reg });
    }
    this.copy(probe, data);
    const length = random.between(1, 40);
    this.alu('add', probe, { imm: length });
    this.packetCheck({ probe, end, out });
    for (let i = random.between(1, 4); i > 0; i--) {
      const size = random.pick(sizes.filter((bytes) => bytes <= length));
      const last = length - size + this.tooFar();
      const backward = random.chance(15);
      if (this.kinds[data] !== 'packet') break;
      this.access({
        base: backward && this.kinds[probe] === 'packet' ? probe : data,
        off: backward
          ? -size * random.between(1, Math.max(1, Math.floor(length / size)))
          : random.chance(30)
            ? last
            : random.between(0, last),
        size,
      });
    }
    if (random.chance(30)) this.block();
    this.merge(before);
    this.lines.push(label(out));
  }

  /** Goes to `out` where `probe` is beyond `end`, in one of the ways to say so. */
  private packetCheck({ probe, end, out }: { probe: number; end: number; out: string }): void {
    const { random } = this;
    if (this.oops()) return;
    const swapped = random.chance(50);
    const [dst, src] = (swapped ? [end, probe] : [probe, end]) as [Reg, Reg];
    if (random.chance(60)) {
      const cond = random.pick(['gt', 'ge'] as const);
      const made = swapped ? opposite[cond] : cond;
      this.jump({ op: 'jmp', cond: made, bits: 64, dst, src: { reg: src }, off: 0 }, out);
      return;
    }
    const cond = random.pick(['le', 'lt'] as const);
    const on = this.newLabel();
    const made = swapped ? opposite[cond] : cond;
    this.jump({ op: 'jmp', cond: made, bits: 64, dst, src: { reg: src }, off: 0 }, on);
    this.jump({ op: 'ja', wide: false, off: 0 }, out);
    this.lines.push(label(on));
  }
}

/** One program, with what it runs on. */
export function generate(random: Random): Candidate {
  const type = random.pick(fuzzedTypes);
  const generator = new Generator(random, type);
  generator.main();
  return {
    type,
    privilege: type !== 'tracepoint' && type !== 'raw_tracepoint' && random.chance(30) ? 'bpf' : 'root',
    slots: program(...generator.lines),
    packetLength: random.pick([64, 64, 14, 20, 33, 100, 300]),
    words: Array.from({ length: 8 }, () => random.word()),
  };
}
