/**
 * Loops whose number of rounds is known when they are entered: a register counts from a constant by a constant, and
 * is tested at the end of a round. Where that is the only way out, the loop is paid for when it is entered; where there
 * are others, when it is left, by what the register says. Its rounds have nothing to count.
 */
import type { Insn } from '../../../isa/insn.ts';
import { written } from './effects.ts';
import type { RegisterInput } from './registers.ts';

/** How far back the constant is looked for. */
const BLOCKS_BACK = 8;
/** More rounds than any verified loop has. */
const MOST_ROUNDS = 2 ** 24;
const LEAST = -(2 ** 31);
const MOST = 2 ** 31 - 1;

export interface CountedLoop {
  /** How often it goes back to its header. */
  readonly rounds: number;
  /** The block from which it does. */
  readonly latch: number;
  /** Where it can be left before: how the rounds until then are told. */
  readonly early: EarlyExits | undefined;
}

export interface EarlyExits {
  readonly body: ReadonlySet<number>;
  /** Holds `first` in the first round and `step` more in each other, until the latch. */
  readonly register: number;
  readonly first: number;
  readonly step: number;
}

/** A number that an instruction of this width has. */
interface Constant {
  readonly value: number;
  readonly bits: 32 | 64;
}

interface Counter {
  readonly register: number;
  readonly limit: number;
  readonly bits: 32 | 64;
  readonly goesOn: (value: number, limit: number) => boolean;
  /** The lowest value that it compares as the number that it is, and whether it has to be counted upwards. */
  readonly least: number;
  readonly rises: boolean;
}

/** The predecessors of each block. */
function predecessorsOf(graph: readonly (readonly number[])[]): number[][] {
  const into: number[][] = graph.map(() => []);
  graph.forEach((to, from) => {
    for (const target of to) if (!into[target]!.includes(from)) into[target]!.push(from);
  });
  return into;
}

/** The blocks of the loop from `header` to `latch`, these two included (the natural loop of the edge back). */
function bodyOf(into: readonly (readonly number[])[], header: number, latch: number): Set<number> {
  const body = new Set([header, latch]);
  const left = latch === header ? [] : [latch];
  for (let node = left.pop(); node !== undefined; node = left.pop()) {
    for (const from of into[node]!) {
      if (body.has(from)) continue;
      body.add(from);
      left.push(from);
    }
  }
  return body;
}

/** A test against a number: when it lets the loop go on. `jumps` says whether going on is the jump. */
function counterOf(insn: Insn, jumps: boolean): Counter | undefined {
  if (insn.op !== 'jmp' || 'reg' in insn.src) return undefined;
  const { cond } = insn;
  const limit = insn.src.imm;
  const common = { register: insn.dst as number, limit, bits: insn.bits };
  if ((cond === 'ne' && jumps) || (cond === 'eq' && !jumps))
    return { ...common, least: LEAST, rises: false, goesOn: (value) => value !== limit };
  if (limit < 0) return undefined;
  const rising = { ...common, least: cond.startsWith('s') ? LEAST : 0, rises: true };
  if (jumps ? cond === 'lt' || cond === 'slt' : cond === 'ge' || cond === 'sge')
    return { ...rising, goesOn: (value) => value < limit };
  if (!jumps && (cond === 'gt' || cond === 'sgt')) return { ...rising, goesOn: (value) => value <= limit };
  return undefined;
}

const clobbers = (insn: Insn, register: number): boolean =>
  written(insn) === register || ((insn.op === 'call' || insn.op === 'ldPacket') && register <= 5);

class Finder {
  private readonly input: RegisterInput;
  private readonly into: number[][];

  constructor(input: RegisterInput) {
    this.input = input;
    this.into = predecessorsOf(input.bpf.graph);
  }

  private slots(node: number): number[] {
    const { start, end } = this.input.bpf.blocks[node]!;
    const slots: number[] = [];
    for (let slot = start; slot < end; slot++) if (this.input.insnAt(slot) !== undefined) slots.push(slot);
    return slots;
  }

