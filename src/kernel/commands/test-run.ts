/**
 * PROG_TEST_RUN: runs a program over a packet and a context that the caller gives. The rules differ by
 * program type: XDP and raw tracepoints are here, socket filters in test-run-skb.ts, and a tracepoint
 * program cannot be run this way (ENOTSUPP, as on Linux).
 */
import { attachTypes } from '../../uapi/attach-types.ts';
import type { BpfAttr } from '../../uapi/commands.ts';
import { xdpMd } from '../../uapi/contexts.ts';
import { progTypeName, progTypes } from '../../uapi/prog-types.ts';
import { PacketBuffer, TAILROOM, XDP_HEADROOM } from '../packet-buffer.ts';
import { ETH_HLEN } from '../sk-buff.ts';
import { RAW_ARGS_MAX } from '../tracepoints.ts';
import type { Call } from './call.ts';
import { finish, PAGE, type Run, readContext, repeatRun, testTask } from './test-run-parts.ts';
import { testRunSkb } from './test-run-skb.ts';

const runners = new Map<number, (run: Run) => void>([
  [progTypes.socket_filter.id, testRunSkb],
  [progTypes.sched_cls.id, testRunSkb],
  [progTypes.sched_act.id, testRunSkb],
  [progTypes.cgroup_skb.id, testRunSkb],
  [progTypes.xdp.id, testRunXdp],
  [progTypes.raw_tracepoint.id, testRunRawTracepoint],
]);

export function progTestRun(call: Call, attr: BpfAttr<'progTestRun'>): number {
  if ((attr.ctxIn === undefined) !== ((attr.ctxSizeIn ?? 0) === 0)) {
    throw call.fail('EINVAL', 'ctx_in and ctx_size_in go together');
  }
  if ((attr.ctxOut === undefined) !== ((attr.ctxSizeOut ?? 0) === 0)) {
    throw call.fail('EINVAL', 'ctx_out and ctx_size_out go together');
  }
  const program = call.object(attr.progFd, 'prog');
  const runner = runners.get(program.facts.type);
  if (runner === undefined) throw call.fail('ENOTSUPP', whyNot(program.facts.type));
  runner({ call, attr, program });
  return 0;
}

function whyNot(progType: number): string {
  const type = progTypeName(progType);
  return type !== undefined && progTypes[type].label === 'verified-only'
    ? `programs of type ${type} are verified-only: this kernel does not run them`
    : 'Linux has no test run for this program type';
}

/** The largest part of a packet that is in one piece (the rest is in fragments, which programs do not see). */
const XDP_LINEAR_MAX = PAGE - XDP_HEADROOM - TAILROOM;
/** Metadata: a multiple of 4, at most 252 (xdp_metalen_invalid). */
const META_MAX = 252;

/** bpf_prog_test_run_xdp() */
function testRunXdp(run: Run): void {
  const { call, attr, program } = run;
  const { expectedAttachType } = program.facts;
  if (expectedAttachType === attachTypes.xdp_devmap.id || expectedAttachType === attachTypes.xdp_cpumap.id) {
    throw call.fail('EINVAL', 'the program is for a device map or a CPU map');
  }
  if ((attr.flags ?? 0) !== 0)
    throw call.fail('EINVAL', 'of the flags, BPF_F_TEST_XDP_LIVE_FRAMES is not here');
  if ((attr.batchSize ?? 0) !== 0) throw call.fail('EINVAL', 'batch_size goes with live frames');
  const size = attr.dataSizeIn ?? 0;
  const ctx = readContext(call, attr, xdpMd.size);
  const meta = ctx?.getUint32(xdpMd.data, true) ?? 0;
  const linear = Math.min(ctx?.getUint32(xdpMd.data_end, true) ?? size, XDP_LINEAR_MAX);
  if (ctx !== undefined) checkXdpContext(call, ctx, size);
  if (size - meta < ETH_HLEN) throw call.fail('EINVAL', `a packet has at least ${ETH_HLEN} bytes`);
  const bytes = call.buffer(attr.dataIn, size, 'data_in').slice();

  const buffer = new PacketBuffer({
    memory: call.kernel.memory,
    layout: xdpMd,
    bytes: bytes.subarray(0, linear),
    before: meta,
    headroom: XDP_HEADROOM - meta,
    // A frame is a page: what is left of it is where the packet may grow.
    tailroom: PAGE - XDP_HEADROOM - (linear - meta),
  });
  try {
    buffer.setField(xdpMd.data_meta, buffer.data - meta);
    buffer.setField(xdpMd.ingress_ifindex, ctx?.getUint32(xdpMd.ingress_ifindex, true) || LOOPBACK);
    const result = repeatRun(run, buffer);
    const start = buffer.field(xdpMd.data_meta);
    if (ctx !== undefined) {
      ctx.setUint32(xdpMd.data, buffer.data - start, true);
      ctx.setUint32(xdpMd.data_end, buffer.dataEnd - start, true);
    }
    finish(run, { ...result, data: [buffer.copy(start, buffer.dataEnd), bytes.subarray(linear)], ctx });
  } finally {
    buffer.free();
  }
}

