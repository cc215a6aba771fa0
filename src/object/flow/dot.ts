/**
 * A program's control flow in the language of Graphviz, as `bpftool prog dump xlated PROG visual` writes it: one
 * cluster a function, slots counted from its start.
 */
import type { FlowBlock, FlowFunction } from './graph.ts';

/** Blocks are numbered behind the entry and the exit. */
const [entry, exit, firstBlock] = [0, 1, 2];

/** Characters that shape a record's label. */
const escaped = (text: string): string => text.replace(/[<>|&"{}\\]/g, '\\$&');

const blockName = (func: number, block: number): string => `fn_${func}_bb_${block}`;

function* blockLines(func: FlowFunction, index: number, number: number): Generator<string> {
  const block: FlowBlock = func.blocks[number]!;
  const name = blockName(index, number + firstBlock);
  const rows = block.insns.map(({ slot, opcode, text }) => {
    const place = String(slot - func.start).padStart(4);
    return `${place}: (${opcode}) ${escaped(text)}\\l\\`;
  });
  const [first = '', ...rest] = rows;
  yield `\t${name} [shape=record,style=filled,label="{${first}`;
  for (const row of rest) yield ` | ${row}`;
  yield '}"];';
  yield '';
}

function* edgeLines({ blocks }: FlowFunction, index: number): Generator<string> {
  const edge = (from: number, to: number): string =>
    `\t${blockName(index, from)}:s -> ${blockName(index, to)}:n [style="solid,bold", color=black, weight=10, constraint=true];`;
  if (blocks.length > 0) yield edge(entry, firstBlock);
  for (const [i, { edges, exits }] of blocks.entries()) {
    for (const { to } of edges) yield edge(i + firstBlock, to + firstBlock);
    if (exits) yield edge(i + firstBlock, exit);
  }
  yield `\t${blockName(index, entry)}:s -> ${blockName(index, exit)}:n [style="invis", constraint=true];`;
}

/** The lines of a graph. */
export function* dotLines(functions: readonly FlowFunction[]): Generator<string> {
  yield 'digraph "DOT graph for eBPF program" {';
  for (const [index, func] of functions.entries()) {
    yield `subgraph "cluster_${index}" {`;
    yield '\tstyle="dashed";';
    yield '\tcolor="black";';
    yield `\tlabel="func_${index} ()";`;
    yield `\t${blockName(index, entry)} [shape=Mdiamond,style=filled,label="ENTRY"];`;
    yield '';
    for (let number = 0; number < func.blocks.length; number++) yield* blockLines(func, index, number);
    yield `\t${blockName(index, exit)} [shape=Mdiamond,style=filled,label="EXIT"];`;
    yield '';
    yield* edgeLines(func, index);
    yield '}';
  }
  yield '}';
}
