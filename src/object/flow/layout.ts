/**
 * Places for the blocks of a function: layers from top to bottom, so that jumps go downwards but for those of
 * loops, and within a layer an order with few crossings (Sugiyama, 1981). Edges that skip layers pass through
 * points of their own. All work is linear in what is laid out, times a fixed number of sweeps.
 */
import type { FlowFunction } from './graph.ts';

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A block's top left corner. */
export interface PlacedBlock extends Size, Point {}

export interface PlacedEdge {
  readonly from: number;
  readonly to: number;
  readonly way: 'only' | 'next' | 'taken';
  /** Up again, to a block that is above or the same. */
  readonly isBack: boolean;
  readonly points: readonly Point[];
}

export interface Layout extends Size {
  readonly blocks: readonly PlacedBlock[];
  readonly edges: readonly PlacedEdge[];
}

const gap = { x: 28, y: 36, back: 14 } as const;
const sweeps = 8;
/** Points of edges that skip layers; edges beyond are drawn straight. */
const maxBends = 20_000;

/** A block, or a bend of an edge. */
interface Node {
  readonly layer: number;
  readonly width: number;
  readonly up: number[];
  readonly down: number[];
  x: number;
}

/** Blocks in an order in which each stands behind those that lead to it, but for loops. */
function depthFirst({ blocks }: FlowFunction): {
  order: number[];
  isBack: (from: number, to: number) => boolean;
} {
  const state = new Uint8Array(blocks.length);
  const back = new Set<number>();
  const finished: number[] = [];
  for (let root = 0; root < blocks.length; root++) {
    if (state[root] !== 0) continue;
    const path = [{ block: root, next: 0 }];
    state[root] = 1;
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const edge = blocks[top.block]!.edges[top.next++];
      if (edge === undefined) {
        state[top.block] = 2;
        finished.push(top.block);
        path.pop();
      } else if (state[edge.to] === 0) {
        state[edge.to] = 1;
        path.push({ block: edge.to, next: 0 });
      } else if (state[edge.to] === 1) {
        back.add(top.block * blocks.length + edge.to);
      }
    }
  }
  return { order: finished.reverse(), isBack: (from, to) => back.has(from * blocks.length + to) };
}

/** The layer of each block: one below the lowest that leads to it. */
function layersOf(func: FlowFunction, walk: ReturnType<typeof depthFirst>): Uint32Array {
  const layers = new Uint32Array(func.blocks.length);
  for (const from of walk.order) {
    for (const { to } of func.blocks[from]!.edges) {
      if (!walk.isBack(from, to)) layers[to] = Math.max(layers[to]!, layers[from]! + 1);
    }
  }
  return layers;
}

/** The numbers that never fall and differ least from these (pool adjacent violators). */
function nearestAscending(values: readonly number[]): number[] {
  const pools: { sum: number; count: number }[] = [];
  for (const value of values) {
    let pool = { sum: value, count: 1 };
    for (
      let last = pools.at(-1);
      last !== undefined && last.sum / last.count > pool.sum / pool.count;
      last = pools.at(-1)
    ) {
      pool = { sum: pool.sum + last.sum, count: pool.count + last.count };
      pools.pop();
    }
    pools.push(pool);
  }
  return pools.flatMap(({ sum, count }) => Array.from({ length: count }, () => sum / count));
}

class Placement {
  readonly nodes: Node[] = [];
  readonly layers: number[][] = [];

  add(layer: number, width: number): number {
    const index = this.nodes.length;
    this.nodes.push({ layer, width, up: [], down: [], x: 0 });
    (this.layers[layer] ??= []).push(index);
    return index;
  }

  connect(upper: number, lower: number): void {
    this.nodes[upper]!.down.push(lower);
    this.nodes[lower]!.up.push(upper);
  }

  /** Puts the nodes of each layer in the order of what they are connected to, from above and from below in turns. */
  order(): void {
    this.#pack();
    for (let sweep = 0; sweep < sweeps; sweep++) {
      const isDown = sweep % 2 === 0;
      const layers = isDown ? this.layers : [...this.layers].reverse();
      for (const layer of layers) {
        const wish = new Map(layer.map((index) => [index, this.#wish(index, isDown)]));
        layer.sort((a, b) => wish.get(a)! - wish.get(b)!);
        this.#packLayer(layer);
      }
    }
    for (let sweep = 0; sweep < sweeps; sweep++) this.#relax(sweep % 2 === 0);
  }

  /** The middle of a node's neighbours above or below. */
  #wish(index: number, isDown: boolean): number {
    const node = this.nodes[index]!;
    const near = isDown ? node.up : node.down;
    if (near.length === 0) return node.x + node.width / 2;
    const middles = near.map((each) => this.nodes[each]!.x + this.nodes[each]!.width / 2);
    return middles.reduce((sum, each) => sum + each, 0) / middles.length;
  }

  #pack(): void {
    for (const layer of this.layers) this.#packLayer(layer);
  }

  #packLayer(layer: readonly number[]): void {
    let x = 0;
    for (const index of layer) {
      this.nodes[index]!.x = x;
      x += this.nodes[index]!.width + gap.x;
    }
  }