/** The device that a packet comes from when nobody says. */
const LOOPBACK = 1;

function checkXdpContext(call: Call, ctx: DataView, size: number): void {
  const field = (at: number): number => ctx.getUint32(at, true);
  const data = field(xdpMd.data);
  const dataEnd = field(xdpMd.data_end);
  if (field(xdpMd.data_meta) !== 0)
    throw call.fail('EINVAL', 'data_meta must be 0: the packet starts with its metadata');
  if (dataEnd > size || data > dataEnd)
    throw call.fail('EINVAL', 'data, data_end and the packet must be in this order');
  if (data > META_MAX || data % 4 !== 0) {
    throw call.fail('EINVAL', `metadata (up to data) has a multiple of 4 bytes, at most ${META_MAX}`);
  }
  if (field(xdpMd.egress_ifindex) !== 0) throw call.fail('EINVAL', 'egress_ifindex must be 0');
  const ifindex = field(xdpMd.ingress_ifindex);
  const queue = field(xdpMd.rx_queue_index);
  if (ifindex !== 0 && call.kernel.devices.byIndex(ifindex) === undefined) {
    throw call.fail('ENODEV', `there is no device ${ifindex}`);
  }
  if (queue !== 0) throw call.fail('EINVAL', 'a device has one receive queue, 0');
}

const F_TEST_RUN_ON_CPU = 1;

/** bpf_prog_test_run_raw_tp() */
function testRunRawTracepoint(run: Run): void {
  const { call, attr, program } = run;
  const { memory, cpus } = call.kernel;
  if (attr.dataIn !== undefined || attr.dataOut !== undefined || attr.ctxOut !== undefined) {
    throw call.fail('EINVAL', 'a raw tracepoint takes a context and no packet');
  }
  if ((attr.duration ?? 0) !== 0 || (attr.repeat ?? 0) !== 0 || (attr.batchSize ?? 0) !== 0) {
    throw call.fail('EINVAL', 'duration, repeat and batch_size must be 0');
  }
  const size = attr.ctxSizeIn ?? 0;
  if (size > 8 * RAW_ARGS_MAX || size < (program.facts.maxCtxOffset ?? 0)) {
    throw call.fail('EINVAL', `the program reads ${program.facts.maxCtxOffset ?? 0} bytes of the context`);
  }
  const onCpu = ((attr.flags ?? 0) & F_TEST_RUN_ON_CPU) !== 0;
  const cpu = attr.cpu ?? 0;
  if (!onCpu && cpu !== 0) throw call.fail('EINVAL', 'cpu goes with BPF_F_TEST_RUN_ON_CPU');
  if (cpu >= cpus) throw call.fail('ENXIO', `this kernel has ${cpus} CPUs`);
  const given = size === 0 ? new Uint8Array() : call.buffer(attr.ctxIn, size, 'ctx_in').slice();
  const ctx = memory.alloc(8 * RAW_ARGS_MAX);
  try {
    memory.u8.set(given, ctx);
    const place = { task: testTask(call), cpu, flags: 'tracing' as const };
    attr.retval = Number(BigInt.asUintN(32, call.kernel.runtime.run(program, { ctx }, place)));
  } finally {
    memory.free(ctx);
  }
}
