/**
 * Validating BTF: every id and string offset in range, sizes that exist, and no type inside itself. What is
 * checked here, nobody checks again. It works flat on the words of the type section, as opening the kernel's BTF
 * would otherwise spend its time making objects.
 */
import { badBtf, eachWords, loopOf, placeOf, vlenOf } from './layout.ts';
import { type BtfKind, btfKinds } from './types.ts';

const intSizes = [1, 2, 4, 8, 16];
const enumSizes = [1, 2, 4, 8];
const floatSizes = [2, 4, 8, 12, 16];
/** How deep types may lie in each other by value. vmlinux reaches about 20, Linux resolves 32 levels. */
const maxNesting = 256;

/** The types of one BTF, flat. Those of its base, where it has one, come before them. */
export interface Records {
  /** The type section. */
  readonly words: Uint32Array;
  /** Where the record of each type starts in `words`; the first is type `firstId`'s. */
  readonly starts: Uint32Array;
  /** The number of each type's kind. */
  readonly kinds: Uint8Array;
  readonly firstId: number;
  /** Bytes of all strings, the base's with them. */
  readonly stringsLength: number;
  /** Of a type of the base. */
  readonly baseKind: (id: number) => BtfKind;
}

const number = (kind: BtfKind): number => btfKinds.indexOf(kind);
const [int, array, func, variable] = [number('int'), number('array'), number('func'), number('var')];

/** What is in the elements of a type. */
const elements = { none: 0, name: 1, nameAndType: 2, variable: 3 } as const;

const elementOf = Uint8Array.from(btfKinds, (kind) => {
  if (kind === 'struct' || kind === 'union' || kind === 'funcProto') return elements.nameAndType;
  if (kind === 'enum' || kind === 'enum64') return elements.name;
  return kind === 'datasec' ? elements.variable : elements.none;
});

/** The sizes that there are of a kind, where not every size is one: a bit for each. */
const sizesOf = Uint32Array.from(btfKinds, (kind) => {
  const sizes =
    kind === 'int'
      ? intSizes
      : kind === 'enum' || kind === 'enum64'
        ? enumSizes
        : kind === 'float'
          ? floatSizes
          : [];
  return sizes.reduce((bits, size) => bits | (1 << size), 0);
});

/** Kinds whose third word is a type. */
const refers = Uint8Array.from(btfKinds, (kind) =>
  Number(
    [
      ...['ptr', 'typedef', 'volatile', 'const', 'restrict'],
      ...['func', 'funcProto', 'var', 'declTag', 'typeTag'],
    ].includes(kind),
  ),
);

/**
 * Checks the fields of every type.
 * @throws {SkepError} code 'btf', with the type and the place of its record
 */
export function validate(records: Records): void {
  const { words, starts, kinds, firstId, stringsLength } = records;
  const count = firstId + starts.length;
  for (let index = 0; index < starts.length; index++) {
    const at = starts[index]!;
    const kind = kinds[index]!;
    if (words[at]! >= stringsLength) failName(records, index, at);
    if (refers[kind] === 1 && words[at + 2]! >= count) failType(records, index, at + 2);
    if (sizesOf[kind] !== 0) {
      const size = words[at + 2]!;
      if (size > 16 || (sizesOf[kind]! & (1 << size)) === 0)
        fail(records, index, `${btfKinds[kind]} of ${size} bytes`);
    }
    const element = elementOf[kind]!;
    if (element === elements.none) {
      if (kind === int) checkInt(records, index, at);
      else if (kind === array) {
        if (words[at + 3]! >= count) failType(records, index, at + 3);
        if (words[at + 4]! >= count) failType(records, index, at + 4);
      }
      continue;
    }
    const step = eachWords[kind]!;
    for (let each = at + 3, end = each + vlenOf(words[at + 1]!) * step; each < end; each += step) {
      if (element === elements.variable) checkVariable(records, index, each);
      else if (words[each]! >= stringsLength) failName(records, index, each);
      else if (element === elements.nameAndType && words[each + 1]! >= count)
        failType(records, index, each + 1);
    }
  }
}

