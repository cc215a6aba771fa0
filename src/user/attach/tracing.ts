/**
 * Programs whose target the verifier knew already (fentry, fexit, fmod_ret, tp_btf, lsm, freplace), raw
 * tracepoints, and iterators.
 */
import { BpfError } from '../../uapi/errno.ts';
import type { System } from '../../uapi/seam.ts';
import { type Attaching, type Attachment, using, wanted } from './types.ts';

export function attachRawTracepoint({ system, program, options }: Attaching): Attachment {
  const name = wanted({ system, program, options, attachType: 0 }, options.tracepoint ?? program.attachTo, {
    name: 'tracepoint',
    example: "{ tracepoint: 'sys_enter' }",
  });
  return {
    fd: system.bpf('rawTracepointOpen', { progFd: program.fd, name, cookie: options.cookie }),
  };
}

/**
 * By a link. Kernels before 6.0 make that of RAW_TRACEPOINT_OPEN without a name alone, and freplace programs have
 * no attach type that LINK_CREATE could be told.
 */
export function attachTraced({ system, program, options, attachType }: Attaching): Attachment {
  const { cookie: tracingCookie, flags } = options;
  if (attachType !== 0) {
    try {
      return { fd: system.bpf('linkCreate', { progFd: program.fd, attachType, tracingCookie, flags }) };
    } catch (error) {
      const unknown = error instanceof BpfError && error.errno === 'EINVAL' && tracingCookie === undefined;
      if (!unknown) throw error;
    }
  }
  return { fd: system.bpf('rawTracepointOpen', { progFd: program.fd }) };
}

/** union bpf_iter_link_info, as far as any kind of it goes. */
const ITER_INFO_SIZE = 16;
/** BPF_CGROUP_ITER_DESCENDANTS_PRE */
const DESCENDANTS = 2;

export function attachIterator({ system, program, options, attachType }: Attaching): Attachment {
  return withIteratorTarget(system, options, (iterInfo) => ({
    fd: system.bpf('linkCreate', {
      progFd: program.fd,
      attachType,
      flags: options.flags,
      ...(iterInfo === undefined ? {} : { iterInfo, iterInfoLen: iterInfo.length }),
    }),
  }));
}

function withIteratorTarget<T>(
  system: System,
  { map, cgroup, pid }: Attaching['options'],
  run: (info: Uint8Array | undefined) => T,
): T {
  const info = new Uint8Array(ITER_INFO_SIZE);
  const view = new DataView(info.buffer);
  if (map !== undefined) {
    view.setUint32(0, map.fd, true);
  } else if (pid !== undefined) {
    // { tid, pid, pid_fd }: all tasks of the process.
    view.setUint32(4, pid, true);
  } else if (cgroup !== undefined) {
    return using(system, system.resolveTarget('cgroup', cgroup), (fd) => {
      view.setUint32(0, DESCENDANTS, true);
      view.setUint32(4, fd, true);
      return run(info);
    });
  } else {
    return run(undefined);
  }
  return run(info);
}
