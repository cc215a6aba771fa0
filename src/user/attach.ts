/**
 * Attaching a program: one row a program type, saying what the target is called and how the kernel is asked.
 */
import { SkepError } from '../base/errors.ts';
import { attachTypes } from '../uapi/attach-types.ts';
import { type ProgTypeName, progTypeName } from '../uapi/prog-types.ts';
import type { System } from '../uapi/seam.ts';

export interface AttachOptions {
  /** XDP: the network device. */
  readonly device?: string | undefined;
  /** Tracepoints: 'raw_syscalls/sys_enter'; raw tracepoints: 'sys_enter'. Default: what the section says. */
  readonly tracepoint?: string | undefined;
  /** Flags of BPF_LINK_CREATE (XDP_FLAGS_* for XDP). */
  readonly flags?: number | undefined;
}

/** The program to attach. */
export interface Attachable {
  readonly name: string;
  readonly type: number;
  readonly fd: number;
  readonly attachTo: string | undefined;
}

type Attach = (system: System, program: Attachable, options: AttachOptions) => number;

const PERF_TYPE_TRACEPOINT = 2;

const attachers: Partial<Record<ProgTypeName, Attach>> = {
  xdp: (system, program, options) => {
    const device = wanted(program, { name: 'device', value: options.device, example: "{ device: 'eth0' }" });
    return system.bpf('linkCreate', {
      progFd: program.fd,
      targetIfindex: system.resolveTarget('netdev', device),
      attachType: attachTypes.xdp.id,
      flags: options.flags ?? 0,
    });
  },
  tracepoint: (system, program, options) => {
    const name = tracepointOf(program, options);
    const config = BigInt(system.resolveTarget('tracepoint', name));
    const event = system.perfEventOpen({ type: PERF_TYPE_TRACEPOINT, config, pid: -1, cpu: 0 });
    try {
      return system.bpf('linkCreate', {
        progFd: program.fd,
        targetFd: event,
        attachType: attachTypes.perf_event.id,
      });
    } finally {
      // The link holds the event from here on.
      system.close(event);
    }
  },
  raw_tracepoint: (system, program, options) =>
    system.bpf('rawTracepointOpen', { progFd: program.fd, name: tracepointOf(program, options) }),
};

/**
 * Attaches a program; returns the link's fd.
 * @throws {SkepError} 'attach' where the type attaches by other means, or the target is not named
 * @throws {BpfError} ENODEV or ENOENT where there is no such target, EBUSY where it is taken
 */
export function attachProgram(system: System, program: Attachable, options: AttachOptions): number {
  const typeName = progTypeName(program.type);
  const attach = typeName === undefined ? undefined : attachers[typeName];
  if (attach !== undefined) return attach(system, program, options);
  throw new SkepError({
    code: 'attach',
    where: `program '${program.name}'`,
    message: `a ${typeName ?? `type ${program.type}`} program cannot be attached by a link`,
    hint: `run it with testRun(); links are for ${Object.keys(attachers).join(', ')}`,
  });
}

function tracepointOf(program: Attachable, options: AttachOptions): string {
  const value = options.tracepoint ?? program.attachTo;
  return wanted(program, { name: 'tracepoint', value, example: "{ tracepoint: 'raw_syscalls/sys_enter' }" });
}

function wanted(
  program: Attachable,
  option: { name: string; value: string | undefined; example: string },
): string {
  if (option.value !== undefined) return option.value;
  throw new SkepError({
    code: 'attach',
    where: `program '${program.name}'`,
    message: `its section does not say which ${option.name} to attach to`,
    hint: `attach(${option.example})`,
  });
}
