/**
 * A control-flow graph and what its structure says: reverse postorder, immediate dominators (Cooper, Harvey
 * and Kennedy, "A Simple, Fast Dominance Algorithm", 2001), which blocks are loop headers or merges, and
 * whether it is reducible. Nodes are numbers, 0 is the entry; nothing recurses, so depth is no matter.
 */

/** Successors of each node; all nodes are reachable from 0. A node named twice counts as two edges. */
export type Graph = readonly (readonly number[])[];

export interface Shape {
  /** Nodes in reverse postorder, the entry first. */
  readonly order: readonly number[];
  /** The place of each node in `order`. */
  readonly place: Int32Array;
  /** Immediate dominator of each node; the entry is its own. */
  readonly idom: Int32Array;
  /** Whether an edge from a node that the target dominates comes back to it. */
  readonly loopHeader: Uint8Array;
  /** Whether two or more forward edges come in. */
  readonly merge: Uint8Array;
  /** Children in the dominator tree, in reverse postorder. */
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

function dominators(into: readonly number[][], order: readonly number[], place: Int32Array): Int32Array {
  const idom = new Int32Array(order.length).fill(-1);
  idom[0] = 0;
  const common = (a: number, b: number): number => {
    while (a !== b) {
      while (place[a]! > place[b]!) a = idom[a]!;
      while (place[b]! > place[a]!) b = idom[b]!;
    }
    return a;
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of order) {
      if (node === 0) continue;
      let found = -1;
      for (const from of into[node]!) {
        if (idom[from] !== -1) found = found === -1 ? from : common(from, found);
      }
      if (idom[node] !== found) {
        idom[node] = found;
        changed = true;
      }
    }
  }
  return idom;
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
  const idom = dominators(into, order, place);
  const children: number[][] = graph.map(() => []);
  for (const node of order) if (node !== 0) children[idom[node]!]!.push(node);
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
