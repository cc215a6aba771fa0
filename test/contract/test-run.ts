/** PROG_TEST_RUN of the program types that have one. */
import assert from 'node:assert/strict';
import type { BpfAttr } from '../../src/uapi/commands.ts';
import type { Errno } from '../../src/uapi/errno.ts';
import { progTypes } from '../../src/uapi/prog-types.ts';
import type { System } from '../../src/uapi/seam.ts';
import {
  type ContractTest,
  load,
  makeMap,
  outcome,
  type Row,
  readU32,
  returnZero,
  tableTest,
  xdpPass,
} from './harness.ts';

const xdp = { progType: progTypes.xdp.id };
const rawTracepoint = { progType: progTypes.raw_tracepoint.id };
const secondArgument = 'r0 = *(u64 *)(r1 +8)\nexit';
/** Bytes between data and data_end. */
const packetLength = 'r2 = *(u32 *)(r1 +0)\nr0 = *(u32 *)(r1 +4)\nr0 -= r2\nexit';
const adjustHead = (by: number): string => `r2 = ${by}\ncall 44\nr0 = 2\nexit`;

type TestRun = BpfAttr<'progTestRun'>;

const packet = (size: number): { dataIn: Uint8Array; dataSizeIn: number } => ({
  dataIn: Uint8Array.from({ length: size }, (_, i) => i & 0xff),
  dataSizeIn: size,
});

/** Runs a test run with every result field in `attr`. */
function run(s: System, progFd: number, attr: TestRun = {}): TestRun {
  const made: TestRun = { progFd, ...attr };
  s.bpf('progTestRun', made);
  return made;
}

/** struct xdp_md */
function xdpMd(fields: {
  data?: number;
  dataEnd?: number;
  dataMeta?: number;
  ifindex?: number;
  queue?: number;
  egress?: number;
}) {
  const words = [fields.data, fields.dataEnd, fields.dataMeta, fields.ifindex, fields.queue, fields.egress];
  const bytes = new Uint8Array(24);
  for (const [i, word] of words.entries()) new DataView(bytes.buffer).setUint32(4 * i, word ?? 0, true);
  return { ctxIn: bytes, ctxSizeIn: 24 };
}

interface Programs {
  readonly s: System;
  readonly xdp: number;
  readonly filter: number;
  readonly raw: number;
  readonly arg2: number;
}

const setup = (s: System): Programs => ({
  s,
  xdp: load(s, xdpPass, xdp),
  filter: load(s, returnZero),
  raw: load(s, returnZero, rawTracepoint),
  arg2: load(s, secondArgument, rawTracepoint),
});

