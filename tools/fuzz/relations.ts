/**
 * Statements in which what is known of one register depends on another: two paths meet, on one of which two
 * registers are the same number, the same map value or the same packet, and on the other they are not. Then
 * one of them is checked and the other used. A verifier that takes the second path for one that it has been
 * through lets an access pass that nothing bounds.
 */
import { label } from '../../src/asm/index.ts';
import type { Reg } from '../../src/isa/index.ts';
import { DataStatements } from './data-statements.ts';
import { valueMaps, worldMaps } from './world.ts';
import { FP } from './writer.ts';

/** Two registers: `one` is checked, `other` used. */
interface Related {
  readonly one: number;
  readonly other: number;
}

export abstract class RelationStatements extends DataStatements {
  protected relation(): void {
    const { random } = this;
    const free = [7, 8, 9].filter((reg) => !this.reserved.has(reg));
    if (free.length < 2 || this.kinds[6] !== 'ctx') return void this.arithmetic();
    const one = random.pick(free);
    const pair = { one, other: random.pick(free.filter((reg) => reg !== one)) };
    const kinds = [
      () => this.relatedNumbers(pair),
      () => this.relatedNumbers(pair),
      () => this.relatedValues(pair),
      () => (this.type === 'xdp' ? this.relatedPackets(pair) : this.relatedValues(pair)),
    ];
    random.pick(kinds)();
    for (const reg of [pair.one, pair.other]) this.set(reg, 'none');
  }

  /** One path or the other, in either order, and where they meet. */
  private eitherWay(left: () => void, right: () => void, { one, other }: Related): void {
    const { random } = this;
    const [first, second] = random.chance(50) ? [left, right] : [right, left];
    const decider = this.target(one, other);
    this.unknown(decider);
    const otherwise = this.newLabel();
    const end = this.newLabel();
    const src = { imm: random.immediate() };
    const cond = random.pick(['eq', 'ne', 'gt', 'slt', 'set'] as const);
    this.jump({ op: 'jmp', cond, bits: 64, dst: decider as Reg, src, off: 0 }, otherwise);
    first();
    this.jump({ op: 'ja', wide: false, off: 0 }, end);
    this.lines.push(label(otherwise));
    second();
    this.lines.push(label(end));
    if (random.chance(30)) this.constant(decider, 0);
  }

  /** What the second path does to the used register: mostly nothing that the check would cover. */
  private otherwise(same: () => void, different: () => void): () => void {
    return this.random.chance(60) ? same : different;
  }

  private relatedNumbers(pair: Related): void {
    const { random } = this;
    const { one, other } = pair;
    const size = random.pick([4, 8, 16]);
    const start = -8 * random.between(size / 8 + 1, 8);
    for (let off = start; off < start + size; off += 8) {
      this.emit({ op: 'store', size: 8, dst: FP, off, src: { imm: random.immediate() } });
      this.markWritten(off, 8);
    }
    this.unknown(one);
    if (random.chance(40)) this.alu('mov', one, { reg: one as Reg }, 32);
    this.unknown(other);
    const shift = random.pick([0, 0, 0, 1, 4]);
    const same = (): void => {
      this.alu('mov', other, { reg: one as Reg });
      if (shift > 0) this.alu('add', other, { imm: shift });
    };
    const different = random.pick([
      () => this.unknown(other),
      () => {},
      () => this.alu('mov', other, { reg: one as Reg }, 32),
      () => {
        this.alu('mov', other, { reg: one as Reg });
        this.alu('add', other, { imm: shift + 1 });
      },
    ]);
    this.eitherWay(same, this.otherwise(same, different), pair);
    const out = this.newLabel();
    const before = this.snapshot();
    const width = random.pick([1, 2, 4] as const);
    this.bound(one, size - shift - width + 1, out);
    const base = this.target(one, other);
    this.copy(base, FP);
    this.alu('add', base, { reg: other as Reg });
    this.access({ base, off: start, size: width });
    this.merge(before);
    this.lines.push(label(out));
  }

  /** Looks a key up in a map; the result, not compared with NULL, goes to `dst`. */
  private lookedUp(dst: number, map: number): void {
    this.pointer(2, this.key(map));
    this.mapPointer(1, map);
    this.helper(1);
    this.copy(dst, 0);
    this.set(dst, 'none');
    this.set(0, 'none');
  }

  private relatedValues(pair: Related): void {
    const { random } = this;
    const { one, other } = pair;
    const map = random.below(valueMaps);
    this.lookedUp(one, map);
    if (random.chance(60)) this.lookedUp(other, map);
    else this.alu('mov', other, { reg: one as Reg });
    const same = (): void => this.alu('mov', other, { reg: one as Reg });
    const different = random.pick([() => this.lookedUp(other, map), () => {}]);
    this.eitherWay(same, this.otherwise(same, different), pair);
    const out = this.newLabel();
    const before = this.snapshot();
    this.nullCheck(one, out);
    const { valueSize, access } = worldMaps[map]!;
    const width = random.pick([1, 2, 4, 8] as const);
    const how = access === 'none' ? 'rw' : access;
    this.access({ base: other, off: random.between(0, Math.max(0, valueSize - width)), size: width, how });
    this.merge(before);
    this.lines.push(label(out));
  }

  private relatedPackets(pair: Related): void {
    const { random } = this;
    const { one, other } = pair;
    const out = this.newLabel();
    const before = this.snapshot();
    const [end, index] = [3, 4];
    const data = (to: number): void => {
      this.load({ dst: to, src: 6, off: 0, size: 4 });
      this.unknown(index);
      this.alu('and', index, { imm: random.pick([7, 63, 255]) });
      this.alu('add', to, { reg: index as Reg });
      this.set(to, 'none');
    };
    data(one);
    data(other);
    const same = (): void => this.alu('mov', other, { reg: one as Reg });
    const different = random.pick([() => data(other), () => {}]);
    this.eitherWay(same, this.otherwise(same, different), pair);
    const length = random.between(1, 20);
    this.load({ dst: end, src: 6, off: 4, size: 4 });
    this.set(end, 'packetEnd');
    const probe = 5;
    this.copy(probe, one);
    this.alu('add', probe, { imm: length });
    this.packetCheck({ probe, end, out });
    const width = random.pick(([1, 2, 4, 8] as const).filter((bytes) => bytes <= length));
    this.access({ base: other, off: random.between(0, length - width), size: width });
    this.merge(before);
    this.lines.push(label(out));
  }
}