  /** Moves nodes as near to where they wish to be as their order and the gaps let them. */
  #relax(isDown: boolean): void {
    const layers = isDown ? this.layers : [...this.layers].reverse();
    for (const layer of layers) {
      let room = 0;
      const offsets = layer.map((index) => {
        const offset = room;
        room += this.nodes[index]!.width + gap.x;
        return offset;
      });
      const wishes = layer.map(
        (index, i) => this.#wish(index, isDown) - this.nodes[index]!.width / 2 - offsets[i]!,
      );
      for (const [i, x] of nearestAscending(wishes).entries()) this.nodes[layer[i]!]!.x = x + offsets[i]!;
    }
  }

  /** Moves all so that the leftmost starts at 0; how wide it is. */
  settle(): number {
    const start = this.nodes.reduce((least, { x }) => Math.min(least, x), Number.POSITIVE_INFINITY);
    let width = 0;
    for (const node of this.nodes) {
      node.x -= start;
      width = Math.max(width, node.x + node.width);
    }
    return width;
  }
}

/** Connects blocks of layers that are not neighbours by bends; the nodes that an edge passes. */
function route(place: Placement, from: number, to: number): number[] {
  const passed: number[] = [];
  let upper = from;
  const [start, end] = [place.nodes[from]!.layer, place.nodes[to]!.layer];
  for (let layer = start + 1; layer < end && place.nodes.length < maxBends; layer++) {
    const bend = place.add(layer, 1);
    place.connect(upper, bend);
    passed.push(bend);
    upper = bend;
  }
  place.connect(upper, to);
  return passed;
}

/** Lays out a function whose blocks have these sizes. */
export function layOut(func: FlowFunction, sizes: readonly Size[]): Layout {
  const walk = depthFirst(func);
  const layers = layersOf(func, walk);
  const place = new Placement();
  for (const [i, { width }] of sizes.entries()) place.add(layers[i]!, width);
  const edges = func.blocks.flatMap(({ edges }, from) =>
    edges.map(({ to, way }) => {
      const isBack = walk.isBack(from, to);
      return { from, to, way, isBack, passed: isBack ? [] : route(place, from, to) };
    }),
  );
  place.order();
  const width = place.settle();
  const heights = place.layers.map((layer) =>
    layer.reduce((most, i) => Math.max(most, sizes[i]?.height ?? 0), 0),
  );
  const tops: number[] = [];
  let height = 0;
  for (const each of heights) {
    tops.push(height);
    height += each + gap.y;
  }
  const blocks = sizes.map((size, i) => ({ ...size, x: place.nodes[i]!.x, y: tops[layers[i]!]! }));
  let lanes = 0;
  const placed = edges.map(({ passed, ...edge }): PlacedEdge => {
    const [a, b] = [blocks[edge.from]!, blocks[edge.to]!];
    const start = {
      x: a.x + a.width * (edge.way === 'taken' ? 0.7 : edge.way === 'next' ? 0.3 : 0.5),
      y: a.y + a.height,
    };
    const end = { x: b.x + b.width / 2, y: b.y };
    if (edge.isBack) {
      const lane = width + gap.back * ++lanes;
      const [below, above] = [start.y + gap.y / 3, end.y - gap.y / 3];
      const points = [start, { x: start.x, y: below }, { x: lane, y: below }, { x: lane, y: above }];
      return { ...edge, points: [...points, { x: end.x, y: above }, end] };
    }
    const bends = passed.flatMap((index) => {
      const node = place.nodes[index]!;
      const top = tops[node.layer]!;
      return [
        { x: node.x, y: top },
        { x: node.x, y: top + heights[node.layer]! },
      ];
    });
    return { ...edge, points: [start, ...bends, end] };
  });
  return { blocks, edges: placed, width: width + gap.back * (lanes + 1), height };
}