const xdpRows: readonly (readonly [string, TestRun, Errno | 'ok'])[] = [
  ['13 bytes', packet(13), 'EINVAL'],
  ['14 bytes', packet(14), 'ok'],
  ['no packet', {}, 'EINVAL'],
  ['a size without a packet', { dataSizeIn: 20 }, 'EFAULT'],
  ['more than a page', packet(5000), 'ok'],
  ['no room for the packet', { ...packet(20), dataOut: new Uint8Array(20), dataSizeOut: 10 }, 'ENOSPC'],
  ['a size out without a buffer', { ...packet(20), dataSizeOut: 10 }, 'ENOSPC'],
  ['flags', { ...packet(64), flags: 1 }, 'EINVAL'],
  ['a CPU', { ...packet(64), cpu: 1 }, 'ok'],
  ['batch_size without live frames', { ...packet(64), batchSize: 1 }, 'EINVAL'],
  ['ctx_in without its size', { ...packet(64), ctxIn: new Uint8Array(24) }, 'EINVAL'],
  ['ctx_size_in without a context', { ...packet(64), ctxSizeIn: 24 }, 'EINVAL'],
  ['ctx_size_out without a buffer', { ...packet(64), ctxSizeOut: 24 }, 'EINVAL'],
  ['a short ctx_out', { ...packet(64), ctxOut: new Uint8Array(24), ctxSizeOut: 10 }, 'ENOSPC'],
  ['a whole packet', { ...packet(64), ...xdpMd({ dataEnd: 64 }) }, 'ok'],
  ['metadata', { ...packet(64), ...xdpMd({ data: 4, dataEnd: 64 }) }, 'ok'],
  ['metadata of 3 bytes', { ...packet(64), ...xdpMd({ data: 3, dataEnd: 64 }) }, 'EINVAL'],
  ['metadata that leaves 12 bytes', { ...packet(64), ...xdpMd({ data: 52, dataEnd: 64 }) }, 'EINVAL'],
  ['data behind data_end', { ...packet(64), ...xdpMd({ data: 8, dataEnd: 4 }) }, 'EINVAL'],
  ['data_end behind the packet', { ...packet(64), ...xdpMd({ dataEnd: 65 }) }, 'EINVAL'],
  ['data_meta', { ...packet(64), ...xdpMd({ dataMeta: 4, dataEnd: 64 }) }, 'EINVAL'],
  ['the loopback device', { ...packet(64), ...xdpMd({ dataEnd: 64, ifindex: 1 }) }, 'ok'],
  ['no such device', { ...packet(64), ...xdpMd({ dataEnd: 64, ifindex: 9999 }) }, 'ENODEV'],
  ['a queue without a device', { ...packet(64), ...xdpMd({ dataEnd: 64, queue: 1 }) }, 'EINVAL'],
  ['no such queue', { ...packet(64), ...xdpMd({ dataEnd: 64, ifindex: 1, queue: 77 }) }, 'EINVAL'],
  ['an egress device', { ...packet(64), ...xdpMd({ dataEnd: 64, egress: 1 }) }, 'EINVAL'],
  [
    'a context that is too long',
    { ...packet(64), ctxIn: new Uint8Array(30).fill(1, 28), ctxSizeIn: 30 },
    'E2BIG',
  ],
  ['a context longer than it need be', { ...packet(64), ctxIn: new Uint8Array(30), ctxSizeIn: 30 }, 'ok'],
];

/** struct __sk_buff with one word set. */
function skBuff(at: number, value: number): TestRun {
  const ctxIn = new Uint8Array(192);
  new DataView(ctxIn.buffer).setUint32(at, value, true);
  return { ...packet(64), ctxIn, ctxSizeIn: 192 };
}

const filterRows: readonly (readonly [string, TestRun, Errno | 'ok'])[] = [
  ['13 bytes', packet(13), 'EINVAL'],
  ['14 bytes', packet(14), 'ok'],
  ['the longest', packet(3712), 'ok'],
  ['one more', packet(3713), 'EINVAL'],
  ['a CPU', { ...packet(64), cpu: 1 }, 'EINVAL'],
  ['batch_size', { ...packet(64), batchSize: 1 }, 'EINVAL'],
  ['unknown flags', { ...packet(64), flags: 1 }, 'EINVAL'],
  ['len', skBuff(0, 1), 'EINVAL'],
  ['mark', skBuff(8, 1), 'ok'],
  ['queue_mapping', skBuff(12, 1), 'EINVAL'],
  ['priority', skBuff(32, 1), 'ok'],
  ['ingress_ifindex', skBuff(36, 1), 'ok'],
  ['ifindex', skBuff(40, 1), 'ok'],
  ['no such ifindex', skBuff(40, 9999), 'ENODEV'],
  ['tc_index', skBuff(44, 1), 'EINVAL'],
  ['cb', skBuff(64, 1), 'ok'],
  ['hash', skBuff(68, 1), 'EINVAL'],
  ['data', skBuff(76, 1), 'EINVAL'],
  ['tstamp', skBuff(156, 1), 'ok'],
  ['wire_len of the packet', skBuff(160, 50), 'ok'],
  ['wire_len below the packet', skBuff(160, 49), 'EINVAL'],
  ['wire_len above the limit', skBuff(160, 65537), 'EINVAL'],
  ['gso_segs', skBuff(164, 65535), 'ok'],
  ['too many gso_segs', skBuff(164, 65536), 'EINVAL'],
  ['sk', skBuff(168, 1), 'EINVAL'],
  ['gso_size', skBuff(176, 70000), 'ok'],
  ['tstamp_type', skBuff(180, 1), 'EINVAL'],
  ['hwtstamp', skBuff(184, 1), 'ok'],
];

