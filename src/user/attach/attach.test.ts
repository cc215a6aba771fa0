/**
 * What the kernel is asked for each way to attach, on one that only writes down the calls: the fields of commands,
 * the events, the messages; that what was opened on the way is closed again; and what is missing is said.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect, isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { SkepError } from '../../base/errors.ts';
import { sectionMeaning, sectionTable } from '../../object/sections.ts';
import { type AttachKindName, attachKinds } from '../../uapi/attach-kinds.ts';
import { type AttachTypeName, attachTypes } from '../../uapi/attach-types.ts';
import { type Cmd, commands } from '../../uapi/commands.ts';
import { BpfError } from '../../uapi/errno.ts';
import type { PerfEventAttr, System } from '../../uapi/seam.ts';
import { Link } from '../link.ts';
import { type Attachable, type AttachOptions, attachKind, attachProgram } from './index.ts';
import { matcher } from './probes.ts';

const PROGRAM = 3;
const FIRST = 10;
const IFINDEX = 7;

type Record = readonly [what: string, ...arguments_: unknown[]];

/** A kernel that does as it is told. */
class Recorder {
  readonly calls: Record[] = [];
  readonly open = new Set<number>();
  #next = FIRST;
  /** Commands that fail, with their errno. */
  readonly failing = new Map<Cmd, BpfError>();
  version = (6 << 16) | (18 << 8);

  readonly system = {
    bpf: (cmd: Cmd, attr: object): number => {
      const said = Object.fromEntries(Object.entries(attr).filter(([, value]) => value !== undefined));
      this.calls.push([cmd, said]);
      const failure = this.failing.get(cmd);
      if (failure !== undefined) throw failure;
      // The question whether perf events have links.
      if (cmd === 'linkCreate' && said['targetFd'] === 0xffff_ffff) throw new BpfError('EBADF', 'probe');
      return commands[cmd].returns === 'fd' ? this.#fd() : 0;
    },
    close: (fd: number): void => {
      assert.ok(this.open.delete(fd), `fd ${fd} is closed that is not open`);
    },
    dup: () => this.#fd(),
    perfEventOpen: (attr: PerfEventAttr): number => {
      this.calls.push(['perfEventOpen', attr]);
      return this.#fd();
    },
    ioctl: (...call: unknown[]): number => {
      this.calls.push(['ioctl', ...call]);
      return 0;
    },
    setsockopt: (...call: unknown[]): void => {
      this.calls.push(['setsockopt', ...call]);
    },
    netlink: (message: Uint8Array): Uint8Array[] => {
      this.calls.push(['netlink', new DataView(message.buffer).getUint16(4, true)]);
      // The answer to a new filter: a message with its place.
      return [new Uint8Array(64)];
    },
    resolveTarget: (kind: string, name: string): number => {
      this.calls.push(['resolveTarget', kind, name]);
      return { netdev: IFINDEX, tracepoint: 99, pmu: 6 }[kind] ?? this.#fd();
    },
    kernelFunctions: (wanted: (name: string) => boolean) =>
      ['tcp_close', 'tcp_open'].filter(wanted).map((name, i) => ({ name, address: BigInt(i) })),
    symbolAddress: (name: string) => (name === '__x64_sys_read' ? 0x1000n : undefined),
    binaryFunctions: (path: string, wanted: (name: string) => boolean) => ({
      path: `/lib/${path}`,
      functions: ['malloc', 'free'].filter(wanted).map((name) => ({ name, offset: 0x100n, global: true })),
    }),
    binaryProbes: (path: string, wanted: (provider: string, name: string) => boolean) => ({
      path: `/lib/${path}`,
      machine: undefined,
      isFixed: false,
      probes: [1n, 2n]
        .map((place) => ({
          provider: 'toy',
          name: 'twice',
          offset: place,
          address: place,
          semaphore: 8n,
          args: '',
        }))
        .filter(({ provider, name }) => wanted(provider, name)),
    }),
    defineProbe: (...call: unknown[]): void => {
      this.calls.push(['defineProbe', ...call]);
    },
    kernelVersion: () => this.version,
    possibleCpus: () => 2,
  } as unknown as System;

