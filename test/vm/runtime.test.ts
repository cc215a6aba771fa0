/**
 * Helpers and map kinds as programs see them, on both engines and, where bpf(2) works, on the running Linux: each
 * row is a program whose result and packet must be the same everywhere.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { assemble, interpreter, jit, Kernel, type KernelHandle } from '../../src/index.ts';
import { LinuxKernel } from '../../src/linux-kernel.ts';
import type { MapTypeName } from '../../src/uapi/map-types.ts';
import { whyNoLinux } from '../support/linux.ts';

interface Row {
  readonly name: string;
  readonly type?: 'sched_cls' | 'xdp' | 'socket_filter' | 'cgroup_skb';
  /** `MAP` stands for the map. */
  readonly text: string;
  readonly map?: {
    readonly type: MapTypeName;
    readonly maxEntries: number;
    readonly keySize?: number;
    readonly valueSize?: number;
  };
  readonly repeat?: number;
  /** Where it is known without asking Linux. */
  readonly want?: number;
}

const packet = Uint8Array.from({ length: 64 }, (_, i) => (i * 37 + 11) & 0xff);

function outcome(kernel: KernelHandle, { type = 'sched_cls', text, map, repeat = 1 }: Row): unknown {
  const made =
    map === undefined ? undefined : kernel.createMap({ keySize: 4, valueSize: 8, name: 'm', ...map });
  try {
    const source = made === undefined ? text : text.replaceAll('MAP', `map[fd:${made.fd}]`);
    const program = kernel.loadProgram({ type, insns: assemble(source), name: 'row' });
    const { retval, data } = program.testRun({ data: packet, repeat });
    program.close();
    return { retval, data: [...data] };
  } finally {
    made?.close();
  }
}

/** Calls with r1 = the context, kept in r6; r0 is the result. */
const skb = (text: string): string => `r6 = r1\n${text}\nexit`;
const load = (offset: number, size: number): string =>
  skb(
    `r2 = ${offset}\nr3 = r10\nr3 += -16\n*(u64 *)(r3 + 0) = 0x77\n*(u64 *)(r3 + 8) = 0x77\nr4 = ${size}\ncall bpf_skb_load_bytes\nr7 = r0\nr0 = *(u64 *)(r10 - 16)\nr1 = *(u32 *)(r10 - 12)\nr0 += r1\nr0 += r7`,
  );
const store = (offset: number, flags: number): string =>
  skb(
    `*(u64 *)(r10 - 8) = 0x1234567\nr2 = ${offset}\nr3 = r10\nr3 += -8\nr4 = 6\nr5 = ${flags}\ncall bpf_skb_store_bytes`,
  );
const csum = (helper: string, [offset, from, to, flags]: readonly number[]): string =>
  skb(`r2 = ${offset}\nr3 = ${from}\nr4 = ${to}\nr5 = ${flags}\ncall bpf_${helper}_csum_replace`);
const diff = (from: readonly number[], to: readonly number[], seed: number): string =>
  [
    ...from.map((word, i) => `*(u32 *)(r10 - ${32 - 4 * i}) = ${word}`),
    ...to.map((word, i) => `*(u32 *)(r10 - ${16 - 4 * i}) = ${word}`),
    `r1 = ${from.length === 0 ? 0 : 'r10'}`,
    ...(from.length === 0 ? [] : ['r1 += -32']),
    `r2 = ${4 * from.length}`,
    `r3 = ${to.length === 0 ? 0 : 'r10'}`,
    ...(to.length === 0 ? [] : ['r3 += -16']),
    `r4 = ${4 * to.length}`,
    `w5 = ${seed}`,
    'call bpf_csum_diff\nexit',
  ].join('\n');
const queue = (kind: 'queue' | 'stack', text: string): Pick<Row, 'map' | 'text'> => ({
  map: { type: kind, maxEntries: 2, keySize: 0, valueSize: 8 },
  text: `r9 = 0\n${text}\nr0 = r9\nexit`,
});
const push = (value: number, flags = 0): string =>
  `*(u64 *)(r10 - 8) = ${value}\nr1 = MAP\nr2 = r10\nr2 += -8\nr3 = ${flags}\ncall bpf_map_push_elem\nr9 *= 31\nr9 += r0`;
