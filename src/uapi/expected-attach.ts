/**
 * The expected attach types that a program of a type may be loaded with (bpf_prog_load_check_attach). Types that
 * are not here take any, and most of them do not look at it.
 */
import type { AttachTypeName } from './attach-types.ts';
import type { ProgTypeName } from './prog-types.ts';

export const expectedAttachTypes: Readonly<Partial<Record<ProgTypeName, readonly AttachTypeName[]>>> = {
  cgroup_sock: [
    'cgroup_inet_sock_create',
    'cgroup_inet_sock_release',
    'cgroup_inet4_post_bind',
    'cgroup_inet6_post_bind',
  ],
  cgroup_sock_addr: [
    'cgroup_inet4_bind',
    'cgroup_inet6_bind',
    'cgroup_inet4_connect',
    'cgroup_inet6_connect',
    'cgroup_unix_connect',
    'cgroup_inet4_getpeername',
    'cgroup_inet6_getpeername',
    'cgroup_unix_getpeername',
    'cgroup_inet4_getsockname',
    'cgroup_inet6_getsockname',
    'cgroup_unix_getsockname',
    'cgroup_udp4_sendmsg',
    'cgroup_udp6_sendmsg',
    'cgroup_unix_sendmsg',
    'cgroup_udp4_recvmsg',
    'cgroup_udp6_recvmsg',
    'cgroup_unix_recvmsg',
  ],
  cgroup_skb: ['cgroup_inet_ingress', 'cgroup_inet_egress'],
  cgroup_sockopt: ['cgroup_setsockopt', 'cgroup_getsockopt'],
  sk_lookup: ['sk_lookup'],
  sk_reuseport: ['sk_reuseport_select', 'sk_reuseport_select_or_migrate'],
  netfilter: ['netfilter'],
};

/** What old loaders mean, who name none (bpf_prog_load_fixup_attach_type). */
export const impliedAttachTypes: Readonly<Partial<Record<ProgTypeName, AttachTypeName>>> = {
  cgroup_sock: 'cgroup_inet_sock_create',
  sk_reuseport: 'sk_reuseport_select',
};

/** Types for which the field must be zero. */
export const withoutAttachType: readonly ProgTypeName[] = ['syscall', 'ext'];
