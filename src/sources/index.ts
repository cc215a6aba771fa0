/** Streams of real events into a kernel: captures into devices, recordings of strace into tracepoints. */
export { playCapture, playStrace, type Received, type Receiver } from './play.ts';
export { parseStrace, type StraceOptions, type SyscallEvent } from './strace.ts';
export { type SyscallArch, syscallName, syscallNumber } from './syscalls.ts';
