/**
 * The log buffer of PROG_LOAD and BTF_LOAD: which settings are valid, and how a log that is longer than
 * its buffer is cut (bpf_verifier_log_attr_valid, bpf_vlog_finalize). What 6.18 was seen to do:
 *
 * - a level needs no buffer; a buffer needs a level;
 * - the true size counts the NUL, and is told also without a buffer;
 * - a buffer that is too short gets the end of the log, or with BPF_LOG_FIXED its start, and the call fails
 *   with ENOSPC whatever else it found.
 */
import type { Call } from './call.ts';

const LOG_FIXED = 8;
/** BPF_LOG_LEVEL, BPF_LOG_STATS and BPF_LOG_FIXED. */
const LOG_MASK = 15;
/** UINT_MAX >> 2 */
const SIZE_MAX = 0x3fffffff;

export interface LogRequest {
  readonly level: number;
  readonly size: number;
  readonly buffer: Uint8Array | undefined;
}

/** EINVAL for settings that make no sense. */
export function checkLog(call: Call, { level, size, buffer }: LogRequest): void {
  if ((level & ~LOG_MASK) !== 0) throw call.fail('EINVAL', `log level ${level} has unknown bits`);
  if ((buffer === undefined) !== (size === 0)) {
    throw call.fail('EINVAL', 'the log buffer and its size go together');
  }
  if (buffer !== undefined && level === 0) throw call.fail('EINVAL', 'a log buffer needs a log level');
  if (size > SIZE_MAX) throw call.fail('EINVAL', `a log has at most ${SIZE_MAX} bytes`);
}

export interface WrittenLog {
  /** Bytes of the whole log with its NUL; 0 where none was asked for. */
  readonly trueSize: number;
  /** EFAULT where the buffer is shorter than its size said and too short, ENOSPC where the log was cut. */
  readonly failure: 'ENOSPC' | 'EFAULT' | undefined;
}

/**
 * Puts the log, NUL-terminated, into its buffer. `maxLength` is the log's at its longest: 6.18 wants room for
 * that, even where the verifier took most of it back.
 */
export function writeLog(log: string, request: LogRequest, maxLength = 0): WrittenLog {
  const { level, size, buffer } = request;
  if (level === 0) return { trueSize: 0, failure: undefined };
  const text = new TextEncoder().encode(log);
  const trueSize = Math.max(text.length, maxLength) + 1;
  if (buffer === undefined) return { trueSize, failure: undefined };
  const room = size - 1;
  const fixed = (level & LOG_FIXED) !== 0;
  const kept =
    text.length <= room ? text : fixed ? text.subarray(0, room) : text.subarray(text.length - room);
  if (kept.length + 1 > buffer.length) return { trueSize, failure: 'EFAULT' };
  buffer.set(kept);
  buffer[kept.length] = 0;
  return { trueSize, failure: trueSize > size ? 'ENOSPC' : undefined };
}
