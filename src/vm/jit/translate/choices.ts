/**
 * Jumps over nothing but moves, which compilers write where BPF has no conditional move: `w1 = 1; if … goto +1; w1 = 0`.
 * They become a choice between two values, which no wrong guess of a branch delays.
 */
import type { Insn } from '../../../isa/insn.ts';
import type { Local } from '../wasm/index.ts';
import { written } from './effects.ts';
import type { Frame } from './frame.ts';
import type { BpfFunction } from './functions.ts';
import type { RegisterInput } from './registers.ts';

/** Both values of more than these are made for nothing too often. */
const MOST_MOVES = 2;

type Move = Extract<Insn, { op: 'alu' }>;

/** Where a block goes on either way, and the moves on the way where it does not jump. */
export interface Choice {
  readonly to: number;
  readonly moves: readonly { readonly slot: number; readonly insn: Move }[];
}

function movesIn(
  input: RegisterInput,
  { start, end }: { start: number; end: number },
): Choice['moves'] | undefined {
  const moves: { slot: number; insn: Move }[] = [];
  for (let slot = start; slot < end; slot++) {
    const insn = input.insnAt(slot);
    if (insn === undefined || insn.op === 'ja') continue;
    if (insn.op !== 'alu' || insn.alu !== 'mov' || moves.length === MOST_MOVES) return undefined;
    moves.push({ slot, insn });
  }
  // None may read what the one before it sets.
  const [first, second] = moves.map(({ insn }) => insn);
  if (first !== undefined && second !== undefined) {
    if (second.dst === first.dst) return undefined;
    if ('reg' in second.src && second.src.reg === first.dst) return undefined;
  }
  return moves;
}

/** What a conditional jump at the end of a block chooses between; undefined where it does more. */
export function choiceAt(input: RegisterInput, bpf: BpfFunction, node: number): Choice | undefined {
  const { blocks, graph, shape } = bpf;
  const [then, otherwise] = graph[node] as [number, number];
  if (then === otherwise || shape.merge[otherwise] === 1 || shape.loopHeader[otherwise] === 1)
    return undefined;
  const after = graph[otherwise]!;
  const goesBack = shape.place[then]! <= shape.place[otherwise]!;
  if (!shape.reducible || after.length !== 1 || after[0] !== then || goesBack) return undefined;
  const moves = movesIn(input, blocks[otherwise]!);
  return moves === undefined ? undefined : { to: then, moves };
}

/** The number that a block leaves in a register by its last instruction that writes it. */
export function constantAfter(insns: readonly Insn[], register: number): number | undefined {
  const last = insns.findLast((insn) => written(insn) === register || insn.op === 'call');
  if (last?.op !== 'alu' || last.alu !== 'mov' || 'reg' in last.src) return undefined;
  return last.src.imm;
}

/** Writes a choice: `jumps` has whether the jump is taken, and then a register stays `before`, where that is known. */
export function writeMove(
  frame: Frame,
  { bits, dst, src }: Move,
  { jumps, isWide, before }: { jumps: Local; isWide: boolean; before: number | undefined },
): void {
  const { code } = frame;
  const isTruth = 'imm' in src && before === 1 - src.imm && (before === 0 || before === 1);
  if (isTruth) {
    code.get(jumps);
    if (before === 0) code.op('i32.eqz');
    if (isWide) code.op('i64.extend_i32_u');
  } else {
    if (isWide) frame.get(dst);
    else frame.get32(dst);
    if ('imm' in src) {
      if (isWide) code.i64(bits === 64 ? src.imm : src.imm >>> 0);
      else code.i32(src.imm);
    } else if (isWide && bits === 64) {
      frame.get(src.reg);
    } else {
      frame.get32(src.reg);
      if (isWide) code.op('i64.extend_i32_u');
    }
    code.get(jumps);
    code.op('select');
  }
  if (isWide) frame.set(dst);
  else frame.set32(dst);
}
