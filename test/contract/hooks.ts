/** Links, and what `Host` adds to bpf(): fds, mappings, waiting, events, targets. */
import assert from 'node:assert/strict';
import { type Btf, readBtf } from '../../src/btf/index.ts';
import { attachTypes } from '../../src/uapi/attach-types.ts';
import { mapTypes } from '../../src/uapi/map-types.ts';
import { progTypes } from '../../src/uapi/prog-types.ts';
import type { System } from '../../src/uapi/seam.ts';
import {
  assertDies,
  assertEventually,
  type ContractTest,
  load,
  type Machine,
  makeMap,
  outcome,
  progInfo,
  type Row,
  readU32,
  returnZero,
  tableTest,
  u32,
  xdpPass,
} from './harness.ts';

export const xdp = { progType: progTypes.xdp.id };
export const dropAll = 'r0 = 1\nexit';
const DROP = 1;
const PASS = 2;

export interface Links {
  readonly s: System;
  readonly xdp: number;
  readonly filter: number;
  readonly tracepoint: number;
  readonly raw: number;
  readonly map: number;
  readonly ifindex: number;
}

export function linkSetup(machine: Machine): Links {
  const s = machine.spawn();
  return {
    s,
    xdp: load(s, xdpPass, xdp),
    filter: load(s, returnZero),
    tracepoint: load(s, returnZero, { progType: progTypes.tracepoint.id }),
    raw: load(s, returnZero, { progType: progTypes.raw_tracepoint.id }),
    map: makeMap(s),
    ifindex: s.resolveTarget('netdev', machine.device),
  };
}

export const XDP = attachTypes.xdp.id;
const PERF_EVENT = attachTypes.perf_event.id;
export const attachXdp = (s: System, progFd: number, targetIfindex: number, flags = 0): number =>
  s.bpf('linkCreate', { progFd, targetIfindex, attachType: XDP, flags });

const linkRows: readonly Row<Links>[] = [
  { name: 'no such device', call: ({ s, xdp }) => attachXdp(s, xdp, 9999), want: 'EINVAL' },
  {
    name: 'another attach type',
    call: ({ s, xdp, ifindex }) =>
      s.bpf('linkCreate', { progFd: xdp, targetIfindex: ifindex, attachType: 36 }),
    want: 'EINVAL',
  },
  {
    name: 'a socket filter',
    call: ({ s, filter, ifindex }) => attachXdp(s, filter, ifindex),
    want: 'EINVAL',
  },
  {
    name: 'a raw tracepoint program',
    call: ({ s, raw, ifindex }) => attachXdp(s, raw, ifindex),
    want: 'EINVAL',
  },
  { name: 'no program', call: ({ s, ifindex }) => attachXdp(s, 999, ifindex), want: 'EBADF' },
  { name: 'a map for a program', call: ({ s, map, ifindex }) => attachXdp(s, map, ifindex), want: 'EINVAL' },
  {
    name: 'a flag that is not for links',
    call: ({ s, xdp, ifindex }) => attachXdp(s, xdp, ifindex, 1),
    want: 'EINVAL',
  },
  { name: 'two modes', call: ({ s, xdp, ifindex }) => attachXdp(s, xdp, ifindex, 6), want: 'EINVAL' },
  {
    name: 'no such perf event',
    call: ({ s, tracepoint }) =>
      s.bpf('linkCreate', { progFd: tracepoint, targetFd: 999, attachType: PERF_EVENT }),
    want: 'EBADF',
  },
  {
    name: 'a map for a perf event',
    call: ({ s, tracepoint, map }) =>
      s.bpf('linkCreate', { progFd: tracepoint, targetFd: map, attachType: PERF_EVENT }),
    want: 'EBADF',
  },
  {
    name: 'flags of a perf event link',
    call: ({ s, tracepoint }) =>
      s.bpf('linkCreate', { progFd: tracepoint, targetFd: 999, attachType: PERF_EVENT, flags: 1 }),
    want: 'EINVAL',
  },
  {
    name: 'no such raw tracepoint',
    call: ({ s, raw }) => s.bpf('rawTracepointOpen', { progFd: raw, name: 'nope' }),
    want: 'ENOENT',
  },
  {
    name: 'a raw tracepoint without a name',
    call: ({ s, raw }) => s.bpf('rawTracepointOpen', { progFd: raw }),
    want: 'EFAULT',
  },
  {
    name: 'a socket filter on a raw tracepoint',
    call: ({ s, filter }) => s.bpf('rawTracepointOpen', { progFd: filter, name: 'sys_enter' }),
    want: 'EINVAL',
  },
  { name: 'update of no link', call: ({ s }) => s.bpf('linkUpdate', { linkFd: 999 }), want: 'EBADF' },
  { name: 'update of a map', call: ({ s, map }) => s.bpf('linkUpdate', { linkFd: map }), want: 'EINVAL' },
  { name: 'detach of no link', call: ({ s }) => s.bpf('linkDetach', { linkFd: 999 }), want: 'EBADF' },
  { name: 'detach of a map', call: ({ s, map }) => s.bpf('linkDetach', { linkFd: map }), want: 'EINVAL' },
];

