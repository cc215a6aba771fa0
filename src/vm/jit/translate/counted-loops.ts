/**
 * Loops whose number of rounds is known when they are entered: a register counts from a constant by a constant, and
 * the test of it at the end of a round is the only way out. Such a loop is paid for at once, and its rounds have
 * nothing to count.
 */
import type { Insn } from '../../../isa/insn.ts';
import { written } from './functions.ts';
import type { RegisterInput } from './registers.ts';

/** How far back the constant is looked for. */
const BLOCKS_BACK = 8;
/** More rounds than any verified loop has. */
const MOST_ROUNDS = 2 ** 24;

export interface CountedLoop {
  /** How often it goes back to its header. */
  readonly rounds: number;
  /** The block from which it does. */
  readonly latch: number;
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
    return { ...common, goesOn: (value) => value !== limit };
  if (limit < 0) return undefined;
  if (jumps && (cond === 'lt' || cond === 'slt')) return { ...common, goesOn: (value) => value < limit };
  if (!jumps && (cond === 'ge' || cond === 'sge')) return { ...common, goesOn: (value) => value < limit };
  if (!jumps && (cond === 'gt' || cond === 'sgt')) return { ...common, goesOn: (value) => value <= limit };
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
    for (const node of body) {
      const leaves = graph[node]!.length === 0 || graph[node]!.some((to) => !body.has(to));
      if (leaves && node !== latch) return undefined;
    }
    const successors = graph[latch]!;
    const test = this.input.insnAt(this.slots(latch).at(-1)!)!;
    const counter = successors.length === 2 ? counterOf(test, successors[0] === header) : undefined;
    if (counter === undefined) return undefined;
    const step = this.stepOf(counter.register, { body, latch, header });
    const first = this.constantBefore(header, counter.register, body);
    if (step === undefined || first === undefined) return undefined;
    // In 32 bits a negative number is a large one to what looks at 64.
    const plain = [step, first].every(({ bits }) => bits === counter.bits);
    if (!plain && [step, first].some(({ value }) => value < 0)) return undefined;
    if (!plain && counter.limit < 0) return undefined;
    const rounds = countRounds(counter, first.value, step.value);
    return rounds === undefined ? undefined : { rounds, latch };
  }

  /** What a round adds to the register, where that is all that happens to it. */
  private stepOf(
    register: number,
    { body, latch, header }: { body: ReadonlySet<number>; latch: number; header: number },
  ): Constant | undefined {
    let step: Constant | undefined;
    for (const node of body) {
      for (const slot of this.slots(node)) {
        const insn = this.input.insnAt(slot)!;
        if (!clobbers(insn, register)) continue;
        if (step !== undefined || (node !== latch && node !== header)) return undefined;
        if (insn.op !== 'alu' || insn.alu !== 'add' || !('imm' in insn.src)) return undefined;
        step = { value: insn.src.imm, bits: insn.bits };
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
function countRounds({ limit, goesOn }: Counter, first: number, step: number): number | undefined {
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
