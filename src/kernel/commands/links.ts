/** Attaching: RAW_TRACEPOINT_OPEN, LINK_CREATE, LINK_UPDATE, LINK_DETACH, and PROG_BIND_MAP. */
import { attachTypes } from '../../uapi/attach-types.ts';
import type { BpfAttr } from '../../uapi/commands.ts';
import { progTypes } from '../../uapi/prog-types.ts';
import { PerfEventLink, RawTracepointLink, XdpLink } from '../objects/links.ts';
import type { ProgObject } from '../objects/program.ts';
import type { Call } from './call.ts';
import { createTcxLink } from './chains.ts';

export function rawTracepointOpen(call: Call, attr: BpfAttr<'rawTracepointOpen'>): number {
  const program = call.object(attr.progFd, 'prog');
  const name = rawTracepointName(call, program, attr.name);
  const tracepoint = call.kernel.tracepoints.byRawName(name);
  if (tracepoint === undefined) throw call.fail('ENOENT', `this kernel has no raw tracepoint ${name}`);
  if ((program.facts.maxCtxOffset ?? 0) > 8 * tracepoint.rawArgCount) {
    throw call.fail(
      'EINVAL',
      `the program reads more than the ${tracepoint.rawArgCount} arguments of ${name}`,
    );
  }
  return call.fds.install(new RawTracepointLink(program, tracepoint, call.kernel.links));
}

/** What a program of tp_btf attaches to was said when it was loaded; others say it now. */
function rawTracepointName(call: Call, program: ProgObject, name: string | undefined): string {
  const { type, attachTo } = program.facts;
  if (type === progTypes.tracing.id) {
    if (name !== undefined) throw call.fail('EINVAL', 'the program was loaded for its tracepoint');
    if (attachTo === undefined) throw call.fail('EINVAL', 'the program is for no tracepoint');
    return attachTo;
  }
  if (type !== progTypes.raw_tracepoint.id) {
    throw call.fail('EINVAL', 'the program is no raw tracepoint program');
  }
  if (name === undefined) throw call.fail('EFAULT', 'the name of the tracepoint is missing');
  return name;
}

/** LINK_CREATE of what was loaded for its target, which is RAW_TRACEPOINT_OPEN by another name. */
function createTracingLink(call: Call, attr: BpfAttr<'linkCreate'>, program: ProgObject): number {
  if ((attr.flags ?? 0) !== 0) throw call.fail('EINVAL', 'a tracing link takes no flags');
  if (attr.attachType !== program.facts.expectedAttachType) {
    throw call.fail('EINVAL', 'the program was loaded for another attach type');
  }
  return rawTracepointOpen(call, { progFd: attr.progFd });
}

type CreateLink = (call: Call, attr: BpfAttr<'linkCreate'>, program: ProgObject) => number;

interface LinkKind {
  readonly attachTypes: readonly number[];
  readonly create: CreateLink;
}

/** By program type; the attach type must be one that goes with it. */
const linkKinds = new Map<number, LinkKind>([
  [progTypes.xdp.id, { attachTypes: [attachTypes.xdp.id], create: createXdpLink }],
  [progTypes.tracepoint.id, { attachTypes: [attachTypes.perf_event.id], create: createPerfEventLink }],
  [progTypes.tracing.id, { attachTypes: [attachTypes.trace_raw_tp.id], create: createTracingLink }],
  [
    progTypes.sched_cls.id,
    { attachTypes: [attachTypes.tcx_ingress.id, attachTypes.tcx_egress.id], create: createTcxLink },
  ],
]);

export function linkCreate(call: Call, attr: BpfAttr<'linkCreate'>): number {
  const program = call.object(attr.progFd, 'prog');
  const kind = linkKinds.get(program.facts.type);
  if (kind === undefined || !kind.attachTypes.includes(attr.attachType ?? 0)) {
    throw call.fail('EINVAL', `attach type ${attr.attachType ?? 0} is not for this type of program`);
  }
  return kind.create(call, attr, program);
}

/** XDP_FLAGS_SKB_MODE, DRV_MODE and HW_MODE; a link takes no other flags. */
const XDP_SKB_MODE = 2;
const XDP_DRV_MODE = 4;
const XDP_HW_MODE = 8;
const xdpModes = [0, XDP_SKB_MODE, XDP_DRV_MODE, XDP_HW_MODE];

/** bpf_xdp_link_attach() */
function createXdpLink(call: Call, attr: BpfAttr<'linkCreate'>, program: ProgObject): number {
  const ifindex = attr.targetIfindex ?? attr.targetFd ?? 0;
  const device = call.kernel.devices.byIndex(ifindex);
  if (device === undefined) throw call.fail('EINVAL', `there is no device ${ifindex}`);
  const flags = attr.flags ?? 0;
  if (!xdpModes.includes(flags)) throw call.fail('EINVAL', `flags ${flags}: at most one XDP mode`);
  if (flags === XDP_HW_MODE) throw call.fail('ENOTSUP', 'devices here do not run programs themselves');
  const { expectedAttachType } = program.facts;
  if (expectedAttachType === attachTypes.xdp_devmap.id || expectedAttachType === attachTypes.xdp_cpumap.id) {
    throw call.fail('EINVAL', 'the program is for a device map or a CPU map');
  }
  if (device.xdp !== undefined) throw call.fail('EBUSY', `${device.name} has an XDP program`);
  return call.fds.install(new XdpLink(program, device, call.kernel.links));
}

/** bpf_perf_link_attach() */
function createPerfEventLink(call: Call, attr: BpfAttr<'linkCreate'>, program: ProgObject): number {
  if ((attr.flags ?? 0) !== 0) throw call.fail('EINVAL', 'a perf event link takes no flags');
  const event = call.fds.lookup(attr.targetFd ?? 0, 'perf_event');
  if (typeof event === 'string') throw call.fail('EBADF', `fd ${attr.targetFd ?? 0} is no perf event`);
  if ((program.facts.maxCtxOffset ?? 0) > event.tracepoint.recordSize) {
    throw call.fail('EACCES', `the program reads beyond the record of ${event.tracepoint.name}`);
  }
  if (event.attached) throw call.fail('EEXIST', 'the perf event has a program');
  return call.fds.install(new PerfEventLink(program, event, call.kernel.links));
}

const F_REPLACE = 4;

export function linkUpdate(call: Call, attr: BpfAttr<'linkUpdate'>): number {
  const flags = attr.flags ?? 0;
  if ((flags & ~F_REPLACE) !== 0) throw call.fail('EINVAL', 'the only flag is BPF_F_REPLACE');
  const link = call.object(attr.linkFd, 'link');
  const next = call.object(attr.newProgFd, 'prog');
  if (flags === 0 && (attr.oldProgFd ?? 0) !== 0)
    throw call.fail('EINVAL', 'old_prog_fd goes with BPF_F_REPLACE');
  const expected = flags === 0 ? undefined : call.object(attr.oldProgFd, 'prog');
  const errno = link.update(next, expected);
  if (errno !== undefined) throw call.fail(errno);
  return 0;
}

export function linkDetach(call: Call, attr: BpfAttr<'linkDetach'>): number {
  const errno = call.object(attr.linkFd, 'link').detach();
  if (errno !== undefined) throw call.fail(errno, 'a link of this kind is detached by closing it');
  return 0;
}

export function progBindMap(call: Call, attr: BpfAttr<'progBindMap'>): number {
  if ((attr.flags ?? 0) !== 0) throw call.fail('EINVAL', 'flags must be 0');
  call.object(attr.progFd, 'prog').bindMap(call.object(attr.mapFd, 'map'));
  return 0;
}
