/**
 * bpf_probe_read() and its siblings: reads that may fail. There is no memory of user space here, so all of them
 * read the kernel's. What is not allocated fails as it does on x86-64: an address that user space could have is out
 * of range to those that read the kernel alone, and faults otherwise.
 */
import { errnos } from '../../uapi/errno.ts';
import { type Helper, type HelperCall, returnInt } from './types.ts';

type Failure = 'EFAULT' | 'ERANGE';

/** Zeros, and the error of an address in register 3 that cannot be read. */
function fail(call: HelperCall, { to, size, low }: { to: number; size: number; low: Failure }): void {
  call.runtime.memory.u8.fill(0, to, to + size);
  returnInt(call, -errnos[call.u32[7] === 0 ? low : 'EFAULT']);
}

/** (dst, size, unsafe_ptr): 0, or an error and zeros. */
const read =
  (low: Failure): Helper =>
  (call) => {
    const size = call.u32[4]!;
    if (size === 0) return returnInt(call, 0);
    const { memory } = call.runtime;
    const to = call.argument(1, size);
    const from = call.u32[6]!;
    if (call.u32[7] !== 0 || !memory.isAllocated(from, size)) return fail(call, { to, size, low });
    memory.u8.copyWithin(to, from, from + size);
    returnInt(call, 0);
  };

/** The same for a string: the bytes up to its NUL, which is put at the end of one that is longer. */
const readStr =
  (low: Failure): Helper =>
  (call) => {
    const size = call.u32[4]!;
    if (size === 0) return returnInt(call, 0);
    const { memory } = call.runtime;
    const to = call.argument(1, size);
    const from = call.u32[6]!;
    for (let i = 0; i < size; i++) {
      if (call.u32[7] !== 0 || !memory.isAllocated(from + i, 1)) return fail(call, { to, size, low });
      const byte = i === size - 1 ? 0 : memory.u8[from + i]!;
      memory.u8[to + i] = byte;
      if (byte === 0) return returnInt(call, i + 1);
    }
  };

export const probeRead = read('EFAULT');
export const probeReadKernel = read('ERANGE');
export const probeReadStr = readStr('EFAULT');
export const probeReadKernelStr = readStr('ERANGE');