  #fd(): number {
    this.open.add(this.#next);
    return this.#next++;
  }
}

/** A loaded program of a section. */
function program(section: string): Attachable {
  const { progType, expectedAttachType, attachTo } = sectionMeaning(section);
  return { name: 'p', type: progType, fd: PROGRAM, section, expectedAttachType, attachTo };
}

const words = (...values: bigint[]): Uint8Array => new Uint8Array(BigUint64Array.from(values).buffer);
const event = (type: number, more: Partial<PerfEventAttr>): Record => [
  'perfEventOpen',
  { type, config: 0n, pid: -1, cpu: 0, ...more },
];
const create = (fields: object): Record => ['linkCreate', { progFd: PROGRAM, ...fields }];
const perfLink = (targetFd: number, more: object = {}): Record =>
  create({ targetFd, attachType: attachTypes.perf_event.id, ...more });
const id = (name: AttachTypeName): number => attachTypes[name].id;
const device = 'eth0';

describe('what the kernel is asked', () => {
  const cases: { section: string; options?: AttachOptions; want: readonly Record[] }[] = [
    {
      section: 'tracepoint/sched/sched_switch',
      want: [['resolveTarget', 'tracepoint', 'sched/sched_switch'], event(2, { config: 99n }), perfLink(11)],
    },
    {
      section: 'tp/sched/sched_switch',
      options: { cookie: 5n },
      want: [
        ['resolveTarget', 'tracepoint', 'sched/sched_switch'],
        event(2, { config: 99n }),
        perfLink(11, { bpfCookie: 5n }),
      ],
    },
    { section: 'raw_tp/sys_enter', want: [['rawTracepointOpen', { progFd: PROGRAM, name: 'sys_enter' }]] },
    { section: 'raw_tp.w/sys_exit', want: [['rawTracepointOpen', { progFd: PROGRAM, name: 'sys_exit' }]] },
    {
      section: 'kprobe/do_exit+0x10',
      want: [
        ['resolveTarget', 'pmu', 'kprobe'],
        event(6, { config1: 'do_exit', config2: 16n }),
        perfLink(11),
      ],
    },
    {
      section: 'kretprobe/do_exit',
      want: [
        ['resolveTarget', 'pmu', 'kprobe'],
        event(6, { config: 1n, config1: 'do_exit', config2: 0n }),
        perfLink(11),
      ],
    },
    {
      section: 'kretsyscall/read',
      want: [
        ['resolveTarget', 'pmu', 'kprobe'],
        event(6, { config: 1n, config1: '__x64_sys_read', config2: 0n }),
        perfLink(11),
      ],
    },
    {
      section: 'kprobe.multi/tcp_*',
      want: [
        create({
          attachType: id('trace_kprobe_multi'),
          kprobeMultiFlags: 0,
          kprobeMultiCnt: 2,
          kprobeMultiAddrs: words(0n, 1n),
        }),
      ],
    },
    {
      section: 'kretprobe.multi/tcp_*',
      options: { functions: ['tcp_open'], cookie: 3n },
      want: [
        create({
          attachType: id('trace_kprobe_multi'),
          kprobeMultiFlags: 1,
          kprobeMultiCnt: 1,
          kprobeMultiAddrs: words(0n),
          kprobeMultiCookies: words(3n),
        }),
      ],
    },
    {
      section: 'uprobe/libc.so.6:malloc+8',
      want: [
        ['resolveTarget', 'pmu', 'uprobe'],
        event(6, { config1: '/lib/libc.so.6', config2: 0x108n }),
        perfLink(11),
      ],
    },
    {
      section: 'uretprobe/libc.so.6:0x40',
      options: { pid: 12 },
      want: [
        ['resolveTarget', 'pmu', 'uprobe'],
        event(6, { config: 1n, config1: '/lib/libc.so.6', config2: 0x40n, pid: 12, cpu: -1 }),
        perfLink(11),
      ],
    },
    {
      section: 'uprobe',
      options: { binary: 'a.out', offset: 64 },
      want: [
        ['resolveTarget', 'pmu', 'uprobe'],
        event(6, { config1: '/lib/a.out', config2: 64n }),
        perfLink(11),
      ],
    },
    {
      section: 'uretprobe.multi/libc.so.6:m*',
      options: { pid: 12 },
      want: [
        create({
          attachType: id('trace_uprobe_multi'),
          uprobeMultiPath: '/lib/libc.so.6',
          uprobeMultiOffsets: words(0x100n),
          uprobeMultiCnt: 1,
          uprobeMultiFlags: 1,
          uprobeMultiPid: 12,
        }),
      ],
    },
    {
      section: 'usdt/libc.so.6:toy:twice',
      want: [
        ['resolveTarget', 'pmu', 'uprobe'],
        event(6, { config: 8n << 32n, config1: '/lib/libc.so.6', config2: 1n }),
        perfLink(11),
        event(6, { config: 8n << 32n, config1: '/lib/libc.so.6', config2: 2n }),
        perfLink(13),
      ],
    },
    {
      section: 'fentry/do_exit',
      options: { cookie: 1n },
      want: [create({ attachType: id('trace_fentry'), tracingCookie: 1n })],
    },
    { section: 'lsm/file_open', want: [create({ attachType: id('lsm_mac') })] },
    { section: 'freplace/f', want: [['rawTracepointOpen', { progFd: PROGRAM }]] },
    { section: 'iter/task', want: [create({ attachType: id('trace_iter') })] },
    {
      section: 'iter/bpf_map_elem',
      options: { map: { fd: 5 } },
      want: [
        create({
          attachType: id('trace_iter'),
          iterInfo: Uint8Array.of(5, ...new Uint8Array(15)),
          iterInfoLen: 16,
        }),
      ],
    },
    {
      section: 'perf_event',
      options: { event: { type: 1, config: 3, frequency: 99 } },
      want: [
        event(1, { config: 3n, sampleFrequency: 99n }),
        perfLink(11),
        event(1, { config: 3n, sampleFrequency: 99n, cpu: 1 }),
        perfLink(13),
      ],
    },
    {
      section: 'perf_event',
      options: { event: { type: 0, period: 1000 }, pid: 12 },
      want: [event(0, { samplePeriod: 1000n, pid: 12, cpu: -1 }), perfLink(11)],
    },
    {
      section: 'xdp',
      options: { device, mode: 'native' },
      want: [
        ['resolveTarget', 'netdev', device],
        create({ targetIfindex: IFINDEX, attachType: id('xdp'), flags: 4 }),
      ],
    },
    { section: 'xdp', options: { device: 2, legacy: true }, want: [['netlink', 19]] },
    {
      section: 'tcx/egress',
      options: { device, place: 'first', expectedRevision: 4n },
      want: [
        ['resolveTarget', 'netdev', device],
        create({ targetIfindex: IFINDEX, attachType: id('tcx_egress'), flags: 8, expectedRevision: 4n }),
      ],
    },
    {
      section: 'tcx/ingress',
      options: { device: 2, before: { fd: 6 } },
      want: [create({ targetIfindex: 2, attachType: id('tcx_ingress'), flags: 8, relativeFd: 6 })],
    },
    {
      section: 'tc',
      options: { device: 2, attachType: 'tcx_ingress' },
      want: [create({ targetIfindex: 2, attachType: id('tcx_ingress'), flags: 0 })],
    },
    {
      section: 'tc',
      options: { device: 2, attachType: 'tcx_ingress', legacy: true },
      want: [
        ['netlink', 36],
        ['netlink', 44],
      ],
    },
    {
      section: 'netkit/peer',
      options: { device: 2, place: 'last' },
      want: [create({ targetIfindex: 2, attachType: id('netkit_peer'), flags: 16 })],
    },
    {
      section: 'netfilter',
      options: { netfilter: { family: 'ipv6', hook: 'forward', priority: -5, defragment: true } },
      want: [
        create({
          attachType: id('netfilter'),
          netfilterPf: 10,
          netfilterHooknum: 2,
          netfilterPriority: -5,
          netfilterFlags: 1,
        }),
      ],
    },
    {
      section: 'cgroup/connect4',
      options: { cgroup: '/c' },
      want: [
        ['resolveTarget', 'cgroup', '/c'],
        create({ targetFd: 10, attachType: id('cgroup_inet4_connect'), flags: 0 }),
      ],
    },
    {
      section: 'cgroup/skb',
      options: { cgroup: '/c', attachType: 'cgroup_inet_egress', legacy: true },
      want: [
        ['resolveTarget', 'cgroup', '/c'],
        [
          'progAttach',
          { targetFd: 11, attachBpfFd: 12, attachType: id('cgroup_inet_egress'), attachFlags: 2 },
        ],
      ],
    },
    {
      section: 'sk_lookup',
      want: [
        ['resolveTarget', 'netns', '/proc/thread-self/ns/net'],
        create({ targetFd: 10, attachType: id('sk_lookup') }),
      ],
    },
    {
      section: 'sk_msg',
      options: { map: { fd: 5 } },
      want: [create({ targetFd: 5, attachType: id('sk_msg_verdict') })],
    },
    {
      section: 'socket',
      options: { socket: 8 },
      want: [['setsockopt', 10, { level: 1, name: 50, value: PROGRAM }]],
    },
    {
      section: 'sk_reuseport',
      options: { socket: 8 },
      want: [['setsockopt', 10, { level: 1, name: 52, value: PROGRAM }]],
    },
  ];
  /** Whether perf events have links is asked of each kernel once. */
  const isProbe = ([what, attr]: Record): boolean =>
    what === 'progLoad' ||
    (what === 'linkCreate' && (attr as { targetFd?: number }).targetFd === 0xffff_ffff);

  for (const { section, options = {}, want } of cases) {
    test(`${section} ${JSON.stringify(options, (_, v) => (typeof v === 'bigint' ? String(v) : v))}`, () => {
      const recorder = new Recorder();
      const attachment = attachProgram(recorder.system, program(section), options);
      assert.deepEqual(
        recorder.calls.filter((call) => !isProbe(call)),
        want,
      );
      new Link(recorder.system, attachment).close();
      assert.deepEqual([...recorder.open], [], 'every fd is closed');
    });
  }
});

