/** Whether tests may ask the running kernel. */
import process from 'node:process';
import { SkepError } from '../../src/base/errors.ts';
import { LinuxSystem } from '../../src/linux/index.ts';
import { mapTypes } from '../../src/uapi/map-types.ts';

/** Why they may not, in a line; false where they may. */
export function whyNoLinux(): string | false {
  if (process.platform === 'linux' && process.getuid?.() !== 0) return 'bpf(2) needs root';
  try {
    const system = new LinuxSystem();
    const attr = { mapType: mapTypes.array.id, keySize: 4, valueSize: 4, maxEntries: 1 };
    system.close(system.bpf('mapCreate', attr));
    return false;
  } catch (error) {
    if (error instanceof SkepError) return error.line;
    throw error;
  }
}