const take = (how: 'pop' | 'peek'): string =>
  `*(u64 *)(r10 - 8) = 55\nr1 = MAP\nr2 = r10\nr2 += -8\ncall bpf_map_${how}_elem\nr9 *= 31\nr9 += r0\nr1 = *(u64 *)(r10 - 8)\nr9 *= 31\nr9 += r1`;
const update = (key: number, value: number, flags = 0): string =>
  `*(u32 *)(r10 - 4) = ${key}\n*(u64 *)(r10 - 16) = ${value}\nr1 = MAP\nr2 = r10\nr2 += -4\nr3 = r10\nr3 += -16\nr4 = ${flags}\ncall bpf_map_update_elem\nr9 *= 31\nr9 += r0`;
const lookup = (key: number): string =>
  `*(u32 *)(r10 - 4) = ${key}\nr1 = MAP\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\nr9 *= 31\nif r0 == 0 goto +2\nr1 = *(u64 *)(r0 + 0)\nr9 += r1`;
const remove = (key: number): string =>
  `*(u32 *)(r10 - 4) = ${key}\nr1 = MAP\nr2 = r10\nr2 += -4\ncall bpf_map_delete_elem\nr9 *= 31\nr9 += r0`;
const hashed = (type: MapTypeName, text: string): Pick<Row, 'map' | 'text'> => ({
  map: { type, maxEntries: 4 },
  text: `r9 = 0\n${text}\nr0 = r9\nexit`,
});
const ringMap = { type: 'ringbuf', maxEntries: 4096, keySize: 0, valueSize: 0 } as const;
const reserve = (size: number, then: string): string =>
  `r1 = MAP\nr2 = ${size}\nr3 = 0\ncall bpf_ringbuf_reserve\nr9 *= 31\nif r0 == 0 goto +${then === '' ? 0 : 5}\n*(u64 *)(r0 + 0) = 7\nr1 = r0\nr2 = 0\ncall bpf_ringbuf_${then}\nr9 += 1`;
const query = (what: number): string => `r1 = MAP\nr2 = ${what}\ncall bpf_ringbuf_query\nr9 *= 31\nr9 += r0`;
const tail = (delta: number): string =>
  `r6 = r1\nr2 = ${delta}\ncall bpf_xdp_adjust_tail\nr7 = r0\nr1 = r6\ncall bpf_xdp_get_buff_len\nr0 *= 31\nr0 += r7\nexit`;
const bytes = (how: 'load' | 'store', offset: number, size: number): string =>
  `*(u64 *)(r10 - 8) = 5\nr2 = ${offset}\nr3 = r10\nr3 += -8\nr4 = ${size}\ncall bpf_xdp_${how}_bytes\nr1 = *(u64 *)(r10 - 8)\nr0 += r1\nexit`;

const hashKinds: readonly MapTypeName[] = ['hash', 'percpu_hash', 'lru_hash', 'lru_percpu_hash'];

