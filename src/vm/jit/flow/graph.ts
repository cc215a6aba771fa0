/**
 * A control-flow graph and what its structure says: reverse postorder, immediate dominators, which blocks are
 * loop headers or merges, and whether it is reducible. Nodes are numbers, 0 is the entry; nothing recurses, so
 * depth is no matter.
 */

/** Successors of each node; all nodes are reachable from 0. A node named twice counts as two edges. */
export type Graph = readonly (readonly number[])[];

export interface Shape {
  /** Nodes in reverse postorder, the entry first. */
  readonly order: readonly number[];
  /** The place of each node in `order`. */
  readonly place: Int32Array;
  /** Immediate dominator of each node where the graph is reducible; the entry is its own. */
  readonly idom: Int32Array;
  /** Whether an edge from a node that it dominates comes back to it; of use where the graph is reducible. */
  readonly loopHeader: Uint8Array;
  /** Whether two or more forward edges come in. */
  readonly merge: Uint8Array;
  /** Children in the tree of `idom`, in reverse postorder. */
  readonly children: readonly (readonly number[])[];
  /** Whether each edge that goes back goes to a dominator of where it starts. */
  readonly reducible: boolean;
}

function reversePostorder(graph: Graph): number[] {
  const visited = new Uint8Array(graph.length);
  const postorder: number[] = [];
  const path = [0];
  // The successor of each node on the path to look at next.
  const next = new Int32Array(graph.length);
  visited[0] = 1;
  while (path.length > 0) {
    const node = path.at(-1)!;
    const successor = graph[node]![next[node]!++];
    if (successor === undefined) {
      postorder.push(node);
      path.pop();
    } else if (visited[successor] === 0) {
      visited[successor] = 1;
      path.push(successor);
    }
  }
  return postorder.reverse();
}

/**
 * Last in order first: then the dominators of two neighbours in the list are near each other in the tree,
 * also where thousands of tests in a row leave to one place.
 */
function predecessors(graph: Graph, order: readonly number[]): number[][] {
  const into: number[][] = graph.map(() => []);
  for (let i = order.length - 1; i >= 0; i--) {
    const node = order[i]!;
    for (const successor of graph[node]!) into[successor]!.push(node);
  }
  return into;
}

/**
 * Dominators by forward edges alone: what they are where the graph is reducible. The nearest common dominator
 * of two nodes is found by jumps up the tree (Myers, "An Applicative Random-Access Stack", 1983), in the
 * logarithm of its depth.
 */
function forwardDominators(
  into: readonly number[][],
  order: readonly number[],
  place: Int32Array,
): Int32Array {
  const idom = new Int32Array(order.length);
  const depth = new Int32Array(order.length);
  const jump = new Int32Array(order.length);
  const common = (one: number, other: number): number => {
    let [a, b] = depth[one]! >= depth[other]! ? [one, other] : [other, one];
    while (depth[a]! > depth[b]!) a = depth[jump[a]!]! >= depth[b]! ? jump[a]! : idom[a]!;
    while (a !== b) {
      const far = jump[a] !== jump[b];
      a = far ? jump[a]! : idom[a]!;
      b = far ? jump[b]! : idom[b]!;
    }
    return a;
  };
  for (const node of order) {
    if (node === 0) continue;
    let found = -1;
    for (const from of into[node]!) {
      if (place[from]! < place[node]!) found = found === -1 ? from : common(from, found);
    }
    idom[node] = found;
    depth[node] = depth[found]! + 1;
    const near = jump[found]!;
    const far = jump[near]!;
    jump[node] = depth[found]! - depth[near]! === depth[near]! - depth[far]! ? far : found;
  }
  return idom;
}

function treeOf(idom: Int32Array, order: readonly number[]): number[][] {
  const children: number[][] = order.map(() => []);
  for (const node of order) if (node !== 0) children[idom[node]!]!.push(node);
  return children;
}

/** Tells of each pair of nodes, at once, whether one dominates the other: by intervals of the tree's walk. */
function dominance(children: readonly (readonly number[])[]): (a: number, b: number) => boolean {
  const enter = new Int32Array(children.length);
  const leave = new Int32Array(children.length);
  let clock = 0;
  const path = [0];
  const next = new Int32Array(children.length);
  enter[0] = clock++;
  while (path.length > 0) {
    const node = path.at(-1)!;
    const child = children[node]![next[node]!++];
    if (child === undefined) {
      leave[node] = clock++;
      path.pop();
    } else {
      enter[child] = clock++;
      path.push(child);
    }
  }
  return (a, b) => enter[a]! <= enter[b]! && leave[a]! >= leave[b]!;
}

export function shapeOf(graph: Graph): Shape {
  const order = reversePostorder(graph);
  const place = new Int32Array(graph.length);
  order.forEach((node, i) => {
    place[node] = i;
  });
  const into = predecessors(graph, order);
  const idom = forwardDominators(into, order, place);
  const children = treeOf(idom, order);
  const dominates = dominance(children);
  const loopHeader = new Uint8Array(graph.length);
  const merge = new Uint8Array(graph.length);
  let reducible = true;
  for (const node of order) {
    let forward = 0;
    for (const from of into[node]!) {
      if (place[from]! < place[node]!) forward++;
      else if (dominates(node, from)) loopHeader[node] = 1;
      else reducible = false;
    }
    if (forward > 1) merge[node] = 1;
  }
  return { order, place, idom, loopHeader, merge, children, reducible };
}
