/** Statements that read and write: numbers, the stack, map values, the packet. */
import { label } from '../../src/asm/index.ts';
import type { JmpCond, Operand, Reg, Size } from '../../src/isa/index.ts';
import { FIRST_MAP_FD, valueMaps, worldMaps } from './world.ts';
import { FP, sizes, Writer } from './writer.ts';

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

export abstract class DataStatements extends Writer {
  /** Statements one after the other, and ones that only run where a comparison says so. */
  protected abstract block(): void;
  protected abstract condition(): void;

  protected arithmetic(): void {
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

  protected stackStore(): void {
    const { random } = this;
    for (let i = random.between(1, 3); i > 0; i--) {
      const size = random.pick([1, 2, 4, 8, 8] as const);
      const off = this.slot(size);
      const src: Operand = random.chance(40) ? { imm: random.immediate() } : { reg: this.number() as Reg };
      this.emit({ op: 'store', size, dst: FP, off, src });
      this.markWritten(off, size);
    }
  }

  protected stackLoad(): void {
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
  protected spill(): void {
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

  protected variableStack(): void {
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

  protected lookup(): void {
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

  protected nullCheck(reg: number, out: string): void {
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

  protected valueAccess(): void {
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

  protected mapChange(): void {
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

  protected source(): void {
    if (this.random.chance(60)) this.unknown(this.target());
    else this.helper(this.random.pick(sources));
  }

  protected classic(): void {
    if (this.kinds[6] !== 'ctx') return;
    const { random } = this;
    const size = random.pick([1, 2, 4] as const);
    const src = random.chance(40) ? (this.number(0) as Reg) : undefined;
    this.emit({ op: 'ldPacket', size, src, imm: random.chance(80) ? random.below(60) : random.immediate() });
    for (let reg = 1; reg <= 5; reg++) this.set(reg, 'none');
    this.set(0, 'number');
  }

  /** A packet access behind a comparison with data_end, at a fixed or a variable offset. */
  protected packet(): void {
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
  protected packetCheck({ probe, end, out }: { probe: number; end: number; out: string }): void {
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
