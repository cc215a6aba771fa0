/**
 * The configuration that the running kernel was built with, where libbpf looks for it: in /boot, or in the kernel
 * itself (CONFIG_IKCONFIG_PROC).
 */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { gunzipSync } from 'node:zlib';

/** The text of its .config; undefined where there is none to read. */
export function readKernelConfig(): string | undefined {
  const plain = readIfThere(`/boot/config-${release()}`);
  if (plain !== undefined) return new TextDecoder().decode(plain);
  const packed = readIfThere('/proc/config.gz');
  return packed === undefined ? undefined : new TextDecoder().decode(gunzipSync(packed));
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException | null)?.code;
    if (code === 'ENOENT' || code === 'EACCES') return undefined;
    throw error;
  }
}