interface Updates extends Links {
  readonly link: number;
  readonly other: number;
}

const updateRows: readonly Row<Updates>[] = [
  {
    name: 'a second program on the device',
    call: ({ s, xdp, ifindex }) => attachXdp(s, xdp, ifindex),
    want: 'EBUSY',
  },
  {
    name: 'update to another type',
    call: ({ s, link, filter }) => s.bpf('linkUpdate', { linkFd: link, newProgFd: filter }),
    want: 'EINVAL',
  },
  {
    name: 'update that expects another program',
    call: ({ s, link, other }) =>
      s.bpf('linkUpdate', { linkFd: link, newProgFd: other, flags: 4, oldProgFd: other }),
    want: 'EPERM',
  },
  {
    name: 'an old program without the flag',
    call: ({ s, link, other, xdp }) =>
      s.bpf('linkUpdate', { linkFd: link, newProgFd: other, oldProgFd: xdp }),
    want: 'EINVAL',
  },
  {
    name: 'an unknown flag',
    call: ({ s, link, other }) => s.bpf('linkUpdate', { linkFd: link, newProgFd: other, flags: 1 }),
    want: 'EINVAL',
  },
  {
    name: 'no new program',
    call: ({ s, link }) => s.bpf('linkUpdate', { linkFd: link, newProgFd: 999 }),
    want: 'EBADF',
  },
  {
    name: 'update',
    call: ({ s, link, other, xdp }) =>
      s.bpf('linkUpdate', { linkFd: link, newProgFd: other, flags: 4, oldProgFd: xdp }),
    want: 'ok',
  },
  { name: 'detach', call: ({ s, link }) => s.bpf('linkDetach', { linkFd: link }), want: 'ok' },
  { name: 'detach again', call: ({ s, link }) => s.bpf('linkDetach', { linkFd: link }), want: 'ok' },
  {
    name: 'update once detached',
    call: ({ s, link, xdp }) => s.bpf('linkUpdate', { linkFd: link, newProgFd: xdp }),
    want: 'ENOLINK',
  },
  { name: 'the device is free again', call: ({ s, xdp, ifindex }) => attachXdp(s, xdp, ifindex), want: 'ok' },
];

const F_RDONLY_PROG = 128;
const F_MMAPABLE = 1024;

/** Maps the first `length` bytes of a new array, to write. */
const mapArray = (s: System, mapFlags: number, length: number) =>
  s.mmap(makeMap(s, { mapType: mapTypes.array.id, mapFlags }), { length, offset: 0, writable: true });

interface Traced extends Links {
  /** A program of tp_btf for sys_enter. */
  readonly traced: number;
  readonly types: Btf;
}

const tracing = { progType: progTypes.tracing.id, expectedAttachType: attachTypes.trace_raw_tp.id };

function tracedSetup(machine: Machine): Traced {
  const made = linkSetup(machine);
  const types = readBtf(made.s.kernelBtf() ?? new Uint8Array());
  const attachBtfId = types.find('btf_trace_sys_enter', 'typedef') ?? 0;
  // The second argument is the number of the call.
  const text = 'r0 = *(u64 *)(r1 + 8)\nr0 = 0\nexit';
  return { ...made, types, traced: load(made.s, text, { ...tracing, attachBtfId }) };
}

const tracedRows: readonly Row<Traced>[] = [
  {
    name: 'without what it is for',
    call: ({ s }) => load(s, returnZero, tracing),
    want: 'EINVAL',
  },
  {
    name: 'for a type that is none',
    call: ({ s, types }) => load(s, returnZero, { ...tracing, attachBtfId: types.typeCount + 1 }),
    want: 'EINVAL',
  },
  {
    name: 'for a type that is no tracepoint',
    call: ({ s, types }) =>
      load(s, returnZero, { ...tracing, attachBtfId: types.find('task_struct', 'struct') ?? 0 }),
    want: 'EINVAL',
  },
  {
    name: 'reading an argument that the tracepoint has not',
    call: ({ s, types }) =>
      load(s, 'r0 = *(u64 *)(r1 + 16)\nr0 = 0\nexit', {
        ...tracing,
        attachBtfId: types.find('btf_trace_sys_enter', 'typedef') ?? 0,
      }),
    want: 'EACCES',
  },
  // Each link is closed again: older kernels take a program at a tracepoint once.
  {
    name: 'attach',
    call: ({ s, traced }) => s.close(s.bpf('rawTracepointOpen', { progFd: traced })),
    want: 'ok',
  },
  {
    name: 'attach to a tracepoint by name',
    call: ({ s, traced }) => s.bpf('rawTracepointOpen', { progFd: traced, name: 'sys_enter' }),
    want: 'EINVAL',
  },
  {
    name: 'attach by a link',
    call: ({ s, traced }) =>
      s.close(s.bpf('linkCreate', { progFd: traced, attachType: attachTypes.trace_raw_tp.id })),
    want: 'ok',
  },
  {
    name: 'attach by a link of another type',
    call: ({ s, traced }) => s.bpf('linkCreate', { progFd: traced, attachType: attachTypes.trace_fentry.id }),
    want: 'EINVAL',
  },
  {
    name: 'detach before closing',
    call: ({ s, traced }) => s.bpf('linkDetach', { linkFd: s.bpf('rawTracepointOpen', { progFd: traced }) }),
    want: 'ENOTSUP',
  },
];

