/**
 * bpf_probe_read() and its siblings: reads that may fail. There is no memory of user space here, so all of them
 * read the kernel's; what is not allocated faults.
 */
import { errnos } from '../../uapi/errno.ts';
import { type Helper, returnInt } from './types.ts';

/** (dst, size, unsafe_ptr): 0, or -EFAULT and zeros. */
export const probeRead: Helper = (call) => {
  const size = call.u32[4]!;
  const { memory } = call.runtime;
  const to = size === 0 ? 0 : call.argument(1, size);
  const from = call.u32[6]!;
  if (size === 0) return returnInt(call, 0);
  if (call.u32[7] !== 0 || !memory.isAllocated(from, size)) {
    memory.u8.fill(0, to, to + size);
    return returnInt(call, -errnos.EFAULT);
  }
  memory.u8.copyWithin(to, from, from + size);
  returnInt(call, 0);
};

/** The same for a string: the bytes up to its NUL, which is put at the end of one that is longer. */
export const probeReadStr: Helper = (call) => {
  const size = call.u32[4]!;
  if (size === 0) return returnInt(call, 0);
  const { memory } = call.runtime;
  const to = call.argument(1, size);
  const from = call.u32[6]!;
  for (let i = 0; i < size; i++) {
    if (call.u32[7] !== 0 || !memory.isAllocated(from + i, 1)) {
      memory.u8.fill(0, to, to + size);
      return returnInt(call, -errnos.EFAULT);
    }
    const byte = i === size - 1 ? 0 : memory.u8[from + i]!;
    memory.u8[to + i] = byte;
    if (byte === 0) return returnInt(call, i + 1);
  }
};
