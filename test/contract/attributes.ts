/**
 * The attributes of bpf(2) as bytes: how many of them a kernel takes, which depends on what lies in those that it does
 * not know.
 */
import assert from 'node:assert/strict';
import { commands } from '../../src/uapi/commands.ts';
import { mapTypes } from '../../src/uapi/map-types.ts';
import type { System } from '../../src/uapi/seam.ts';
import { type ContractTest, makeMap, mapInfo, type Row, tableTest } from './harness.ts';

const PAGE = 4096;
const { mapCreate, mapFreeze, mapLookupElem, mapGetNextId, progLoad } = commands;

/** Words at the start of `size` bytes, and single bytes further behind. */
function attr(
  size: number,
  words: readonly number[],
  more: Readonly<Record<number, number>> = {},
): Uint8Array {
  const bytes = new Uint8Array(Math.max(size, 4 * words.length));
  words.forEach((word, i) => {
    new DataView(bytes.buffer).setUint32(4 * i, word, true);
  });
  for (const [at, byte] of Object.entries(more)) bytes[Number(at)] = byte;
  return bytes.subarray(0, size);
}

/** An array of one element of 4 bytes. */
const array = [mapTypes.array.id, 4, 4, 1];

/** Makes a map and closes it. */
const create = (s: System, bytes: Uint8Array): void => s.close(s.bpfRaw(mapCreate.nr, bytes));

const rows: readonly Row<{ s: System; map: number }>[] = [
  { name: 'up to the last field that is not zero', call: ({ s }) => create(s, attr(16, array)), want: 'ok' },
  { name: 'all fields of the command', call: ({ s }) => create(s, attr(72, array)), want: 'ok' },
  {
    name: 'a page, of zeros where nothing is known',
    call: ({ s }) => create(s, attr(PAGE, array)),
    want: 'ok',
  },
  { name: 'more than a page', call: ({ s }) => create(s, attr(PAGE + 1, array)), want: 'E2BIG' },
  {
    name: 'something in the last byte of a page',
    call: ({ s }) => create(s, attr(PAGE, array, { [PAGE - 1]: 1 })),
    want: 'E2BIG',
  },
  {
    name: 'something where no kernel knows a field',
    call: ({ s }) => create(s, attr(512, array, { 256: 1 })),
    want: 'E2BIG',
  },
  {
    name: 'something behind the fields of the command, where others have theirs',
    call: ({ s, map }) => s.bpfRaw(mapFreeze.nr, attr(8, [map, 1])),
    want: 'EINVAL',
  },
  {
    name: 'the same with nothing there',
    call: ({ s, map }) => s.bpfRaw(mapFreeze.nr, attr(8, [map])),
    want: 'ok',
  },
  {
    name: 'fewer bytes than fields that must not be zero',
    call: ({ s }) => create(s, attr(8, array)),
    want: 'EINVAL',
  },
  { name: 'half of a field', call: ({ s }) => create(s, attr(13, array)), want: 'ok' },
  { name: 'no bytes', call: ({ s }) => create(s, attr(0, [])), want: 'EINVAL' },
  {
    name: 'no bytes of a program',
    call: ({ s }) => s.bpfRaw(progLoad.nr, attr(0, [])),
    want: 'E2BIG',
    since: '6.18',
  },
  { name: 'a command that no kernel has', call: ({ s }) => s.bpfRaw(9999, attr(8, [])), want: 'EINVAL' },
  {
    name: 'the size is looked at before the command',
    call: ({ s }) => s.bpfRaw(9999, attr(PAGE, [], { [PAGE - 1]: 1 })),
    want: 'E2BIG',
  },
  {
    name: 'a key at an address where nothing is',
    call: ({ s, map }) => s.bpfRaw(mapLookupElem.nr, attr(32, [map, 0, 8, 0, 16])),
    want: 'EFAULT',
  },
];

export const attributes: readonly ContractTest[] = [
  tableTest(
    'size',
    (machine) => {
      const s = machine.spawn();
      return { s, map: makeMap(s, { mapType: mapTypes.array.id }) };
    },
    rows,
  ),
  {
    name: 'what a command finds is in its bytes',
    run: (machine) => {
      const s = machine.spawn();
      const map = makeMap(s);
      const { id = 0 } = mapInfo(s, map);
      const bytes = attr(12, [id - 1]);
      assert.equal(s.bpfRaw(mapGetNextId.nr, bytes), 0);
      const view = new DataView(bytes.buffer);
      assert.deepEqual([view.getUint32(0, true), view.getUint32(4, true)], [id - 1, id]);
    },
  },
];