const rows: readonly Row[] = [
  { name: 'skb_load_bytes', text: load(3, 8) },
  { name: 'skb_load_bytes to the end', text: load(56, 8) },
  { name: 'skb_load_bytes beyond the end', text: load(57, 8) },
  { name: 'skb_load_bytes at a negative offset', text: load(-1, 4) },
  { name: 'skb_load_bytes behind the Ethernet header', type: 'socket_filter', text: load(0, 8) },
  {
    name: 'skb_load_bytes of a cgroup',
    type: 'cgroup_skb',
    text: skb(
      `r2 = 0\nr3 = r10\nr3 += -8\n*(u64 *)(r10 - 8) = 0\nr4 = 8\ncall bpf_skb_load_bytes\nr0 = *(u8 *)(r10 - 8)\nr0 &= 1`,
    ),
  },
  { name: 'skb_store_bytes', text: store(5, 0) },
  { name: 'skb_store_bytes, with a sum', text: store(5, 1) },
  { name: 'skb_store_bytes beyond the end', text: store(60, 0) },
  { name: 'skb_store_bytes with unknown flags', text: store(5, 4) },
  ...[
    [20, 0x1234, 0x4321, 2],
    [20, 0x1234, 0x4321, 4],
    [20, 0, 0x4321, 0],
    [20, 1, 0x4321, 0],
    [20, 1, 2, 3],
    [21, 1, 2, 2],
    [63, 1, 2, 2],
    [62, 1, 2, 2],
    [0x10000, 1, 2, 2],
    [20, 1, 2, 0x12],
    [20, 0xffffff, 0x7f000001, 0x14],
    [20, 1, 2, 0x22],
    [20, 1, 2, 0x62],
    [20, 1, 2, 0x102],
  ].flatMap((args) =>
    ['l3', 'l4'].map((helper) => ({
      name: `${helper}_csum_replace(${args.join(', ')})`,
      text: csum(helper, args),
    })),
  ),
  { name: 'csum_diff of two', text: diff([1, 2, 0x7fffffff], [3, 4], 5) },
  { name: 'csum_diff of new bytes', text: diff([], [0x12345678, -2], 0) },
  { name: 'csum_diff of old bytes', text: diff([0x12345678, -2], [], 9) },
  { name: 'csum_diff of old zeros', text: diff([0, 0], [], 0) },
  { name: 'csum_diff of zeros', text: diff([0, 0], [0, 0], 0) },
  { name: 'csum_diff of nothing', text: diff([], [], 77) },
  { name: 'csum_diff of large sums', text: diff([-1, -1, -1], [-1, -5, -1, -1], -1) },
  { name: 'skb_pull_data', text: skb('r2 = 64\ncall bpf_skb_pull_data') },
  { name: 'skb_pull_data of too much', text: skb('r2 = 65\ncall bpf_skb_pull_data') },
  { name: 'csum_update', text: skb('r2 = 1\ncall bpf_csum_update') },
  { name: 'redirect', text: 'r1 = 1\nr2 = 0\ncall bpf_redirect\nexit' },
  { name: 'redirect inwards', text: 'r1 = 1\nr2 = 1\ncall bpf_redirect\nexit' },
  { name: 'redirect with unknown flags', text: 'r1 = 1\nr2 = 2\ncall bpf_redirect\nexit' },
  { name: 'redirect of XDP with flags', type: 'xdp', text: 'r1 = 1\nr2 = 2\ncall bpf_redirect\nexit' },
  ...[-10, -50, -51, 0, 8, 3456, 3457, 100000].map(
    (delta): Row => ({ name: `xdp_adjust_tail(${delta})`, type: 'xdp', text: tail(delta) }),
  ),
  ...[0, -4, -8, -5, -252, -256, 4].map(
    (delta): Row => ({
      name: `xdp_adjust_meta(${delta})`,
      type: 'xdp',
      text: `r2 = ${delta}\ncall bpf_xdp_adjust_meta\nexit`,
    }),
  ),
  ...(['load', 'store'] as const).flatMap((how) =>
    [
      [0, 8],
      [57, 8],
      [56, 8],
      [0x10000, 4],
      [0xffff, 4],
    ].map(
      ([offset, size]): Row => ({
        name: `xdp_${how}_bytes(${offset}, ${size})`,
        type: 'xdp',
        text: bytes(how, offset!, size!),
      }),
    ),
  ),
  {
    name: 'a queue',
    ...queue(
      'queue',
      [push(3), push(4), push(5), take('peek'), take('pop'), take('pop'), take('pop')].join('\n'),
    ),
  },
  {
    name: 'a stack',
    ...queue(
      'stack',
      [push(3), push(4), push(5), take('peek'), take('pop'), take('pop'), take('pop')].join('\n'),
    ),
  },
  {
    name: 'a full queue that pushes the oldest out',
    ...queue('queue', [push(3), push(4), push(5, 2), take('pop'), take('pop')].join('\n')),
  },
  {
    name: 'a full stack that pushes the oldest out',
    ...queue('stack', [push(3), push(4), push(5, 2), take('pop'), take('pop')].join('\n')),
  },
  { name: 'flags of push', ...queue('queue', [push(3, 1), push(3, 3)].join('\n')) },
  ...hashKinds.flatMap((kind): Row[] => [
    {
      name: `${kind}: update, lookup, delete`,
      ...hashed(
        kind,
        [
          update(1, 10),
          update(2, 20),
          lookup(1),
          update(1, 11),
          lookup(1),
          remove(1),
          lookup(1),
          remove(1),
          lookup(2),
        ].join('\n'),
      ),
    },
    {
      name: `${kind}: flags of update`,
      ...hashed(
        kind,
        [
          update(1, 10, 2),
          update(1, 11, 1),
          update(1, 12, 1),
          update(1, 13, 2),
          update(1, 14, 9),
          lookup(1),
        ].join('\n'),
      ),
    },
    {
      name: `${kind}: again and again`,
      ...hashed(kind, [update(3, 1), lookup(3), remove(3), update(4, 2), lookup(4)].join('\n')),
      repeat: 5,
    },
  ]),
  { name: 'a full hash', ...hashed('hash', [1, 2, 3, 4, 5].map((key) => update(key, key)).join('\n')) },
  {
    name: 'ring: records and positions',
    map: ringMap,
    text: `r9 = 0\n${[reserve(8, 'submit'), reserve(20, 'discard'), query(0), query(1), query(2), query(3), query(9)].join('\n')}\nr0 = r9\nexit`,
  },
  {
    name: 'ring: a record that is too large',
    map: ringMap,
    text: `r9 = 0\n${[reserve(4089, 'submit'), query(3)].join('\n')}\nr0 = r9\nexit`,
  },
  {
    name: 'ring: until it is full',
    map: ringMap,
    text: `r9 = 0\n${[reserve(1000, 'submit'), query(0)].join('\n')}\nr0 = r9\nexit`,
    repeat: 6,
  },
  {
    name: 'ringbuf_output',
    map: ringMap,
    text: `r9 = 0\n*(u64 *)(r10 - 8) = 1\nr1 = MAP\nr2 = r10\nr2 += -8\nr3 = 8\nr4 = 0\ncall bpf_ringbuf_output\nr9 += r0\n${query(0)}\nr1 = MAP\nr2 = r10\nr2 += -8\nr3 = 8\nr4 = 4\ncall bpf_ringbuf_output\nr9 *= 31\nr9 += r0\nr0 = r9\nexit`,
  },
];