const hostRows: readonly Row<Links>[] = [
  { name: 'close of no fd', call: ({ s }) => s.close(999), want: 'EBADF' },
  { name: 'dup of no fd', call: ({ s }) => s.dup(999), want: 'EBADF' },
  { name: 'read of a map', call: ({ s, map }) => s.read(map, new Uint8Array(8)), want: 'EINVAL' },
  { name: 'read of no fd', call: ({ s }) => s.read(999, new Uint8Array(8)), want: 'EBADF' },
  { name: 'no such device', call: ({ s }) => s.resolveTarget('netdev', 'nope0'), want: 'ENODEV' },
  { name: 'no such tracepoint', call: ({ s }) => s.resolveTarget('tracepoint', 'no:such'), want: 'ENOENT' },
  {
    name: 'a tracepoint by its section name',
    call: ({ s }) => s.resolveTarget('tracepoint', 'raw_syscalls/sys_enter'),
    want: 'ok',
  },
  {
    name: 'no such tracepoint id',
    call: ({ s }) => s.perfEventOpen({ type: 2, config: 9_999_999n, pid: -1, cpu: 0 }),
    want: 'EINVAL',
  },
  { name: 'no such source of events', call: ({ s }) => s.resolveTarget('pmu', 'nosuch'), want: 'ENOENT' },
  { name: 'no such cgroup', call: ({ s }) => s.resolveTarget('cgroup', '/nonexistent'), want: 'ENOENT' },
  { name: 'no such namespace', call: ({ s }) => s.resolveTarget('netns', '/nonexistent'), want: 'ENOENT' },
  {
    name: 'no such executable',
    call: ({ s }) => s.binaryFunctions('/nonexistent', () => true),
    want: 'ENOENT',
  },
  {
    name: 'no such executable with probes',
    call: ({ s }) => s.binaryProbes('/nonexistent', () => true),
    want: 'ENOENT',
  },
  { name: 'functions that nobody wants', call: ({ s }) => s.kernelFunctions(() => false), want: 'ok' },
  { name: 'ioctl of no fd', call: ({ s }) => s.ioctl(999, 0x2400, 0), want: 'EBADF' },
  { name: 'ioctl of a map', call: ({ s, map }) => s.ioctl(map, 0x2400, 0), want: 'ENOTTY' },
  {
    name: 'a socket option of no fd',
    call: ({ s, filter }) => s.setsockopt(999, { level: 1, name: 50, value: filter }),
    want: 'EBADF',
  },
  {
    name: 'a socket option of a map',
    call: ({ s, map, filter }) => s.setsockopt(map, { level: 1, name: 50, value: filter }),
    want: 'ENOTSOCK',
  },
  {
    name: 'no such event type',
    call: ({ s }) => s.perfEventOpen({ type: 77, config: 0n, pid: -1, cpu: 0 }),
    want: 'ENOENT',
  },
  {
    name: 'an event for nobody',
    call: ({ s }) => s.perfEventOpen({ type: 2, config: 1n, pid: -1, cpu: -1 }),
    want: 'EINVAL',
  },
  { name: 'mapping of an array not made for it', call: ({ s }) => mapArray(s, 0, 16), want: 'EINVAL' },
  {
    name: 'mapping of a program',
    call: ({ s, xdp }) => s.mmap(xdp, { length: 16, offset: 0, writable: false }),
    want: 'ENODEV',
  },
  {
    name: 'a writable mapping of what programs may only read',
    call: ({ s }) => mapArray(s, F_MMAPABLE | F_RDONLY_PROG, 16),
    want: 'EACCES',
  },
  { name: 'mapping beyond the last page', call: ({ s }) => mapArray(s, F_MMAPABLE, 4097), want: 'EINVAL' },
  { name: 'mapping of nothing', call: ({ s }) => mapArray(s, F_MMAPABLE, 0), want: 'EINVAL' },
  {
    name: 'mapping of a hash map',
    call: ({ s, map }) => s.mmap(map, { length: 4096, offset: 0, writable: false }),
    want: 'ENOTSUPP',
  },
];

