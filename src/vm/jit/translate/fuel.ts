/**
 * Fuel: the run's budget of instructions. It is counted where control goes back or calls, not at every instruction: an
 * edge back to a loop's header costs the instructions that every round passes, so a run never pays for more than it
 * executes, and no run goes on for ever. It is in a local, and in the scratch block while another function has it.
 */
import type { Label, Local } from '../wasm/index.ts';
import { type Shared, writeFuelLoad } from './calls.ts';
import type { CountedLoop } from './counted-loops.ts';
import type { Frame } from './frame.ts';
import type { BpfFunction } from './functions.ts';
import { FUEL, stops } from './layout.ts';

/** How many blocks above the end of a loop are looked at for what a round costs. */
const ROUND_DEPTH = 32;

export interface FuelInput {
  readonly frame: Frame;
  readonly bpf: BpfFunction;
  readonly shared: Shared;
  /** By header. */
  readonly counted: ReadonlyMap<number, CountedLoop>;
  /** Whether a block has a register in a 64-bit local at its start. */
  isWide(node: number, register: number): boolean;
}

/** What a function does with its fuel. */
export class Fuel {
  private readonly frame: Frame;
  private readonly bpf: BpfFunction;
  private readonly shared: Shared;
  private readonly counted: ReadonlyMap<number, CountedLoop>;
  private readonly isWide: FuelInput['isWide'];
  private readonly fuel: Local;
  /** Where control goes when it is used up. */
  private usedUp: Label | undefined;
  /** Loops that are paid for when they are left, by the blocks in them; with their headers. */
  private readonly paidBehind = new Map<number, [number, CountedLoop][]>();

  constructor({ frame, bpf, shared, counted, isWide }: FuelInput) {
    this.frame = frame;
    this.bpf = bpf;
    this.shared = shared;
    this.counted = counted;
    this.isWide = isWide;
    this.fuel = frame.code.local('fuel', 'i64');
    for (const one of counted) {
      for (const node of one[1].early?.body ?? []) {
        const list = this.paidBehind.get(node);
        if (list === undefined) this.paidBehind.set(node, [one]);
        else list.push(one);
      }
    }
  }

  /** Around all blocks of the function: what stops the run stands behind them. Then loops have no call in them. */
  open(): void {
    this.usedUp = this.frame.code.block();
  }

  close(): void {
    const { code } = this.frame;
    code.end();
    code.i32(stops.budget);
    code.get(this.frame.temporary('slot', 'i32'));
    code.call(this.shared.imported('stop'));
    code.op('unreachable');
  }

  goingBack(from: number, to: number): void {
    if (!this.counted.has(to)) this.burn(this.roundCost(from, to), this.bpf.blocks[to]!.start);
  }

  /** Whether loops that are paid for when they are left are left by an edge. */
  leaves(from: number, to: number): boolean {
    return this.loopsLeft(from, to).length > 0;
  }

  /** A counted loop costs all its rounds when it is entered. */
  entering(header: number): void {
    const loop = this.counted.get(header);
    if (loop === undefined || loop.rounds === 0 || loop.early !== undefined) return;
    const cost = loop.rounds * this.roundCost(loop.latch, header);
    this.burn(cost, this.bpf.blocks[header]!.start);
  }

  /** Loops that are paid for when they are left, and are left by an edge; with their headers. */
  private loopsLeft(from: number, to: number): [number, CountedLoop][] {
    return (this.paidBehind.get(from) ?? []).filter(([, { early }]) => !early!.body.has(to));
  }

  /** A loop that is paid for then costs what its counter says, or all its rounds if it comes to the last of them. */
  leaving(from: number, to: number): void {
    const { code } = this.frame;
    for (const [header, { rounds, latch, early }] of this.loopsLeft(from, to)) {
      const { body, register, first, step } = early!;
      const cost = this.roundCost(latch, header);
      const slot = this.bpf.blocks[header]!.start;
      if (from === latch) {
        this.burn(rounds * cost, slot);
        continue;
      }
      const inside = this.bpf.graph[from]!.find((one) => body.has(one))!;
      const paid = (): void => {
        this.frame.getPrepared(register, this.isWide(inside, register));
        code.i32(first);
        code.op('i32.sub');
        code.i32(step);
        code.op('i32.div_s');
        code.op('i64.extend_i32_u');
        code.i64(cost);
        code.op('i64.mul');
      };
      this.burnWhat(paid, slot);
    }
  }

  /** What a round that goes back from `from` to `to` costs at least: the blocks that it cannot avoid. */
  private roundCost(from: number, to: number): number {
    const { blocks, shape } = this.bpf;
    let { cost } = blocks[from]!;
    if (!shape.reducible) return cost;
    for (let node = from, depth = 0; node !== to && depth < ROUND_DEPTH; depth++) {
      node = shape.idom[node]!;
      cost += blocks[node]!.cost;
    }
    return cost;
  }

  burn(cost: number, slot: number): void {
    this.burnWhat(() => this.frame.code.i64(cost), slot);
  }

  /** Takes what `push` puts on the stack. */
  private burnWhat(push: () => void, slot: number): void {
    const { code } = this.frame;
    const { fuel } = this;
    code.get(fuel);
    push();
    code.op('i64.sub');
    code.tee(fuel);
    code.i64(0n);
    code.op('i64.lt_s');
    code.if();
    code.i32(slot);
    code.set(this.frame.temporary('slot', 'i32'));
    code.br(this.usedUp!);
    code.end();
  }

  /** Into the scratch block, for another function. */
  save(): void {
    const { shared } = this;
    const { code } = this.frame;
    code.i32(shared.scratch);
    code.get(this.fuel);
    code.access('i64.store', FUEL);
  }

  /** From there. */
  restore(): void {
    writeFuelLoad(this.frame, this.shared);
    this.frame.code.set(this.fuel);
  }
}
