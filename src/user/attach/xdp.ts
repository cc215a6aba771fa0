/**
 * XDP programs on network devices: by a link, and before Linux 5.9 by netlink (rtnetlink(7), IFLA_XDP).
 */
import { attachTypes } from '../../uapi/attach-types.ts';
import { BpfError } from '../../uapi/errno.ts';
import type { System } from '../../uapi/seam.ts';
import { isOlder } from './missing.ts';
import { attribute, message, u32s } from './netlink.ts';
import { type Attaching, type Attachment, wanted } from './types.ts';

/** XDP_FLAGS_* */
const modes = { generic: 2, native: 4, offload: 8 } as const;
const UPDATE_IF_NOEXIST = 1;
const REPLACE = 16;

const RTM_SETLINK = 19;
const NLA_F_NESTED = 0x8000;
const IFLA_XDP = 43;
const xdpAttributes = { fd: 1, flags: 3, expectedFd: 8 } as const;
const NO_PROGRAM = -1;

/** The number of the device that the options name. */
export function ifindexOf(attaching: Attaching): number {
  const device = wanted(attaching, attaching.options.device, {
    name: 'device',
    example: "{ device: 'eth0' }",
  });
  return typeof device === 'number' ? device : attaching.system.resolveTarget('netdev', device);
}

export function attachXdp(attaching: Attaching): Attachment {
  const { system, program, options } = attaching;
  const targetIfindex = ifindexOf(attaching);
  const flags = (options.flags ?? 0) | (options.mode === undefined ? 0 : modes[options.mode]);
  if (options.legacy === true) return byNetlink(attaching, targetIfindex, flags);
  try {
    const attachType = attachTypes.xdp.id;
    return { fd: system.bpf('linkCreate', { progFd: program.fd, targetIfindex, attachType, flags }) };
  } catch (error) {
    const noLinks = error instanceof BpfError && error.errno === 'EINVAL' && isOlder(system, [5, 9]);
    if (!noLinks) throw error;
    return byNetlink(attaching, targetIfindex, flags);
  }
}

/** The program's own fd says what to expect when it is taken away; kernels before 5.7 do not look at that. */
function byNetlink({ system, program }: Attaching, ifindex: number, flags: number): Attachment {
  const fd = system.dup(program.fd);
  let current = fd;
  try {
    set(system, ifindex, { fd, flags: flags | UPDATE_IF_NOEXIST });
  } catch (error) {
    system.close(fd);
    throw error;
  }
  return {
    fd,
    legacy: {
      how: 'netlink',
      end() {
        try {
          set(system, ifindex, { fd: NO_PROGRAM, ...expecting(current) });
        } finally {
          if (current !== fd) system.close(current);
        }
      },
      replace(next) {
        const kept = system.dup(next);
        try {
          set(system, ifindex, { fd: kept, ...expecting(current) });
        } catch (error) {
          system.close(kept);
          throw error;
        }
        if (current !== fd) system.close(current);
        current = kept;
      },
    },
  };

  function expecting(expectedFd: number): { flags: number; expectedFd?: number } {
    return isOlder(system, [5, 7]) ? { flags } : { flags: flags | REPLACE, expectedFd };
  }
}

function set(
  system: System,
  ifindex: number,
  { fd, flags, expectedFd }: { fd: number; flags: number; expectedFd?: number },
): void {
  const xdp = [attribute(xdpAttributes.fd, fd), attribute(xdpAttributes.flags, flags)];
  if (expectedFd !== undefined) xdp.push(attribute(xdpAttributes.expectedFd, expectedFd));
  // struct ifinfomsg: family and type, index, flags, change
  const record = u32s(0, ifindex, 0, 0);
  system.netlink(message(RTM_SETLINK, { record, attributes: [attribute(IFLA_XDP | NLA_F_NESTED, xdp)] }));
}
