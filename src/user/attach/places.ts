/**
 * Programs of cgroups, network namespaces, maps of sockets, sockets and the packet filter: by a link where the
 * kernel has one for the kind, before that by BPF_PROG_ATTACH or setsockopt(2).
 */
import { attachTypes } from '../../uapi/attach-types.ts';
import { BpfError } from '../../uapi/errno.ts';
import { progTypes } from '../../uapi/prog-types.ts';
import { chainPlace } from './chain.ts';
import { isOlder } from './missing.ts';
import { type Attaching, type Attachment, cannot, holding, using, wanted } from './types.ts';

const F_ALLOW_MULTI = 2;
const F_REPLACE = 4;

type Version = readonly [number, number];

/** Runs `byLink`, and `before` where the options ask for that or the kernel has no such links yet. */
function linkOr(
  { system, options }: Attaching,
  since: Version,
  { byLink, before }: { byLink: () => number; before: () => Attachment },
): Attachment {
  if (options.legacy === true) return before();
  try {
    return { fd: byLink() };
  } catch (error) {
    const noLinks = error instanceof BpfError && error.errno === 'EINVAL' && isOlder(system, since);
    if (!noLinks) throw error;
    return before();
  }
}

export function attachCgroup(attaching: Attaching): Attachment {
  const { system, program, options, attachType } = attaching;
  const path = wanted(attaching, options.cgroup, {
    name: 'cgroup',
    example: "{ cgroup: '/sys/fs/cgroup/NAME' }",
  });
  return using(system, system.resolveTarget('cgroup', path), (targetFd) => {
    try {
      return linkOr(attaching, [5, 7], {
        byLink: () =>
          system.bpf('linkCreate', { progFd: program.fd, targetFd, attachType, ...chainPlace(attaching) }),
        before: () => byProgAttach(attaching, targetFd, F_ALLOW_MULTI),
      });
    } catch (error) {
      // What the kernel says of a folder that is none of cgroup2's.
      if (!(error instanceof BpfError) || error.errno !== 'EBADF') throw error;
      throw new BpfError('EBADF', `cgroup ${path}`, 'it is in no cgroup2 file system: mount -t cgroup2 …');
    }
  });
}

/** BPF_PROG_ATTACH. Kept for the end: the target, which is the attachment's fd, and the program. */
function byProgAttach(
  { system, program, attachType }: Attaching,
  target: number,
  attachFlags: number,
): Attachment {
  return holding(system, (hold) => {
    const targetFd = hold(system.dup(target));
    let current = hold(system.dup(program.fd));
    system.bpf('progAttach', { targetFd, attachBpfFd: current, attachType, attachFlags });
    const isChain = (attachFlags & F_ALLOW_MULTI) !== 0;
    return {
      fd: targetFd,
      legacy: {
        how: 'BPF_PROG_ATTACH',
        end() {
          try {
            system.bpf('progDetach', { targetFd, attachBpfFd: current, attachType });
          } finally {
            system.close(current);
          }
        },
        replace(next) {
          const kept = system.dup(next);
          const replaced = isChain ? { attachFlags: attachFlags | F_REPLACE, replaceBpfFd: current } : {};
          try {
            system.bpf('progAttach', { targetFd, attachBpfFd: kept, attachType, ...replaced });
          } catch (error) {
            system.close(kept);
            throw error;
          }
          system.close(current);
          current = kept;
        },
      },
    };
  });
}

const OWN_NETNS = '/proc/thread-self/ns/net';

/** sk_lookup and flow_dissector. */
export function attachNetns(attaching: Attaching): Attachment {
  const { system, program, options, attachType } = attaching;
  const isDissector = program.type === progTypes.flow_dissector.id;
  return using(system, system.resolveTarget('netns', options.netns ?? OWN_NETNS), (targetFd) =>
    linkOr(attaching, [5, 7], {
      byLink: () =>
        system.bpf('linkCreate', { progFd: program.fd, targetFd, attachType, flags: options.flags }),
      before() {
        if (!isDissector || options.netns !== undefined) {
          throw cannot(program, 'it attaches to a network namespace by a link alone', 'Linux 5.9 has those');
        }
        return dissectorByProgAttach(attaching);
      },
    }),
  );
}

/** Before links, flow dissectors had no target but the namespace of the caller; 0 stands for it. */
function dissectorByProgAttach({ system, program, attachType }: Attaching): Attachment {
  const fd = system.dup(program.fd);
  try {
    system.bpf('progAttach', { targetFd: 0, attachBpfFd: fd, attachType });
  } catch (error) {
    system.close(fd);
    throw error;
  }
  return {
    fd,
    legacy: {
      how: 'BPF_PROG_ATTACH',
      end: () => void system.bpf('progDetach', { targetFd: 0, attachBpfFd: fd, attachType }),
    },
  };
}

/** sk_skb and sk_msg: on a map of sockets. */
export function attachSockmap(attaching: Attaching): Attachment {
  const { system, program, options, attachType } = attaching;
  const map = wanted(attaching, options.map, { name: 'map', example: "{ map: collection.map('sockets') }" });
  if (attachType === 0) {
    throw cannot(
      program,
      'its section does not say for what',
      "attach({ map, attachType: 'sk_skb_verdict' }), or 'sk_skb_stream_parser', 'sk_skb_stream_verdict'",
    );
  }
  return linkOr(attaching, [6, 10], {
    byLink: () =>
      system.bpf('linkCreate', { progFd: program.fd, targetFd: map.fd, attachType, flags: options.flags }),
    before: () => byProgAttach(attaching, map.fd, 0),
  });
}

/** enum nf_inet_hooks, and NFPROTO_*. */
const hooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;
const families = { ipv4: 2, ipv6: 10 } as const;
const F_DEFRAGMENT = 1;

export function attachNetfilter(attaching: Attaching): Attachment {
  const { system, program, options } = attaching;
  const place = wanted(attaching, options.netfilter, {
    name: 'hook',
    example: "{ netfilter: { family: 'ipv4', hook: 'input' } }",
  });
  return {
    fd: system.bpf('linkCreate', {
      progFd: program.fd,
      attachType: attachTypes.netfilter.id,
      flags: options.flags,
      netfilterPf: families[place.family],
      netfilterHooknum: hooks[place.hook],
      netfilterPriority: place.priority ?? 0,
      netfilterFlags: place.defragment === true ? F_DEFRAGMENT : 0,
    }),
  };
}

const SOL_SOCKET = 1;
/** SO_* of x86-64 and arm64: by which each type of program attaches and detaches. */
const socketOptions: ReadonlyMap<number, { attach: number; detach: number }> = new Map([
  [progTypes.socket_filter.id, { attach: 50, detach: 27 }],
  [progTypes.sk_reuseport.id, { attach: 52, detach: 68 }],
]);

export function attachSocket(attaching: Attaching): Attachment {
  const { system, program, options } = attaching;
  const socket = wanted(attaching, options.socket, { name: 'socket', example: '{ socket: fd }' });
  const names = socketOptions.get(program.type);
  if (names === undefined) throw cannot(program, 'it is no filter of sockets');
  return holding(system, (hold) => {
    const fd = hold(system.dup(socket));
    system.setsockopt(fd, { level: SOL_SOCKET, name: names.attach, value: program.fd });
    return {
      fd,
      legacy: {
        how: 'setsockopt(2)',
        end: () => system.setsockopt(fd, { level: SOL_SOCKET, name: names.detach, value: 0 }),
        replace: (next) => system.setsockopt(fd, { level: SOL_SOCKET, name: names.attach, value: next }),
      },
    };
  });
}
