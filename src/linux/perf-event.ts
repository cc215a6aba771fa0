/**
 * perf_event_open(2): struct perf_event_attr, as far as its second version goes, which probes need.
 */
import { BpfError } from '../uapi/errno.ts';
import type { PerfEventAttr } from '../uapi/seam.ts';
import { Arena } from './arena.ts';
import { perfHint } from './hints.ts';
import { type Libc, lastError } from './libc.ts';

const PERF_FLAG_FD_CLOEXEC = 8;
/** The flag word's bit that makes sample_period a frequency. */
const FREQ = 1n << 10n;

/** PERF_ATTR_SIZE_VER1. */
const layout = {
  size: 72,
  type: 0,
  sizeAt: 4,
  config: 8,
  samplePeriod: 16,
  sampleType: 24,
  flags: 40,
  wakeupEvents: 48,
  config1: 56,
  config2: 64,
} as const;

/**
 * Opens an event; the fd.
 * @throws {BpfError} as perf_event_open(2)
 */
export function openPerfEvent(libc: Libc, attr: PerfEventAttr): number {
  const { config1 = 0n, pid = -1, cpu = -1 } = attr;
  const text = typeof config1 === 'string' ? placeText(libc, config1) : undefined;
  try {
    const bytes = attrBytes(attr, text === undefined ? (config1 as bigint) : BigInt(text.address));
    const number = libc.numbers.perfEventOpen;
    const fd = libc.syscall(number, bytes, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd >= 0) return fd;
    const { errno } = lastError(libc, 'perf_event_open');
    throw new BpfError(errno, 'perf_event_open', perfHint(errno));
  } finally {
    text?.free();
  }
}

function attrBytes(attr: PerfEventAttr, config1: bigint): Uint8Array {
  const { samplePeriod = 0n, sampleFrequency } = attr;
  const bytes = new Uint8Array(layout.size);
  const view = new DataView(bytes.buffer);
  view.setUint32(layout.type, attr.type, true);
  view.setUint32(layout.sizeAt, layout.size, true);
  view.setBigUint64(layout.config, attr.config, true);
  view.setBigUint64(layout.samplePeriod, sampleFrequency ?? samplePeriod, true);
  view.setBigUint64(layout.sampleType, attr.sampleType ?? 0n, true);
  view.setUint32(layout.wakeupEvents, attr.wakeupEvents ?? 0, true);
  view.setBigUint64(layout.flags, sampleFrequency === undefined ? 0n : FREQ, true);
  view.setBigUint64(layout.config1, config1, true);
  view.setBigUint64(layout.config2, attr.config2 ?? 0n, true);
  return bytes;
}

/** A string as C has it, where it does not move. */
function placeText(libc: Libc, text: string): Arena {
  if (text.includes('\0')) throw new BpfError('EINVAL', 'perf_event_open', 'a string with a NUL in it');
  const bytes = new TextEncoder().encode(text);
  const arena = new Arena(libc, bytes.length + 1);
  arena.bytes.set(bytes);
  return arena;
}
