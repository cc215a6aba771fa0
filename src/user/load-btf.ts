/**
 * BTF_LOAD of an object's types, on old kernels without what they do not know. An object is loaded without its
 * types where a kernel takes none, as libbpf does: only maps and programs that depend on them are refused then.
 */
import { BpfError } from '../uapi/errno.ts';
import type { System } from '../uapi/seam.ts';
import { sanitizeBtf } from './sanitize-btf.ts';

/** An fd, or why there is none. */
export type LoadedBtf = { readonly fd: number } | { readonly refused: BpfError };

/** Loads raw BTF; the fd is the caller's to close. */
export function loadBtf(system: System, btf: Uint8Array): LoadedBtf {
  try {
    return { fd: system.bpf('btfLoad', { btf, btfSize: btf.length }) };
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return loadSanitized(system, btf) ?? { refused: error };
  }
}

function loadSanitized(system: System, btf: Uint8Array): LoadedBtf | undefined {
  const fitting = sanitizeBtf(btf, system);
  if (fitting === undefined) return undefined;
  try {
    return { fd: system.bpf('btfLoad', { btf: fitting, btfSize: fitting.length }) };
  } catch (error) {
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}
