/**
 * Validating BTF: every id and string offset in range, sizes that exist, and no type inside itself. What is
 * checked here, nobody checks again. It works flat on the type section, as opening the kernel's BTF would
 * otherwise spend its time making objects.
 */
import { badBtf, kindOf, layout, typeSize, vlenOf } from './layout.ts';
import type { BtfKind } from './types.ts';

const intSizes = [1, 2, 4, 8, 16];
const enumSizes = [1, 2, 4, 8];
const floatSizes = [2, 4, 8, 12, 16];
/** How deep types may lie in each other by value. vmlinux reaches about 20, Linux resolves 32 levels. */
const maxNesting = 256;

/** Checks the fields of every type. `offsets` are the bytes in `words` of the types, by id; [0] unused. */
export function validate(words: Uint32Array, offsets: readonly number[], stringsLength: number): void {
  const count = offsets.length;
  const u32 = (at: number): number => words[at >> 2]!;
  let id = 0;
  const fail = (message: string): never => {
    throw badBtf(message, `type ${id}`);
  };
  const name = (at: number): void => {
    if (u32(at) >= stringsLength) fail(`its name is at ${u32(at)}, of ${stringsLength} bytes of strings`);
  };
  const type = (at: number): void => {
    if (u32(at) >= count) fail(`it refers to type ${u32(at)}, of ${count}`);
  };
  const size = (at: number, sizes: readonly number[]): void => {
    if (!sizes.includes(u32(at + 8))) fail(`${kindOf(u32(at + 4))} of ${u32(at + 8)} bytes`);
  };
  const each = (at: number, check: (at: number) => void): void => {
    const info = u32(at + 4);
    const step = layout[kindOf(info)!].each;
    for (let i = 0, to = vlenOf(info); i < to; i++) check(at + typeSize + i * step);
  };
  const named = (at: number): void => {
    name(at);
    type(at + 4);
  };
  const variable = (at: number): void => {
    type(at);
    const kind = u32(at) === 0 ? 'void' : kindOf(u32(offsets[u32(at)]! + 4));
    // `.ksyms` has functions too.
    if (kind !== 'var' && kind !== 'func') fail(`type ${u32(at)} in it is no variable`);
  };
  for (id = 1; id < count; id++) {
    const at = offsets[id]!;
    name(at);
    const kind = kindOf(u32(at + 4))!;
    switch (kind) {
      case 'int': {
        size(at, intSizes);
        const data = u32(at + 12);
        const end = (data & 0xff) + ((data >>> 16) & 0xff);
        if ((data & 0xff) === 0 || end > u32(at + 8) * 8) fail(`bits up to ${end} in ${u32(at + 8)} bytes`);
        break;
      }
      case 'array':
        type(at + 12);
        type(at + 16);
        break;
      case 'struct':
      case 'union':
        each(at, named);
        break;
      case 'enum':
      case 'enum64':
        size(at, enumSizes);
        each(at, name);
        break;
      case 'funcProto':
        type(at + 8);
        each(at, named);
        break;
      case 'datasec':
        each(at, variable);
        break;
      case 'float':
        size(at, floatSizes);
        break;
      case 'fwd':
      case 'void':
        break;
      default:
        type(at + 8);
    }
  }
}

/** Where a type's contents by value are: in its `type` field, in its elements, or nowhere. */
const holds: Partial<Record<BtfKind, 'one' | 'members'>> = {
  struct: 'members',
  union: 'members',
  array: 'one',
  typedef: 'one',
  volatile: 'one',
  const: 'one',
  restrict: 'one',
  var: 'one',
  typeTag: 'one',
};

/** What `checkNesting` knows of a type: nothing, that it is being walked, or that it is done. */
const [unseen, open, done] = [0, 1, 2];

/**
 * Refuses a type that contains itself by value (a struct through its members, an array through its element,
 * a typedef through what it names), or others too deeply. Pointers and functions may go round: they end the
 * search. Afterwards plain loops and recursion over contents are safe. It walks depth-first with a
 * stack of its own: a hostile chain is as long as the file.
 */
export function checkNesting(words: Uint32Array, offsets: readonly number[]): void {
  const count = offsets.length;
  const state = new Uint8Array(count);
  const height = new Uint16Array(count);
  state[0] = done;
  /** The `index`th type inside `id`, -1 after the last. */
  const inside = (id: number, index: number): number => {
    const at = offsets[id]!;
    const info = words[(at + 4) >> 2]!;
    const kind = kindOf(info)!;
    if (holds[kind] === undefined) return -1;
    if (holds[kind] === 'members') {
      return index < vlenOf(info) ? words[(at + typeSize + index * 12 + 4) >> 2]! : -1;
    }
    if (index > 0) return -1;
    return words[(kind === 'array' ? at + typeSize : at + 8) >> 2]!;
  };

  const path: number[] = [];
  const next: number[] = [];
  const enter = (id: number): void => {
    state[id] = open;
    path.push(id);
    next.push(0);
  };
  for (let root = 1; root < count; root++) {
    if (state[root] === unseen) enter(root);
    while (path.length > 0) {
      const id = path[path.length - 1]!;
      const child = inside(id, next[next.length - 1]!);
      if (child === -1) {
        state[id] = done;
        path.pop();
        next.pop();
      } else if (state[child] === open) {
        throw badBtf('it contains itself', `type ${child}`);
      } else if (state[child] === unseen) {
        // Comes back to this child when it is done.
        enter(child);
      } else {
        height[id] = Math.max(height[id]!, height[child]! + 1);
        if (height[id]! > maxNesting)
          throw badBtf(`more than ${maxNesting} types lie in each other`, `type ${id}`);
        next[next.length - 1]!++;
      }
    }
  }
}
