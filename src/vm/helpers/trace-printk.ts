/** bpf_trace_printk(): a formatted line into the trace pipe. */
import { errnos } from '../../uapi/errno.ts';
import { formatTrace } from './format.ts';
import { type Helper, returnInt } from './types.ts';

/** MAX_BPRINTF_BUF: the text and its NUL. */
const BUFFER_BYTES = 1024;

const latin1 = new TextDecoder('latin1');

/** (fmt, fmt_size, and up to three arguments): the number of bytes written. */
export const tracePrintk: Helper = (call) => {
  const size = call.u32[4]!;
  const { memory } = call.runtime;
  const from = size === 0 ? 0 : call.argument(1, size);
  const bytes = memory.u8.subarray(from, from + size);
  const end = bytes.indexOf(0);
  if (end < 0) return returnInt(call, -errnos.EINVAL);
  const text = formatTrace({
    format: latin1.decode(bytes.subarray(0, end)),
    args: [call.u64[3]!, call.u64[4]!, call.u64[5]!],
    read(address, length) {
      const at = Number(address);
      return memory.isAllocated(at, length) ? memory.u8.slice(at, at + length) : undefined;
    },
  });
  if (typeof text === 'number') return returnInt(call, text);
  call.runtime.trace(text.slice(0, BUFFER_BYTES - 1));
  returnInt(call, text.length);
};
