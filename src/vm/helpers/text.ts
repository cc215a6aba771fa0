/** bpf_snprintf(), bpf_trace_vprintk() and bpf_strncmp(). */
import { errnos } from '../../uapi/errno.ts';
import { formatTrace } from './format.ts';
import { type Helper, type HelperCall, returnInt } from './types.ts';

/** MAX_BPRINTF_VARARGS */
const ARGUMENTS_MAX = 12;
/** MAX_BPRINTF_BUF */
const BUFFER_BYTES = 1024;

const latin1 = new TextDecoder('latin1');

function stringAt(call: HelperCall, at: number): string {
  const { u8 } = call.runtime.memory;
  return latin1.decode(u8.subarray(at, Math.max(u8.indexOf(0, at), at)));
}

interface Formatting {
  readonly format: string;
  /** Registers of the array of 64-bit arguments and of its bytes. */
  readonly data: number;
  readonly size: number;
}

/** The text, or a negative errno. */
function formatted(call: HelperCall, { format, data, size }: Formatting): string | number {
  const bytes = call.u32[2 * size]!;
  const { memory } = call.runtime;
  if (bytes % 8 !== 0 || bytes > 8 * ARGUMENTS_MAX || (bytes > 0 && call.u64[data] === 0n)) {
    return -errnos.EINVAL;
  }
  const at = bytes === 0 ? 0 : call.argument(data, bytes);
  return formatTrace({
    format,
    args: Array.from({ length: bytes / 8 }, (_, i) => memory.view.getBigUint64(at + 8 * i, true)),
    read(address, length) {
      const from = Number(address);
      return memory.isAllocated(from, length) ? memory.u8.slice(from, from + length) : undefined;
    },
  });
}

/** (str, str_size, fmt, data, data_len): bytes of the whole text and its NUL; what is too long is cut. */
export const snprintf: Helper = (call) => {
  const room = call.u32[4]!;
  const text = formatted(call, { format: stringAt(call, call.u32[6]!), data: 4, size: 5 });
  if (typeof text === 'number') return returnInt(call, text);
  if (room > 0) {
    const to = call.argument(1, room);
    const length = Math.min(text.length, room - 1);
    const { u8 } = call.runtime.memory;
    for (let i = 0; i < length; i++) u8[to + i] = text.charCodeAt(i);
    u8[to + length] = 0;
  }
  returnInt(call, text.length + 1);
};

/** (fmt, fmt_size, data, data_len) */
export const traceVprintk: Helper = (call) => {
  const size = call.u32[4]!;
  const from = size === 0 ? 0 : call.argument(1, size);
  const bytes = call.runtime.memory.u8.subarray(from, from + size);
  const end = bytes.indexOf(0);
  if (end < 0) return returnInt(call, -errnos.EINVAL);
  const text = formatted(call, { format: latin1.decode(bytes.subarray(0, end)), data: 3, size: 4 });
  if (typeof text === 'number') return returnInt(call, text);
  call.runtime.trace(text.slice(0, BUFFER_BYTES - 1));
  returnInt(call, text.length);
};

/** (s1, s1_size, s2): as strncmp(3) of so many bytes. */
export const strncmp: Helper = (call) => {
  const size = call.u32[4]!;
  const one = call.argument(1, size);
  const other = call.u32[6]!;
  const { u8 } = call.runtime.memory;
  for (let i = 0; i < size; i++) {
    const a = u8[one + i]!;
    const b = u8[other + i]!;
    if (a !== b) return returnInt(call, a < b ? -1 : 1);
    if (a === 0) break;
  }
  returnInt(call, 0);
};
