/**
 * Attaching a program: which of the kinds in uapi/attach-kinds.ts it is, by its type, its attach type and the name
 * of its section, and what does that.
 */
import { SkepError } from '../../base/errors.ts';
import type { AttachKindName } from '../../uapi/attach-kinds.ts';
import { attachTypeName, attachTypes } from '../../uapi/attach-types.ts';
import { type ProgTypeName, progTypeName } from '../../uapi/prog-types.ts';
import type { System } from '../../uapi/seam.ts';
import { explain } from './missing.ts';
import { attachPerfEvent, attachTracepoint } from './perf.ts';
import { attachCgroup, attachNetfilter, attachNetns, attachSocket, attachSockmap } from './places.ts';
import { attachKprobe, attachKprobeMulti, attachUprobe, attachUprobeMulti, multiProbes } from './probes.ts';
import { attachInChain, attachTc } from './tc.ts';
import { attachIterator, attachRawTracepoint, attachTraced } from './tracing.ts';
import type { Attachable, Attaching, Attachment, AttachOptions } from './types.ts';
import { attachUsdt } from './usdt.ts';
import { attachXdp } from './xdp.ts';

export type { Attachable, Attachment, AttachOptions, Legacy, NetfilterHook, SampledEvent } from './types.ts';

const attachers: Readonly<Record<AttachKindName, (attaching: Attaching) => Attachment>> = {
  tracepoint: attachTracepoint,
  raw_tracepoint: attachRawTracepoint,
  kprobe: attachKprobe,
  kprobe_multi: attachKprobeMulti,
  kprobe_session: attachKprobeMulti,
  uprobe: attachUprobe,
  uprobe_multi: attachUprobeMulti,
  uprobe_session: attachUprobeMulti,
  usdt: attachUsdt,
  tracing: attachTraced,
  lsm: attachTraced,
  ext: attachTraced,
  iter: attachIterator,
  perf_event: attachPerfEvent,
  xdp: attachXdp,
  tcx: attachInChain,
  tc: attachTc,
  netkit: attachInChain,
  netfilter: attachNetfilter,
  cgroup: attachCgroup,
  netns: attachNetns,
  sockmap: attachSockmap,
  socket: attachSocket,
};

/** Types of program that attach in one way. */
const kindOfType: Partial<Record<ProgTypeName, AttachKindName>> = {
  tracepoint: 'tracepoint',
  raw_tracepoint: 'raw_tracepoint',
  raw_tracepoint_writable: 'raw_tracepoint',
  ext: 'ext',
  perf_event: 'perf_event',
  xdp: 'xdp',
  netfilter: 'netfilter',
  cgroup_skb: 'cgroup',
  cgroup_sock: 'cgroup',
  cgroup_device: 'cgroup',
  cgroup_sock_addr: 'cgroup',
  cgroup_sysctl: 'cgroup',
  cgroup_sockopt: 'cgroup',
  sock_ops: 'cgroup',
  sk_lookup: 'netns',
  flow_dissector: 'netns',
  sk_skb: 'sockmap',
  sk_msg: 'sockmap',
  socket_filter: 'socket',
  sk_reuseport: 'socket',
};

/** How a program attaches; undefined for one that does not. */
export function attachKind(program: Attachable, options: AttachOptions = {}): AttachKindName | undefined {
  const type = progTypeName(program.type);
  const { expectedAttachType } = program;
  switch (type) {
    case 'kprobe': {
      const multi = multiProbes.get(expectedAttachType);
      if (multi !== undefined) return multi;
      return probeKind(program.section, options);
    }
    case 'sched_cls': {
      const name = attachTypeName(
        options.attachType === undefined ? expectedAttachType : attachTypes[options.attachType].id,
      );
      if (name?.startsWith('netkit_')) return 'netkit';
      return expectedAttachType === 0 || options.legacy === true ? 'tc' : 'tcx';
    }
    case 'tracing':
      return expectedAttachType === attachTypes.trace_iter.id ? 'iter' : 'tracing';
    case 'lsm':
      return expectedAttachType === attachTypes.lsm_cgroup.id ? 'cgroup' : 'lsm';
    default:
      return type === undefined ? undefined : kindOfType[type];
  }
}

/** What a program on one probe is on: what its section says, or else the options. */
function probeKind(section: string, { binary, usdt }: AttachOptions): AttachKindName {
  if (section === '') return usdt !== undefined ? 'usdt' : binary !== undefined ? 'uprobe' : 'kprobe';
  if (/^usdt/.test(section)) return 'usdt';
  return /^u(ret)?probe/.test(section) ? 'uprobe' : 'kprobe';
}

/**
 * Attaches a program.
 * @throws {SkepError} 'attach' where the type does not attach, or the target is not named
 * @throws {BpfError} ENODEV or ENOENT where there is no such target, EBUSY where it is taken; with what the
 *   kernel lacks where that is the reason
 */
export function attachProgram(system: System, program: Attachable, options: AttachOptions): Attachment {
  const kind = attachKind(program, options);
  if (kind === undefined) throw notAttached(program);
  const attachType = attachTypeOf(program, options);
  const attaching: Attaching = { system, program, options, attachType };
  try {
    return attachers[kind](attaching);
  } catch (error) {
    throw explain(system, kind, error);
  }
}

function attachTypeOf({ expectedAttachType }: Attachable, { attachType }: AttachOptions): number {
  if (attachType === undefined) return expectedAttachType;
  if (!Object.hasOwn(attachTypes, attachType)) {
    throw new SkepError({ code: 'attach', message: `there is no attach type '${attachType}'` });
  }
  return attachTypes[attachType].id;
}

function notAttached(program: Attachable): SkepError {
  const typeName = progTypeName(program.type);
  return new SkepError({
    code: 'attach',
    where: `program '${program.name}'`,
    message: `a ${typeName ?? `type ${program.type}`} program cannot be attached`,
    hint: typeName === 'struct_ops' ? 'attach the map of its struct' : 'run it with testRun()',
  });
}