describe('as on older kernels', () => {
  const noLinks = new Map<Cmd, BpfError>([['linkCreate', new BpfError('EINVAL', 'BPF_LINK_CREATE')]]);
  const cases: { name: string; section: string; options: AttachOptions; version: number; want: Record }[] = [
    {
      name: 'events take a program by ioctl',
      section: 'tp/a/b',
      options: {},
      version: 0x050a00,
      want: ['ioctl', 11, 0x40042408, PROGRAM],
    },
    {
      name: 'XDP goes by netlink',
      section: 'xdp',
      options: { device: 2 },
      version: 0x050800,
      want: ['netlink', 19],
    },
    {
      name: 'cgroups take a program by BPF_PROG_ATTACH',
      section: 'cgroup/dev',
      options: { cgroup: '/c' },
      version: 0x050600,
      want: [
        'progAttach',
        { targetFd: 11, attachBpfFd: 12, attachType: id('cgroup_device'), attachFlags: 2 },
      ],
    },
    {
      name: 'tc has filters',
      section: 'tc',
      options: { device: 2, attachType: 'tcx_egress' },
      version: 0x060100,
      want: ['netlink', 44],
    },
    {
      name: 'traced functions are raw tracepoints without a name',
      section: 'fexit/f',
      options: {},
      version: 0x050a00,
      want: ['rawTracepointOpen', { progFd: PROGRAM }],
    },
  ];
  for (const { name, section, options, version, want } of cases) {
    test(name, () => {
      const recorder = new Recorder();
      recorder.version = version;
      for (const [cmd, error] of noLinks) recorder.failing.set(cmd, error);
      const attachment = attachProgram(recorder.system, program(section), options);
      const done = recorder.calls.some((call) => isDeepStrictEqual(call, want));
      assert.ok(done, inspect(recorder.calls));
      new Link(recorder.system, attachment).close();
      assert.deepEqual([...recorder.open], [], 'every fd is closed');
    });
  }
});

