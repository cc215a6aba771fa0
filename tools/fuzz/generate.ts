/**
 * Makes programs that are valid for the most part: statements, branches, loops and calls, going a little wrong
 * on purpose now and then (a check that is one byte short, a bound on the wrong register, a map value not
 * compared with NULL).
 */
import { label, program } from '../../src/asm/index.ts';
import type { JmpCond, Operand, Reg } from '../../src/isa/index.ts';
import { type Candidate, fuzzedTypes } from './candidate.ts';
import type { Random } from './random.ts';
import { RelationStatements } from './relations.ts';
import { jumpsFds } from './world.ts';
import { FP, type Kind } from './writer.ts';

const conds: readonly JmpCond[] = ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'set', 'sgt', 'sge', 'slt', 'sle'];
const TAIL_CALL = 12;
/** BPF_F_TEST_STATE_FREQ: states are remembered wherever paths may meet, and so compared in small programs, too. */
const TEST_STATE_FREQ = 8;

class Generator extends RelationStatements {
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

  protected override block(): void {
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
      () => this.relation(),
    ];
    random.pick(kinds)();
  }

  private tailCall(): void {
    if (this.kinds[6] !== 'ctx' || this.random.chance(60)) return void this.arithmetic();
    this.copy(1, 6);
    this.emit({ op: 'ldimm64', dst: 2, pseudo: 'mapFd', lo: jumpsFds[this.type], hi: 0 });
    if (this.random.chance(50)) this.constant(3, this.random.below(3));
    else this.unknown(3);
    this.helper(TAIL_CALL);
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

  protected override condition(): void {
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
}

/** One program, with what it runs on. */
export function generate(random: Random): Candidate {
  const type = random.pick(fuzzedTypes);
  const generator = new Generator(random, type);
  generator.main();
  return {
    type,
    privilege: type !== 'tracepoint' && type !== 'raw_tracepoint' && random.chance(30) ? 'bpf' : 'root',
    flags: random.chance(40) ? TEST_STATE_FREQ : 0,
    slots: program(...generator.lines),
    packetLength: random.pick([64, 64, 14, 20, 33, 100, 300]),
    words: Array.from({ length: 8 }, () => random.word()),
  };
}