const args = (size: number): TestRun => ({
  ctxIn: Uint8Array.from({ length: size }, (_, i) => (i % 8 === 0 ? i / 8 + 1 : 0)),
  ctxSizeIn: size,
});

const rawRows: readonly Row<Programs>[] = [
  { name: 'no context', call: ({ s, raw }) => run(s, raw), want: 'ok' },
  { name: 'a context', call: ({ s, raw }) => run(s, raw, args(12)), want: 'ok' },
  {
    name: 'a context shorter than what is read',
    call: ({ s, arg2 }) => run(s, arg2, args(8)),
    want: 'EINVAL',
  },
  { name: 'twelve arguments', call: ({ s, arg2 }) => run(s, arg2, args(96)), want: 'ok' },
  { name: 'thirteen', call: ({ s, arg2 }) => run(s, arg2, args(104)), want: 'EINVAL' },
  { name: 'repeat', call: ({ s, raw }) => run(s, raw, { repeat: 1 }), want: 'EINVAL' },
  { name: 'a packet', call: ({ s, raw }) => run(s, raw, packet(64)), want: 'EINVAL' },
  {
    name: 'ctx_out',
    call: ({ s, raw }) => run(s, raw, { ctxOut: new Uint8Array(8), ctxSizeOut: 8 }),
    want: 'EINVAL',
  },
  { name: 'a CPU without the flag', call: ({ s, raw }) => run(s, raw, { cpu: 1 }), want: 'EINVAL' },
  { name: 'a CPU', call: ({ s, raw }) => run(s, raw, { flags: 1, cpu: 0 }), want: 'ok' },
  { name: 'no such CPU', call: ({ s, raw }) => run(s, raw, { flags: 1, cpu: 5000 }), want: 'ENXIO' },
  { name: 'no fd', call: ({ s }) => run(s, 999), want: 'EBADF' },
  { name: 'a map', call: ({ s }) => run(s, makeMap(s)), want: 'EINVAL' },
  {
    name: 'a tracepoint program',
    call: ({ s }) => run(s, load(s, returnZero, { progType: progTypes.tracepoint.id })),
    want: 'ENOTSUPP',
  },
];

