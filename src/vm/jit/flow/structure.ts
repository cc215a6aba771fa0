/**
 * From a control-flow graph to WebAssembly's blocks and loops, as in Ramsey, "Beyond Relooper" (ICFP 2022):
 * each node's code contains the code of the nodes that it dominates; a node with several forward edges in
 * (a merge) follows a block that they leave, a loop header starts a loop. A graph that is not reducible
 * becomes one loop around a branch table instead, about half as fast.
 *
 * The caller writes the nodes; this file writes the frame around them. It keeps its own stack of what is left
 * to do: a program of a hundred thousand branches is nested deeper than JavaScript calls may be.
 */
import type { Code, Label, Local } from '../wasm/index.ts';
import type { Graph, Shape } from './graph.ts';

/** How a node ends. Its instructions are written by then, the condition (an i32) on the stack. */
export type Ending =
  /** `then` where the condition is not zero. */
  | { readonly kind: 'if'; readonly then: number; readonly otherwise: number }
  | { readonly kind: 'goto'; readonly to: number }
  /** To the target at the number that `push` puts on the stack, an i32, or beyond them to `otherwise`. */
  | {
      readonly kind: 'switch';
      readonly push: () => void;
      readonly targets: readonly number[];
      readonly otherwise: number;
    }
  /** The node has returned or trapped. */
  | { readonly kind: 'none' };

export interface Nodes {
  readonly graph: Graph;
  readonly shape: Shape;
  /** Whether a node ends in a `switch`; none does where the graph is not reducible. */
  isSwitch(node: number): boolean;
  /** Writes the instructions of a node, and tells its end. */
  write(node: number): Ending;
  /** Writes what is to be done each time an edge goes back. */
  goingBack(from: number, to: number): void;
  /** Writes what is to be done each time a loop is entered, in a graph that is reducible. */
  entering(header: number): void;
  /** Whether there is something else to be done each time an edge is taken, in such a graph; and writes that. */
  leaves(from: number, to: number): boolean;
  leaving(from: number, to: number): void;
}

export function writeStructured(code: Code, nodes: Nodes): void {
  if (nodes.shape.reducible) new Structure(code, nodes).write();
  else new Dispatcher(code, nodes).write();
}

class Structure {
  private readonly code: Code;
  private readonly nodes: Nodes;
  /** Where a branch to a node goes: the loop of a header, the block before a merge. */
  private readonly loops: (Label | undefined)[] = [];
  private readonly blocks: (Label | undefined)[] = [];
  private readonly left: (() => void)[] = [];

  constructor(code: Code, nodes: Nodes) {
    this.code = code;
    this.nodes = nodes;
  }

  write(): void {
    this.left.push(() => this.tree(0));
    for (let step = this.left.pop(); step !== undefined; step = this.left.pop()) step();
    // Every path has left the function before.
    this.code.op('unreachable');
  }

  /** The code of a node and of all that it dominates. */
  private tree(node: number): void {
    const { shape } = this.nodes;
    const isLoop = shape.loopHeader[node] === 1;
    if (isLoop) {
      this.nodes.entering(node);
      this.loops[node] = this.code.loop();
      this.left.push(() => this.code.end());
    }
    // The merge that comes last in order is outermost: what comes earlier may branch to it.
    const isSwitch = this.nodes.isSwitch(node);
    const merges = shape.children[node]!.filter((child) => isSwitch || shape.merge[child] === 1);
    for (const merge of [...merges].reverse()) {
      this.blocks[merge] = this.code.block();
      this.left.push(() => {
        this.code.end();
        this.tree(merge);
      });
    }
    const ending = this.nodes.write(node);
    switch (ending.kind) {
      case 'goto':
        this.branch(node, ending.to);
        break;
      case 'if':
        this.fork(node, ending.then, ending.otherwise);
        break;
      case 'switch':
        this.table(node, ending);
        break;
      case 'none':
        break;
    }
  }

  /** Where something is to be done on the way to a target, that stands behind a block of its own. */
  private table(node: number, { push, targets, otherwise }: Extract<Ending, { kind: 'switch' }>): void {
    const { code, nodes } = this;
    const labels = new Map<number, Label>();
    const onTheWay: number[] = [];
    for (const to of nodes.graph[node]!) {
      if (!this.isBack(node, to) && !nodes.leaves(node, to)) {
        labels.set(to, this.blocks[to]!);
      } else {
        labels.set(to, code.block());
        onTheWay.push(to);
      }
    }
    push();
    code.brTable(
      targets.map((to) => labels.get(to)!),
      labels.get(otherwise)!,
    );
    for (const to of onTheWay.reverse()) {
      code.end();
      this.branch(node, to);
    }
  }

  private isBack(from: number, to: number): boolean {
    return this.nodes.shape.place[to]! <= this.nodes.shape.place[from]!;
  }

  /** Goes on at `to`: by a branch, or by writing it here. */
  private branch(from: number, to: number): void {
    if (this.nodes.leaves(from, to)) this.nodes.leaving(from, to);
    if (this.isBack(from, to)) {
      this.nodes.goingBack(from, to);
      this.code.br(this.loops[to]!);
    } else if (this.blocks[to] !== undefined) {
      this.code.br(this.blocks[to]);
    } else {
      this.left.push(() => this.tree(to));
    }
  }

  private fork(from: number, then: number, otherwise: number): void {
    const { shape } = this.nodes;
    if (shape.merge[then] === 1 && !this.isBack(from, then) && !this.nodes.leaves(from, then)) {
      this.code.brIf(this.blocks[then]!);
      this.branch(from, otherwise);
      return;
    }
    // What stands in an arm never falls out of its end, so the other needs no `else`.
    this.code.if();
    this.left.push(() => {
      this.code.end();
      this.branch(from, otherwise);
    });
    this.branch(from, then);
  }
}

class Dispatcher {
  private readonly code: Code;
  private readonly nodes: Nodes;
  private readonly next: Local;

  constructor(code: Code, nodes: Nodes) {
    this.code = code;
    this.nodes = nodes;
    this.next = code.local('next', 'i32');
  }

  write(): void {
    const { code } = this;
    const { order, place } = this.nodes.shape;
    const again = code.loop();
    const labels = order.map(() => code.block()).reverse();
    code.get(this.next);
    code.brTable(labels, labels[0]!);
    for (const node of order) {
      code.end();
      const ending = this.nodes.write(node);
      const go = (to: number): void => {
        if (place[to]! <= place[node]!) this.nodes.goingBack(node, to);
        code.i32(place[to]!);
        code.set(this.next);
        code.br(again);
      };
      if (ending.kind === 'if') {
        code.if();
        go(ending.then);
        code.end();
        go(ending.otherwise);
      } else if (ending.kind === 'goto') {
        go(ending.to);
      }
    }
    code.end();
    code.op('unreachable');
  }
}
