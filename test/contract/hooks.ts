/** Links, and what `Host` adds to bpf(): fds, mappings, waiting, events, targets. */
import assert from 'node:assert/strict';
import { attachTypes } from '../../src/uapi/attach-types.ts';
import type { BpfAttr } from '../../src/uapi/commands.ts';
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

const xdp = { progType: progTypes.xdp.id };
const dropAll = 'r0 = 1\nexit';
const DROP = 1;
const PASS = 2;

interface Links {
  readonly s: System;
  readonly xdp: number;
  readonly filter: number;
  readonly tracepoint: number;
  readonly raw: number;
  readonly map: number;
  readonly ifindex: number;
}

function linkSetup(machine: Machine): Links {
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

const XDP = attachTypes.xdp.id;
const PERF_EVENT = attachTypes.perf_event.id;
const attachXdp = (s: System, progFd: number, targetIfindex: number, flags = 0): number =>
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

interface Chain extends Links {
  /** Programs for traffic control: the first is attached to the ingress chain, and to that of egress. */
  readonly cls: readonly [number, number, number];
  readonly ingress: number;
  readonly egress: number;
}

const cls = { progType: progTypes.sched_cls.id };
const INGRESS = attachTypes.tcx_ingress.id;
const EGRESS = attachTypes.tcx_egress.id;
const F_REPLACE = 4;
const F_BEFORE = 8;
const F_AFTER = 16;
const F_ID = 32;
const F_LINK = 1 << 13;

type LinkAttr = BpfAttr<'linkCreate'>;

/** Attaches to the ingress chain unless `attr` says otherwise. */
const chained = ({ s, ifindex }: Links, progFd: number, attr: LinkAttr = {}): number =>
  s.bpf('linkCreate', { progFd, targetIfindex: ifindex, attachType: INGRESS, ...attr });

function chainSetup(machine: Machine): Chain {
  const made = linkSetup(machine);
  const programs = [
    load(made.s, returnZero, cls),
    load(made.s, returnZero, cls),
    load(made.s, returnZero, cls),
  ];
  const [first = 0, second = 0, third = 0] = programs;
  return {
    ...made,
    cls: [first, second, third],
    ingress: chained(made, first),
    egress: chained(made, first, { attachType: EGRESS }),
  };
}

/** The second program at a place, and off again. */
const atPlace = (chain: Chain, attr: LinkAttr): void => chain.s.close(chained(chain, chain.cls[1], attr));

const linkIdOf = ({ s }: Links, bpfFd: number): number => {
  const info: { kind: 'link'; id?: number } = { kind: 'link' };
  s.bpf('objGetInfoByFd', { bpfFd, info });
  return info.id ?? 0;
};

const chainRows: readonly Row<Chain>[] = [
  { name: 'at the end', call: (c) => atPlace(c, {}), want: 'ok' },
  { name: 'at the start', call: (c) => atPlace(c, { flags: F_BEFORE }), want: 'ok' },
  {
    name: 'before a program',
    call: (c) => atPlace(c, { flags: F_BEFORE, relativeFd: c.cls[0] }),
    want: 'ok',
  },
  {
    name: 'after a link',
    call: (c) => atPlace(c, { flags: F_AFTER | F_LINK, relativeFd: c.ingress }),
    want: 'ok',
  },
  {
    name: 'before a program by its id',
    call: (c) => atPlace(c, { flags: F_BEFORE | F_ID, relativeId: progInfo(c.s, c.cls[0]).id }),
    want: 'ok',
  },
  {
    name: 'before a link by its id',
    call: (c) => atPlace(c, { flags: F_BEFORE | F_ID | F_LINK, relativeId: linkIdOf(c, c.ingress) }),
    want: 'ok',
  },
  {
    name: 'before the link of another chain',
    call: (c) => atPlace(c, { flags: F_BEFORE | F_LINK, relativeFd: c.egress }),
    want: 'ENOENT',
  },
  {
    name: 'before a program that is not there',
    call: (c) => atPlace(c, { flags: F_BEFORE, relativeFd: c.cls[2] }),
    want: 'ENOENT',
  },
  {
    name: 'a program for a link',
    call: (c) => atPlace(c, { flags: F_BEFORE | F_LINK, relativeFd: c.cls[0] }),
    want: 'EINVAL',
  },
  {
    name: 'a link for a program',
    call: (c) => atPlace(c, { flags: F_BEFORE, relativeFd: c.ingress }),
    want: 'EINVAL',
  },
  { name: 'a neighbour without a side', call: (c) => atPlace(c, { relativeFd: c.cls[0] }), want: 'EINVAL' },
  { name: 'both sides', call: (c) => atPlace(c, { flags: F_BEFORE | F_AFTER }), want: 'ERANGE' },
  {
    name: 'both sides of a program',
    call: (c) => atPlace(c, { flags: F_BEFORE | F_AFTER, relativeFd: c.cls[0] }),
    want: 'ERANGE',
  },
  { name: 'no such fd', call: (c) => atPlace(c, { flags: F_BEFORE, relativeFd: 999 }), want: 'EBADF' },
  {
    name: 'no such id of a program',
    call: (c) => atPlace(c, { flags: F_BEFORE | F_ID, relativeId: 0x7fffffff }),
    want: 'ENOENT',
  },
  {
    name: 'no such id of a link',
    call: (c) => atPlace(c, { flags: F_BEFORE | F_ID | F_LINK, relativeId: 0x7fffffff }),
    want: 'ENOENT',
  },
  {
    name: 'in the place of what a link holds',
    call: (c) => atPlace(c, { flags: F_REPLACE, relativeFd: c.cls[0] }),
    want: 'ENOENT',
  },
  { name: 'an unknown flag', call: (c) => atPlace(c, { flags: 1 }), want: 'EINVAL' },
  { name: 'the same program again', call: (c) => chained(c, c.cls[0]), want: 'EEXIST' },
  { name: 'a revision that was', call: (c) => atPlace(c, { expectedRevision: 1n }), want: 'ESTALE' },
  { name: 'no such device', call: (c) => atPlace(c, { targetIfindex: 9999 }), want: 'ENODEV' },
  { name: 'another type of program', call: (c) => chained(c, c.xdp), want: 'EINVAL' },
  { name: 'another attach type', call: (c) => atPlace(c, { attachType: XDP }), want: 'EINVAL' },
  {
    name: 'update to another type',
    call: ({ s, ingress, xdp }) => s.bpf('linkUpdate', { linkFd: ingress, newProgFd: xdp }),
    want: 'EINVAL',
  },
  {
    name: 'update that expects another program',
    call: ({ s, ingress, cls }) =>
      s.bpf('linkUpdate', { linkFd: ingress, newProgFd: cls[1], flags: F_REPLACE, oldProgFd: cls[2] }),
    want: 'EPERM',
  },
  {
    name: 'update to the same program',
    call: ({ s, ingress, cls }) => s.bpf('linkUpdate', { linkFd: ingress, newProgFd: cls[0] }),
    want: 'ok',
  },
  {
    name: 'update',
    call: ({ s, ingress, cls }) => s.bpf('linkUpdate', { linkFd: ingress, newProgFd: cls[1] }),
    want: 'ok',
  },
  { name: 'one more behind it', call: (c) => chained(c, c.cls[2]), want: 'ok' },
  {
    name: 'update to a program of the chain',
    call: ({ s, ingress, cls }) => s.bpf('linkUpdate', { linkFd: ingress, newProgFd: cls[2] }),
    want: 'EEXIST',
  },
  { name: 'detach', call: ({ s, ingress }) => s.bpf('linkDetach', { linkFd: ingress }), want: 'ok' },
  { name: 'detach again', call: ({ s, ingress }) => s.bpf('linkDetach', { linkFd: ingress }), want: 'ok' },
  {
    name: 'update once detached',
    call: ({ s, ingress, cls }) => s.bpf('linkUpdate', { linkFd: ingress, newProgFd: cls[0] }),
    want: 'ENOLINK',
  },
  {
    name: 'query of no device',
    call: ({ s }) => s.bpf('progQuery', { targetIfindex: 9999, attachType: INGRESS }),
    want: 'ENODEV',
  },
  {
    name: 'query with a flag',
    call: ({ s, ifindex }) =>
      s.bpf('progQuery', { targetIfindex: ifindex, attachType: INGRESS, queryFlags: 1 }),
    want: 'EINVAL',
  },
];

/** What a chain has: ids of its programs in order, and its revision. */
function queried({ s, ifindex }: Links, attachType: number): { programs: number[]; revision: bigint } {
  const progIds = new Uint8Array(16);
  const attr = { targetIfindex: ifindex, attachType, progIds, count: 4, revision: 0n };
  s.bpf('progQuery', attr);
  const programs = Array.from({ length: attr.count }, (_, i) => readU32(progIds, 4 * i));
  return { programs, revision: attr.revision };
}

/** A program that writes its digit behind those that are in an array's only element, and returns a verdict. */
const writesDigit = (map: number, digit: number, verdict: number): string => `
  r1 = 0
  *(u32 *)(r10 - 4) = r1
  r2 = r10
  r2 += -4
  r1 = map[fd:${map}]
  call 1
  if r0 == 0 goto +4
  r1 = *(u32 *)(r0 + 0)
  r1 *= 10
  r1 += ${digit}
  *(u32 *)(r0 + 0) = r1
  r0 = ${verdict}
  exit`;

const TCX_NEXT = -1;
const TCX_PASS = 0;

export const hooks: readonly ContractTest[] = [
  { ...tableTest('places in a chain', chainSetup, chainRows), since: '6.6' },
  {
    name: 'programs of a chain run in order until one decides',
    since: '6.6',
    run: (machine) => {
      const made = linkSetup(machine);
      const { s } = made;
      const map = makeMap(s, { mapType: mapTypes.array.id, maxEntries: 1 });
      const written = (): number => {
        const value = new Uint8Array(4);
        s.bpf('mapLookupElem', { mapFd: map, key: u32(0), value });
        s.bpf('mapUpdateElem', { mapFd: map, key: u32(0), value: u32(0) });
        return readU32(value);
      };
      const digit = (value: number, verdict: number): number =>
        load(s, writesDigit(map, value, verdict), cls);
      const packet = new Uint8Array(64);
      const one = digit(1, TCX_NEXT);
      const link = chained(made, one);
      const two = chained(made, digit(2, TCX_NEXT));
      chained(made, digit(3, TCX_NEXT), { flags: F_BEFORE | F_LINK, relativeFd: two });
      chained(made, digit(4, TCX_NEXT), { flags: F_BEFORE });
      machine.receive(packet);
      assert.equal(written(), 4132);
      assert.equal(queried(made, INGRESS).programs.length, 4);
      assert.equal(queried(made, INGRESS).programs[1], progInfo(s, one).id);
      s.bpf('linkUpdate', { linkFd: link, newProgFd: digit(5, TCX_PASS) });
      machine.receive(packet);
      assert.equal(written(), 45);
      const drop = attachXdp(s, load(s, dropAll, xdp), made.ifindex);
      machine.receive(packet);
      assert.equal(written(), 0, 'XDP comes first');
      s.close(drop);
      s.close(link);
      machine.receive(packet);
      assert.equal(written(), 432);
    },
  },
  {
    name: 'every change of a chain is another revision',
    since: '6.6',
    run: (machine) => {
      const made = chainSetup(machine);
      const { s } = made;
      const revisions = [queried(made, INGRESS).revision];
      const link = chained(made, made.cls[1]);
      revisions.push(queried(made, INGRESS).revision);
      s.bpf('linkUpdate', { linkFd: link, newProgFd: made.cls[2] });
      revisions.push(queried(made, INGRESS).revision);
      s.close(link);
      revisions.push(queried(made, INGRESS).revision);
      assert.deepEqual(revisions, [2n, 3n, 4n, 5n]);
      s.close(chained(made, made.cls[1], { expectedRevision: 5n }));
      s.close(made.ingress);
      assert.deepEqual(queried(made, INGRESS), { programs: [], revision: 1n });
      const short = { targetIfindex: made.ifindex, attachType: EGRESS, progIds: new Uint8Array(4), count: 1 };
      chained(made, made.cls[1], { attachType: EGRESS });
      assert.equal(
        outcome(() => s.bpf('progQuery', short)),
        'ENOSPC',
      );
      assert.equal(short.count, 2);
      assert.equal(readU32(short.progIds), progInfo(s, made.cls[0]).id);
    },
  },
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