export const hooks: readonly ContractTest[] = [
  tableTest('programs of tp_btf', tracedSetup, tracedRows),
  tableTest('link arguments', linkSetup, linkRows),
  tableTest(
    'link updates',
    (machine) => {
      const made = linkSetup(machine);
      return { ...made, link: attachXdp(made.s, made.xdp, made.ifindex), other: load(made.s, dropAll, xdp) };
    },
    updateRows,
  ),
  tableTest('host calls', linkSetup, hostRows),
  {
    name: 'an attached program decides, and its link is the attachment',
    run: async (machine) => {
      const { s, ifindex } = linkSetup(machine);
      const packet = new Uint8Array(64);
      assert.equal(machine.receive(packet), PASS);
      const drop = load(s, dropAll, xdp);
      const { id } = progInfo(s, drop);
      const link = attachXdp(s, drop, ifindex);
      s.close(drop);
      assert.equal(machine.receive(packet), DROP);
      const info: Record<string, unknown> = { kind: 'link' };
      s.bpf('objGetInfoByFd', { bpfFd: link, info: info as never });
      assert.deepEqual([info['type'], info['progId'], info['ifindex']], [6, id, ifindex]);
      s.close(link);
      assert.equal(machine.receive(packet), PASS);
      await assertDies(s, 'progGetFdById', id);
    },
  },
  {
    name: 'a pinned link outlives its process',
    run: async (machine) => {
      const { s, ifindex } = linkSetup(machine);
      const pathname = `${machine.pinDirectory}/link`;
      s.bpf('objPin', { pathname, bpfFd: attachXdp(s, load(s, dropAll, xdp), ifindex) });
      (s as System & { end(): void }).end();
      assert.equal(machine.receive(new Uint8Array(64)), DROP);
      machine.unlink(pathname);
      await assertEventually(() => machine.receive(new Uint8Array(64)) === PASS, 'the link should be gone');
    },
  },
  {
    name: 'the lowest free fd comes next',
    run: (machine) => {
      const s = machine.spawn();
      const fds = [makeMap(s), makeMap(s), makeMap(s)] as const;
      s.close(fds[1]);
      assert.equal(s.dup(fds[0]), fds[1]);
    },
  },
  {
    name: 'fds run out, and what failed is not left behind',
    run: (machine) => {
      const s = machine.spawn();
      const first = makeMap(s);
      let last = first;
      let result: string;
      while ((result = outcome(() => (last = s.dup(first)))) === 'ok');
      assert.equal(result, 'EMFILE');
      const before = machine.bytesInUse;
      assert.equal(
        outcome(() => makeMap(s)),
        'EMFILE',
      );
      assert.equal(machine.bytesInUse, before);
      s.close(last);
      assert.equal(
        outcome(() => makeMap(s)),
        'ok',
      );
    },
  },
  {
    name: 'a mapped array and bpf() see the same values',
    run: (machine) => {
      const s = machine.spawn();
      const map = makeMap(s, { mapType: mapTypes.array.id, valueSize: 8, mapFlags: 1 << 10 });
      const mapping = s.mmap(map, { length: 32, offset: 0, writable: true });
      s.bpf('mapUpdateElem', { mapFd: map, key: u32(1), value: Uint8Array.of(...u32(77), ...u32(0)) });
      assert.equal(readU32(mapping.bytes, 8), 77);
      mapping.bytes[16] = 5;
      const value = new Uint8Array(8);
      s.bpf('mapLookupElem', { mapFd: map, key: u32(2), value });
      assert.equal(readU32(value), 5);
      assert.equal(
        outcome(() => s.bpf('mapFreeze', { mapFd: map })),
        'EBUSY',
      );
      mapping.unmap();
      assert.equal(
        outcome(() => s.bpf('mapFreeze', { mapFd: map })),
        'ok',
      );
      assert.equal(
        outcome(() => s.mmap(map, { length: 32, offset: 0, writable: true })),
        'EPERM',
      );
    },
  },
  {
    name: 'waiting ends with the time or the signal',
    run: async (machine) => {
      const s = machine.spawn();
      const map = makeMap(s);
      assert.deepEqual(await s.wait([], { timeoutMs: 1 }), []);
      const controller = new AbortController();
      const waiting = s.wait([map].slice(1), { signal: controller.signal });
      controller.abort();
      assert.deepEqual(await waiting, []);
    },
  },
];