  /** The loop at `header`; undefined where it is not known how often it goes back. */
  loopAt(header: number): CountedLoop | undefined {
    const { graph, shape } = this.input.bpf;
    const latches = this.into[header]!.filter((from) => shape.place[from]! >= shape.place[header]!);
    const [latch] = latches;
    if (latch === undefined || latches.length > 1) return undefined;
    const body = bodyOf(this.into, header, latch);
    const successors = graph[latch]!;
    if (this.input.bpf.switches.has(latch)) return undefined;
    if (successors.length !== 2 || successors.every((to) => body.has(to))) return undefined;
    const test = this.input.insnAt(this.slots(latch).at(-1)!)!;
    const counter = counterOf(test, successors[0] === header);
    if (counter === undefined) return undefined;
    const step = this.stepOf(counter.register, { body, latch, header });
    const first = this.constantBefore(header, counter.register, body);
    if (step === undefined || first === undefined) return undefined;
    // In 32 bits a negative number is a large one to what looks at 64.
    const plain = [step, first].every(({ bits }) => bits === counter.bits);
    if (!plain && [step, first].some(({ value }) => value < 0)) return undefined;
    if (!plain && counter.limit < 0) return undefined;
    const rounds = countRounds(counter, first.value, step.value);
    if (rounds === undefined) return undefined;
    const leavesEarly = [...body].some((node) => node !== latch && graph[node]!.some((to) => !body.has(to)));
    if (!leavesEarly) return { rounds, latch, early: undefined };
    if (step.at !== latch) return undefined;
    const early = { body, register: counter.register, first: first.value, step: step.value };
    return { rounds, latch, early };
  }

  /** What a round adds to the register, where that is all that happens to it. */
  private stepOf(
    register: number,
    { body, latch, header }: { body: ReadonlySet<number>; latch: number; header: number },
  ): (Constant & { readonly at: number }) | undefined {
    let step: (Constant & { readonly at: number }) | undefined;
    for (const node of body) {
      for (const slot of this.slots(node)) {
        const insn = this.input.insnAt(slot)!;
        if (!clobbers(insn, register)) continue;
        if (step !== undefined || (node !== latch && node !== header)) return undefined;
        if (insn.op !== 'alu' || insn.alu !== 'add' || !('imm' in insn.src)) return undefined;
        step = { value: insn.src.imm, bits: insn.bits, at: node };
      }
    }
    return step;
  }

  /** The number in a register on every way into the loop. */
  private constantBefore(header: number, register: number, body: ReadonlySet<number>): Constant | undefined {
    const found = this.into[header]!.filter((from) => !body.has(from)).map((from) =>
      this.constantAtEnd(from, register),
    );
    const [first] = found;
    return found.every((one) => one?.value === first?.value && one?.bits === first?.bits) ? first : undefined;
  }

  private constantAtEnd(from: number, register: number): Constant | undefined {
    let node = from;
    for (let back = 0; back < BLOCKS_BACK; back++) {
      const slots = this.slots(node);
      for (let i = slots.length - 1; i >= 0; i--) {
        const insn = this.input.insnAt(slots[i]!)!;
        if (!clobbers(insn, register)) continue;
        if (insn.op !== 'alu' || insn.alu !== 'mov' || !('imm' in insn.src)) return undefined;
        return { value: insn.src.imm, bits: insn.bits };
      }
      const [before, other] = this.into[node]!;
      if (before === undefined || other !== undefined) return undefined;
      node = before;
    }
    return undefined;
  }
}

/** How often the test after a step lets go on. */
function countRounds(
  { limit, goesOn, least, rises }: Counter,
  first: number,
  step: number,
): number | undefined {
  // The last value is beyond the limit, and has to be a number of 31 bits all the same.
  if (first + step < least || (rises && (step <= 0 || limit + step > MOST))) return undefined;
  const most = Math.floor((limit - first) / step) + 1;
  if (!(most >= 0 && most <= MOST_ROUNDS)) return undefined;
  // Near the end, by trying: the last value before the limit, or the limit itself.
  let rounds = Math.max(most - 2, 0);
  while (rounds <= most && goesOn(first + (rounds + 1) * step, limit)) rounds++;
  return rounds <= most ? rounds : undefined;
}

/** By header. */
export function findCountedLoops(input: RegisterInput): Map<number, CountedLoop> {
  const { shape } = input.bpf;
  const loops = new Map<number, CountedLoop>();
  if (!shape.reducible) return loops;
  const finder = new Finder(input);
  for (const node of shape.order) {
    if (shape.loopHeader[node] !== 1) continue;
    const loop = finder.loopAt(node);
    if (loop !== undefined) loops.set(node, loop);
  }
  return loops;
}