describe('what is missing or not there', () => {
  const cases: { section: string; options?: AttachOptions; want: RegExp }[] = [
    {
      section: 'kprobe',
      want: /does not say which function to attach to \(attach\(\{ function: 'do_exit' \}\)\)/,
    },
    { section: 'kprobe.multi', want: /which functions to attach to/ },
    { section: 'kprobe.multi/udp_*', want: /the kernel has no function 'udp_\*' that can be probed/ },
    { section: 'ksyscall/nosuch', want: /no function of a system call 'nosuch'/ },
    { section: 'uprobe', want: /which executable to attach to/ },
    { section: 'uprobe/libc.so.6:calloc', want: /\/lib\/libc\.so\.6 has no function 'calloc'/ },
    { section: 'usdt', want: /which executable to attach to/ },
    { section: 'usdt', options: { binary: 'libc.so.6' }, want: /which probe to attach to/ },
    {
      section: 'usdt/libc.so.6:toy:nosuch',
      want: /\/lib\/libc\.so\.6 has no probe 'toy:nosuch' \(readelf -n/,
    },
    { section: 'perf_event', want: /which event to attach to/ },
    { section: 'xdp', want: /which device to attach to/ },
    { section: 'tc', options: { device }, want: /which way packets go/ },
    { section: 'cgroup/dev', want: /which cgroup to attach to/ },
    { section: 'netfilter', want: /which hook to attach to/ },
    { section: 'sk_msg', want: /which map to attach to/ },
    { section: 'sk_skb', options: { map: { fd: 5 } }, want: /does not say for what/ },
    { section: 'socket', want: /which socket to attach to/ },
    { section: 'action', want: /a sched_act program cannot be attached \(run it with testRun/ },
    { section: 'struct_ops/open', want: /attach the map of its struct/ },
    {
      section: 'tcx/ingress',
      options: { device, before: { fd: 1 }, place: 'last' },
      want: /one place for it/,
    },
    {
      section: 'xdp',
      options: { attachType: 'toString' as AttachTypeName },
      want: /no attach type 'toString'/,
    },
  ];
  for (const { section, options = {}, want } of cases) {
    test(`${section} ${JSON.stringify(options)}`, () => {
      const recorder = new Recorder();
      assert.throws(
        () => attachProgram(recorder.system, program(section), options),
        (error) => error instanceof SkepError && want.test(error.line),
      );
      assert.deepEqual([...recorder.open], [], 'every fd is closed');
    });
  }

  test('a kernel that was built without it', () => {
    const recorder = new Recorder();
    recorder.failing.set('linkCreate', new BpfError('ENOTSUP', 'BPF_LINK_CREATE'));
    assert.throws(
      () => attachProgram(recorder.system, program('kprobe.multi/tcp_*'), {}),
      (error) => error instanceof BpfError && error.hint === 'this kernel was built without CONFIG_FPROBE',
    );
  });
});

test('every section has a way to attach, or is known to have none', () => {
  const none = [
    'action',
    'lirc_mode2',
    'lwt_in',
    'lwt_out',
    'lwt_seg6local',
    'lwt_xmit',
    'struct_ops',
    'syscall',
  ];
  const used = new Set<AttachKindName>();
  for (const [section, { target }] of Object.entries(sectionTable)) {
    const kind = attachKind(program(target === undefined ? section : `${section}/x`));
    if (kind !== undefined) used.add(kind);
    assert.equal(kind === undefined, none.includes(section.replace(/\.s$/, '')), section);
  }
  assert.deepEqual([...used].sort(), Object.keys(attachKinds).sort());
});

test('a pattern matches what the regular expression of it matches', () => {
  const letters = fc.constantFrom('a', 'b', '_');
  const pattern = fc.array(fc.oneof(letters, fc.constantFrom('*', '?')), { maxLength: 8 });
  const name = fc.array(letters, { maxLength: 10 });
  fc.assert(
    fc.property(pattern, name, (parts, text) => {
      const regular = parts.join('').replace(/[*?]/g, (wild) => (wild === '*' ? '.*' : '.'));
      assert.equal(matcher(parts.join(''))(text.join('')), new RegExp(`^${regular}$`).test(text.join('')));
    }),
  );
  // What backtracking would take for ever.
  assert.equal(matcher(`${'a*'.repeat(2000)}b`)('a'.repeat(2000)), false);
});
