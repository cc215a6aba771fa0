/**
 * Who a process is and what it may do. As on Linux with kernel.unprivileged_bpf_disabled, only a process
 * with CAP_BPF makes maps and loads programs.
 */
import type { Capabilities } from '../verifier/types.ts';

export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly capabilities: Capabilities;
}

/** uid 0 with every capability. */
export const root: Credentials = {
  uid: 0,
  gid: 0,
  capabilities: { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true },
};

/** CAP_SYS_ADMIN still grants what was split off it (bpf_capable, perfmon_capable, bpf_net_capable). */
export function effective(capabilities: Capabilities): Capabilities {
  const { sysAdmin } = capabilities;
  return {
    bpf: capabilities.bpf || sysAdmin,
    perfmon: capabilities.perfmon || sysAdmin,
    netAdmin: capabilities.netAdmin || sysAdmin,
    sysAdmin,
  };
}