export const testRun: readonly ContractTest[] = [
  tableTest(
    'XDP arguments',
    (m) => setup(m.spawn()),
    xdpRows.map(([name, attr, want]) => ({ name, call: (p: Programs) => run(p.s, p.xdp, attr), want })),
  ),
  tableTest(
    'socket filter arguments',
    (m) => setup(m.spawn()),
    filterRows.map(([name, attr, want]) => ({ name, call: (p: Programs) => run(p.s, p.filter, attr), want })),
  ),
  tableTest('raw tracepoint arguments', (m) => setup(m.spawn()), rawRows),
  {
    name: 'an XDP run gives verdict, packet and context',
    run: (machine) => {
      const s = machine.spawn();
      const dataOut = new Uint8Array(100);
      const ctxOut = new Uint8Array(24);
      const result = run(s, load(s, xdpPass, xdp), {
        ...packet(64),
        ...xdpMd({ data: 8, dataEnd: 64 }),
        ...{ dataOut, dataSizeOut: 100, ctxOut, ctxSizeOut: 24 },
      });
      assert.deepEqual([result.retval, result.dataSizeOut, result.ctxSizeOut], [2, 64, 24]);
      assert.deepEqual(dataOut.subarray(0, 64), packet(64).dataIn);
      assert.deepEqual([readU32(ctxOut, 0), readU32(ctxOut, 4), readU32(ctxOut, 8)], [8, 64, 0]);
    },
  },
  {
    name: 'a packet that does not fit is cut, its size told, and the rest of the results written',
    run: (machine) => {
      const s = machine.spawn();
      const attr: TestRun = {
        progFd: load(s, xdpPass, xdp),
        ...packet(20),
        dataOut: new Uint8Array(20).fill(9),
        dataSizeOut: 10,
      };
      assert.equal(
        outcome(() => s.bpf('progTestRun', attr)),
        'ENOSPC',
      );
      assert.deepEqual([attr.retval, attr.dataSizeOut], [2, 20]);
      assert.deepEqual([...(attr.dataOut as Uint8Array)], [...packet(10).dataIn, ...Array(10).fill(9)]);
    },
  },
  {
    name: 'a program sees at most 3520 bytes of a packet, and a context says how many',
    run: (machine) => {
      const s = machine.spawn();
      const fd = load(s, packetLength, xdp);
      const seen = (attr: TestRun): number | undefined => run(s, fd, attr).retval;
      assert.equal(seen(packet(64)), 64);
      assert.equal(seen(packet(3521)), 3520);
      assert.equal(seen({ ...packet(64), ...xdpMd({ dataEnd: 10 }) }), 10);
      assert.equal(seen({ ...packet(64), ...xdpMd({ data: 8, dataEnd: 32 }) }), 24);
      assert.equal(run(s, fd, packet(3521)).dataSizeOut, 3521);
    },
  },
  {
    name: 'repeated runs continue on the same packet',
    run: (machine) => {
      const s = machine.spawn();
      const fd = load(s, adjustHead(4), xdp);
      assert.equal(run(s, fd, packet(64)).dataSizeOut, 60);
      assert.equal(run(s, fd, { ...packet(64), repeat: 3 }).dataSizeOut, 52);
      assert.equal(run(s, load(s, adjustHead(-8), xdp), packet(64)).dataSizeOut, 72);
    },
  },
  {
    name: 'a return value is 32 bits',
    run: (machine) => {
      const s = machine.spawn();
      assert.equal(run(s, load(s, 'r0 = -1\nexit', xdp), packet(64)).retval, 0xffffffff);
    },
  },
  {
    name: 'a socket filter sees the packet from behind the Ethernet header, which comes back as zeros',
    run: (machine) => {
      const s = machine.spawn();
      const dataOut = new Uint8Array(64);
      const field = (at: number, attr: TestRun = {}): number | undefined =>
        run(s, load(s, `r0 = *(u32 *)(r1 +${at})\nexit`), {
          ...packet(64),
          dataOut,
          dataSizeOut: 64,
          ...attr,
        }).retval;
      assert.equal(field(0), 50, 'len');
      assert.equal(field(4), 3, 'pkt_type of a packet to another host');
      assert.equal(field(16), 0x0d0c, 'protocol, in network order');
      assert.equal(field(40), 1, 'ifindex');
      assert.deepEqual(dataOut, Uint8Array.of(...Array(14).fill(0), ...packet(64).dataIn.subarray(14)));
      const first = load(s, 'r6 = r1\nr0 = *(u8 *)skb[0]\nexit');
      assert.equal(run(s, first, packet(64)).retval, 14);
    },
  },
  {
    name: 'the context of a socket filter comes back with what it may set',
    run: (machine) => {
      const s = machine.spawn();
      const ctxOut = new Uint8Array(192);
      run(s, load(s, returnZero), { ...skBuff(8, 77), ctxOut, ctxSizeOut: 192 });
      assert.deepEqual([readU32(ctxOut, 8), readU32(ctxOut, 40), readU32(ctxOut, 160)], [77, 1, 50]);
    },
  },
  {
    name: 'a raw tracepoint gets its arguments',
    run: (machine) => {
      const s = machine.spawn();
      assert.equal(run(s, load(s, secondArgument, rawTracepoint), args(16)).retval, 2);
    },
  },
];
