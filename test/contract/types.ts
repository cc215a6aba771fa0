/** Types that BPF_BTF_LOAD takes, and those that it refuses though they can be read. */
import type { Errno, System } from '../../src/uapi/index.ts';
import { type ContractTest, type Row, tableTest, u32 } from './harness.ts';
import { loadBtf } from './objects.ts';

const text = '\0int\0a\0.data\0 9\0';
const [A, DATA, NO_NAME, END_OF_INT] = [5, 7, 13, 4];
const kinds = { ptr: 2, array: 3, struct: 4, union: 5, enum: 6, fwd: 7, typedef: 8, const: 10 } as const;
const others = { func: 12, proto: 13, var: 14, datasec: 15, float: 16, declTag: 17, typeTag: 18 } as const;
const FLAG = 0x80000000;

const info = (kind: keyof typeof kinds | keyof typeof others, vlen = 0, flag = 0): number =>
  (({ ...kinds, ...others })[kind] << 24) + vlen + flag;

/** BTF whose type 1 is int; types 2 and on are `words`. */
function btfOf(words: readonly number[]): Uint8Array {
  const types = [1, 1 << 24, 4, 32, ...words];
  const strings = new TextEncoder().encode(text);
  const header = [24, 0, types.length * 4, types.length * 4, strings.length];
  return Uint8Array.of(
    0x9f,
    0xeb,
    1,
    0,
    ...[...header, ...types].flatMap((word) => [...u32(word)]),
    ...strings,
  );
}

const variable = [A, info('var'), 1, 1];
const alias = [A, info('typedef'), 1];

const cases: readonly (readonly [string, 'ok' | Errno, readonly number[]])[] = [
  ['a pointer', 'ok', [0, info('ptr'), 1]],
  ['a pointer with a name', 'EINVAL', [A, info('ptr'), 1]],
  ['a pointer to itself', 'EEXIST', [0, info('ptr'), 2]],
  ['a pointer with elements', 'EINVAL', [0, info('ptr', 1), 1]],
  ['a typedef', 'ok', alias],
  ['a typedef without a name', 'EINVAL', [0, info('typedef'), 1]],
  ['a typedef whose name is no identifier', 'EINVAL', [NO_NAME, info('typedef'), 1]],
  ['a name that is empty', 'EINVAL', [END_OF_INT, info('struct'), 0]],
  ['const with a flag', 'EINVAL', [0, info('const', 0, FLAG), 1]],
  ['bits of info that mean nothing', 'EINVAL', [0, info('const') + (1 << 16), 1]],
  ['an array', 'ok', [0, info('array'), 0, 1, 1, 4]],
  ['an array with a size', 'EINVAL', [0, info('array'), 16, 1, 1, 4]],
  ['an array of 8 GiB', 'EINVAL', [0, info('array'), 0, 1, 1, 0x7fffffff]],
  ['an array of nothing', 'EINVAL', [0, info('array'), 0, 0, 1, 4]],
  ['an array whose index is a pointer', 'EINVAL', [0, info('ptr'), 1, 0, info('array'), 0, 1, 2, 4]],
  ['a struct', 'ok', [A, info('struct', 1), 4, A, 1, 0]],
  ['a member behind the end', 'EINVAL', [A, info('struct', 1), 4, A, 1, 32]],
  ['a member that is larger than its struct', 'EINVAL', [A, info('struct', 1), 2, A, 1, 0]],
  ['members in another order', 'EINVAL', [A, info('struct', 2), 8, A, 1, 32, 0, 1, 0]],
  ['a bitfield', 'ok', [A, info('struct', 1, FLAG), 4, A, 1, 3 * 2 ** 24]],
  ['a bitfield of 33 bits of an int', 'EINVAL', [A, info('struct', 1, FLAG), 8, A, 1, 33 * 2 ** 24]],
  ['a member of a union behind its start', 'EINVAL', [A, info('union', 1), 8, A, 1, 8]],
  ['an enum', 'ok', [A, info('enum', 1), 4, A, 1]],
  ['an enumerator without a name', 'EINVAL', [A, info('enum', 1), 4, 0, 1]],
  ['a struct that is to come', 'ok', [A, info('fwd'), 0]],
  ['a struct that is to come, without a name', 'EINVAL', [0, info('fwd'), 0]],
  ['a function', 'ok', [0, info('proto', 1), 0, A, 1, A, info('func', 1), 2]],
  [
    'a function with a parameter without a name',
    'EINVAL',
    [0, info('proto', 1), 0, 0, 1, A, info('func'), 2],
  ],
  ['a function that is extern', 'EINVAL', [0, info('proto'), 0, A, info('func', 2), 2]],
  ['a function that is an int', 'EINVAL', [A, info('func'), 1]],
  ['more parameters, without a name', 'ok', [0, info('proto', 1), 0, 0, 0, A, info('func'), 2]],
  ['more parameters, with a name', 'EINVAL', [0, info('proto', 1), 0, A, 0]],
  ['a variable', 'ok', variable],
  ['a variable that is extern', 'EINVAL', [A, info('var'), 1, 2]],
  ['a variable of nothing', 'EINVAL', [A, info('var'), 0, 1]],
  ['a section', 'ok', [...variable, DATA, info('datasec', 1), 4, 2, 0, 4]],
  ['a section without a size', 'EINVAL', [...variable, DATA, info('datasec', 1), 0, 2, 0, 4]],
  ['a variable larger than its place', 'EINVAL', [...variable, DATA, info('datasec', 1), 4, 2, 0, 3]],
  ['a section of types', 'EINVAL', [DATA, info('datasec', 1), 4, 1, 0, 4]],
  ['a float', 'ok', [A, info('float'), 4]],
  ['a tag of a typedef', 'ok', [...alias, A, info('declTag'), 2, -1]],
  ['a tag of an int', 'EINVAL', [A, info('declTag'), 1, -1]],
  ['a tag of a component of a typedef', 'EINVAL', [...alias, A, info('declTag'), 2, 0]],
  ['a tag of a type', 'ok', [A, info('typeTag'), 1]],
  ['a tag of a type without a name', 'EINVAL', [0, info('typeTag'), 1]],
];

export const types: readonly ContractTest[] = [
  tableTest(
    'types to load',
    (m) => ({ s: m.spawn() }),
    cases.map(
      ([name, want, words]): Row<{ s: System }> => ({
        name,
        call: ({ s }) => loadBtf(s, btfOf(words)),
        want,
      }),
    ),
  ),
];
