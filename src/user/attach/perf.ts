/**
 * Programs on perf events: tracepoints, probes, samples. A link where the kernel has those (5.15); before, the
 * program is put on the event by ioctl(2), and the event is the attachment.
 */
import { attachTypes } from '../../uapi/attach-types.ts';
import { BpfError } from '../../uapi/errno.ts';
import { progTypes } from '../../uapi/prog-types.ts';
import type { PerfEventAttr, System } from '../../uapi/seam.ts';
import { type Attaching, type Attachment, cannot, holding, using, wanted } from './types.ts';

const PERF_TYPE_TRACEPOINT = 2;
const PERF_EVENT_IOC_ENABLE = 0x2400;
const PERF_EVENT_IOC_SET_BPF = 0x40042408;

const NO_FD = 0xffff_ffff;

/** r0 = 0; exit */
const nothing = Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);

const linksOfSystem = new WeakMap<System, boolean>();

/** Whether perf events have links: a kernel that does looks at the event, and finds none (as libbpf asks). */
function hasPerfLinks(system: System): boolean {
  let has = linksOfSystem.get(system);
  if (has !== undefined) return has;
  const progType = progTypes.tracepoint.id;
  const probe = { progType, insns: nothing, insnCnt: 2, license: 'GPL' };
  has = using(system, system.bpf('progLoad', probe), (progFd) => {
    try {
      const attachType = attachTypes.perf_event.id;
      system.close(system.bpf('linkCreate', { progFd, targetFd: NO_FD, attachType }));
      return true;
    } catch (error) {
      return error instanceof BpfError && error.errno === 'EBADF';
    }
  });
  linksOfSystem.set(system, has);
  return has;
}

/** An event to put a program on, and what bpf_get_attach_cookie() says there. */
export interface Place {
  readonly event: PerfEventAttr;
  readonly cookie?: bigint | undefined;
}

/**
 * Opens events and puts the program on each.
 * @throws {BpfError} as perf_event_open(2) and BPF_LINK_CREATE
 */
export function attachToEvents(attaching: Attaching, places: readonly Place[]): Attachment {
  const { system, program, options } = attaching;
  const legacy = options.legacy === true || !hasPerfLinks(system);
  if (legacy && places.some(({ cookie }) => cookie !== undefined)) {
    throw cannot(program, 'a cookie needs a link', 'Linux 5.15 has links of perf events');
  }
  return holding(system, (hold) => {
    const fds: number[] = [];
    for (const [i, place] of places.entries()) {
      try {
        fds.push(hold(legacy ? byIoctl(attaching, place.event) : byLink(attaching, place)));
      } catch (error) {
        // A CPU that is possible may be offline; the last one that is left must do.
        const isOffline = error instanceof BpfError && error.errno === 'ENODEV';
        if (!isOffline || fds.length + places.length - i === 1) throw error;
      }
    }
    const [fd, ...others] = fds as [number, ...number[]];
    return legacy ? { fd, others, legacy: { how: 'ioctl(2)', end() {} } } : { fd, others };
  });
}

function byLink({ system, program, options }: Attaching, { event, cookie }: Place): number {
  return using(system, system.perfEventOpen(event), (targetFd) =>
    system.bpf('linkCreate', {
      progFd: program.fd,
      targetFd,
      attachType: attachTypes.perf_event.id,
      bpfCookie: cookie,
      flags: options.flags,
    }),
  );
}

function byIoctl({ system, program }: Attaching, attr: PerfEventAttr): number {
  return holding(system, (hold) => {
    const event = hold(system.perfEventOpen(attr));
    system.ioctl(event, PERF_EVENT_IOC_SET_BPF, program.fd);
    system.ioctl(event, PERF_EVENT_IOC_ENABLE, 0);
    return event;
  });
}

export function attachTracepoint(attaching: Attaching): Attachment {
  const name = wanted(attaching, attaching.options.tracepoint ?? attaching.program.attachTo, {
    name: 'tracepoint',
    example: "{ tracepoint: 'raw_syscalls/sys_enter' }",
  });
  const { cookie } = attaching.options;
  return attachToEvents(attaching, [{ event: tracepointEvent(attaching.system, name), cookie }]);
}

/** The event of a tracepoint. Programs on it run on every CPU, whichever it was opened for. */
export function tracepointEvent(system: System, name: string): PerfEventAttr {
  const config = BigInt(system.resolveTarget('tracepoint', name));
  return { type: PERF_TYPE_TRACEPOINT, config, pid: -1, cpu: 0 };
}

export function attachPerfEvent(attaching: Attaching): Attachment {
  const { system, options } = attaching;
  const event = wanted(attaching, options.event, {
    name: 'event',
    example: '{ event: { type: 1, frequency: 99 } }',
  });
  const type = typeof event.type === 'number' ? event.type : system.resolveTarget('pmu', event.type);
  const attr: PerfEventAttr = {
    type,
    config: BigInt(event.config ?? 0),
    ...(event.frequency === undefined
      ? { samplePeriod: BigInt(event.period ?? 1) }
      : { sampleFrequency: BigInt(event.frequency) }),
    pid: options.pid ?? -1,
  };
  // The events of a process go with it from CPU to CPU; those of all processes are on one each.
  const cpus =
    options.cpu !== undefined ? [options.cpu] : options.pid !== undefined ? [-1] : everyCpu(system);
  return attachToEvents(
    attaching,
    cpus.map((cpu) => ({ event: { ...attr, cpu }, cookie: options.cookie })),
  );
}

function everyCpu(system: System): readonly number[] {
  return Array.from({ length: system.possibleCpus() }, (_, cpu) => cpu);
}