function fail({ firstId, starts }: Records, index: number, message: string): never {
  throw badBtf(message, placeOf(firstId + index, starts[index]!));
}

function failName(records: Records, index: number, at: number): never {
  const { words, stringsLength } = records;
  return fail(records, index, `its name is at ${words[at]}, of ${stringsLength} bytes of strings`);
}

function failType(records: Records, index: number, at: number): never {
  const { words, firstId, starts } = records;
  return fail(records, index, `it refers to type ${words[at]}, of ${firstId + starts.length}`);
}

function checkInt(records: Records, index: number, at: number): void {
  const [size, data] = [records.words[at + 2]!, records.words[at + 3]!];
  const end = (data & 0xff) + ((data >>> 16) & 0xff);
  if ((data & 0xff) === 0 || end > size * 8) fail(records, index, `bits up to ${end} in ${size} bytes`);
}

/** What is in a section is a variable; in `.ksyms` there are functions too. */
function checkVariable(records: Records, index: number, at: number): void {
  const { words, kinds, firstId } = records;
  const id = words[at]!;
  if (id >= firstId + kinds.length) failType(records, index, at);
  const kind = id < firstId ? number(records.baseKind(id)) : kinds[id - firstId]!;
  if (kind !== variable && kind !== func) fail(records, index, `type ${id} in it is no variable`);
}

/**
 * Where a type's contents by value are: nowhere (0), in its third word (1), its fourth (2), in its members (3), in its
 * variables (4).
 */
const holds = Uint8Array.from(btfKinds, (kind) => {
  if (kind === 'struct' || kind === 'union') return 3;
  if (kind === 'datasec') return 4;
  if (kind === 'array') return 2;
  return ['typedef', 'volatile', 'const', 'restrict', 'var', 'typeTag'].includes(kind) ? 1 : 0;
});

/** What `checkNesting` knows of a type: nothing, that it is being walked, or that it is done. */
const [unseen, open, done] = [0, 1, 2];

/**
 * Refuses a type that contains itself by value (a struct through its members, an array through its element,
 * a typedef through what it names), or others too deeply. Pointers and functions may go round: they end the
 * search, and so do types of a base, which cannot refer to one that comes behind it. Afterwards plain loops and
 * recursion over contents are safe. It walks depth-first with a stack of its own: a hostile chain is as long as the
 * file.
 */
export function checkNesting({ words, starts, kinds, firstId }: Records): void {
  const count = starts.length;
  const state = new Uint8Array(count);
  // What holds nothing, as most types, is done with.
  for (let i = 0; i < count; i++) if (holds[kinds[i]!] === 0) state[i] = done;
  const height = new Uint16Array(count);
  const path: number[] = [];
  const next: number[] = [];
  for (let root = 0; root < count; root++) {
    if (state[root] !== unseen) continue;
    state[root] = open;
    path.push(root);
    next.push(0);
    while (path.length > 0) {
      const top = path.length - 1;
      const index = path[top]!;
      const at = starts[index]!;
      const held = holds[kinds[index]!]!;
      const step = next[top]!;
      if (step >= (held >= 3 ? vlenOf(words[at + 1]!) : 1)) {
        state[index] = done;
        path.pop();
        next.pop();
        continue;
      }
      // The type is the second of a member's three words, the first of a variable's.
      const place = held === 3 ? at + 4 + step * 3 : held === 4 ? at + 3 + step * 3 : at + 1 + held;
      const child = words[place]! - firstId;
      if (child >= 0 && state[child] === open) throw loopOf(placeOf(firstId + child, starts[child]!));
      if (child >= 0 && state[child] === unseen) {
        // Comes back to this child when it is done.
        state[child] = open;
        path.push(child);
        next.push(0);
        continue;
      }
      const inner = child < 0 ? 0 : height[child]!;
      if (inner + 1 > height[index]!) height[index] = inner + 1;
      if (inner + 1 > maxNesting)
        throw badBtf(
          `more than ${maxNesting} types lie in each other`,
          placeOf(firstId + index, starts[index]!),
        );
      next[top] = step + 1;
    }
  }
}
