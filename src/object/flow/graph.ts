/**
 * The control flow of a program: its functions, the blocks of each, and which goes on to which. Jumps that lead
 * nowhere, as a broken program may have, are left out.
 */
import { targetOf } from '../../asm/targets.ts';
import type { ListedInsn } from '../listing.ts';

/** How a block goes on: to the next instruction, or by the jump at its end. */
export interface FlowEdge {
  readonly to: number;
  /** 'next' and 'taken' are the two ways of a condition; 'only' is one without. */
  readonly way: 'only' | 'next' | 'taken';
}

export interface FlowBlock {
  readonly insns: readonly ListedInsn[];
  /** Indexes of blocks of the same function. */
  readonly edges: readonly FlowEdge[];
  /** Whether it ends the function. */
  readonly exits: boolean;
}

export interface FlowFunction {
  /** Its first slot. */
  readonly start: number;
  readonly blocks: readonly FlowBlock[];
}

/** Where instructions of a function go, by slot. */
function successors({ insn, slot }: ListedInsn): { next: boolean; target: number | undefined } {
  const to = targetOf(insn);
  const target = to === undefined || to.isFunction ? undefined : slot + 1 + to.off;
  const next = insn.op !== 'exit' && insn.op !== 'ja';
  return { next, target };
}

const width = ({ insn }: ListedInsn): number => (insn.op === 'ldimm64' ? 2 : 1);

/** Instructions by function: one begins at the first, and where something is called. */
function splitFunctions(insns: readonly ListedInsn[]): ListedInsn[][] {
  const starts = new Set([0]);
  for (const { insn, slot } of insns) {
    const to = targetOf(insn);
    if (to?.isFunction) starts.add(slot + 1 + to.off);
  }
  const functions: ListedInsn[][] = [];
  for (const insn of insns) {
    if (starts.has(insn.slot) || functions.length === 0) functions.push([]);
    functions.at(-1)!.push(insn);
  }
  return functions;
}

function splitBlocks(insns: readonly ListedInsn[]): FlowFunction {
  const slots = new Set(insns.map(({ slot }) => slot));
  const leaders = new Set<number>(insns.slice(0, 1).map(({ slot }) => slot));
  for (const each of insns) {
    const { next, target } = successors(each);
    if (target !== undefined && slots.has(target)) leaders.add(target);
    if (target !== undefined || !next) leaders.add(each.slot + width(each));
  }
  const groups: ListedInsn[][] = [];
  const blockAt = new Map<number, number>();
  for (const each of insns) {
    if (leaders.has(each.slot)) {
      blockAt.set(each.slot, groups.length);
      groups.push([]);
    }
    groups.at(-1)!.push(each);
  }
  const blocks = groups.map((group): FlowBlock => {
    const last = group.at(-1)!;
    const { next, target } = successors(last);
    const after = next ? blockAt.get(last.slot + width(last)) : undefined;
    const jumped = target === undefined ? undefined : blockAt.get(target);
    const isCondition = next && target !== undefined;
    const edges: FlowEdge[] = [];
    if (after !== undefined) edges.push({ to: after, way: isCondition ? 'next' : 'only' });
    if (jumped !== undefined) edges.push({ to: jumped, way: isCondition ? 'taken' : 'only' });
    return { insns: group, edges, exits: edges.length === 0 };
  });
  return { start: insns[0]?.slot ?? 0, blocks };
}

/** The control flow of a listed program, by function in order of address. */
export function flowOf(insns: readonly ListedInsn[]): FlowFunction[] {
  return splitFunctions(insns).map(splitBlocks);
}