const missing = whyNoLinux();
const linux = missing === false ? new LinuxKernel() : undefined;

for (const row of rows) {
  test(row.name, () => {
    const one = outcome(new Kernel({ engine: interpreter }), row);
    assert.deepEqual(outcome(new Kernel({ engine: jit }), row), one, 'the engines differ');
    if (row.want !== undefined) assert.equal((one as { retval: number }).retval, row.want);
    if (linux !== undefined) assert.deepEqual(one, outcome(linux, row), 'Linux differs');
  });
}

const compiled = readFileSync(new URL('../../fixtures/objects/helpers.bpf.o', import.meta.url));

for (const name of ['for_each', 'loops', 'text', 'probes']) {
  const retval = (kernel: KernelHandle): number => {
    const collection = kernel.load(compiled);
    try {
      return collection.program(name).testRun({ data: packet, repeat: 2 }).retval;
    } finally {
      collection.close();
    }
  };

  test(`compiled: ${name}`, () => {
    const one = retval(new Kernel({ engine: interpreter }));
    assert.equal(retval(new Kernel({ engine: jit })), one, 'the engines differ');
    if (linux !== undefined) assert.equal(one, retval(linux), 'Linux differs');
  });
}

test('Linux gives the same', { skip: missing }, () => {
  assert.ok(linux);
});
