/**
 * The library: live programs, maps and links of a kernel, with typed keys, values and variables.
 */
export type { AttachOptions, NetfilterHook, SampledEvent } from './attach/index.ts';
export { type BindingsInput, generateBindings } from './bindings/generate.ts';
export { type Bindings, type BindingsOptions, loadBindings } from './bindings/load.ts';
export { Collection } from './collection.ts';
export { Kernel } from './kernel.ts';
export { KernelHandle, type NewMap, type NewProgram } from './kernel-handle.ts';
export { Link, type LinkInfo } from './link.ts';
export type { LoadOptions } from './load.ts';
export { LoadError, lastMessage } from './load-error.ts';
export { BpfMap as Map, type PerfReadOptions, type UpdateMode } from './map.ts';
export type { MapDumpFormat } from './map-dump.ts';
export type { MappedArray } from './mapped-array.ts';
export type { PerfBuffer, PerfRecord } from './perf-buffer.ts';
export {
  Program,
  type ProgramFacts,
  type ProgramInfo,
  type TestRunInput,
  type TestRunResult,
} from './program.ts';
export type { ReadOptions, WaitOptions } from './reading.ts';
export type { RecordVisitor, RingBuffer } from './ring-buffer.ts';
export type { StructOps } from './struct-ops.ts';
export type { Reservation, UserRingBuffer } from './user-ring-buffer.ts';
export { setVariables, Variable } from './variable.ts';
