/** Chains of traffic control programs at a device: places, revisions, queries, and who runs when. */
import assert from 'node:assert/strict';
import { attachTypes } from '../../src/uapi/attach-types.ts';
import type { BpfAttr } from '../../src/uapi/commands.ts';
import { mapTypes } from '../../src/uapi/map-types.ts';
import { progTypes } from '../../src/uapi/prog-types.ts';
import {
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
} from './harness.ts';
import { attachXdp, dropAll, type Links, linkSetup, XDP, xdp } from './hooks.ts';

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

export const chains: readonly ContractTest[] = [
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
];
