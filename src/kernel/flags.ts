/** Flags of BPF_PROG_LOAD (linux/bpf.h). */

export const F_ANY_ALIGNMENT = 1 << 1;
export const F_SLEEPABLE = 1 << 4;
export const F_XDP_HAS_FRAGS = 1 << 5;
export const F_XDP_DEV_BOUND_ONLY = 1 << 6;
export const F_TOKEN_FD = 1 << 16;

/** Those that Linux 6.18 takes: strict and any alignment, the test flags, and the ones above. */
export const PROG_FLAGS =
  (1 << 0) |
  F_ANY_ALIGNMENT |
  (1 << 2) |
  (1 << 3) |
  F_SLEEPABLE |
  F_XDP_HAS_FRAGS |
  F_XDP_DEV_BOUND_ONLY |
  (1 << 7) |
  F_TOKEN_FD;
