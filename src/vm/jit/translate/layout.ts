/**
 * What generated code and its host share: the scratch block in the kernel's memory, the imports, and the
 * reasons for which generated code stops.
 *
 *      scratch   r0 … r10, 8 bytes each │ fuel, 8 bytes │ frame │ CPU │ tail calls, 4 bytes each │ budget, 8 bytes
 */
import type { FunctionType } from '../wasm/index.ts';

export const REGISTERS = 11;
export const FUEL = 8 * REGISTERS;
/** The lowest address of the frame that called a helper that calls back. */
export const FRAME = FUEL + 8;
/** The CPU that the run is on. */
export const CPU = FRAME + 4;
/** Tail calls that the run has made. */
export const TAILS = CPU + 4;
/** The fuel that each run starts with. */
export const BUDGET = TAILS + 8;
export const SCRATCH_BYTES = BUDGET + 8;

/** The module name of all imports. */
export const ENV = 'env';

/** Why generated code stops a run. */
export const stops = { budget: 0, nowhere: 1, frames: 2 } as const;

/** Imports besides the memory and the helpers. No 64-bit value crosses: it goes through the scratch block. */
export const hostImports = {
  /** (reason, slot): never returns. */
  stop: { params: ['i32', 'i32'], results: [] },
  /** (offset, size): an address in the packet, or 0. */
  packet: { params: ['i32', 'i32'], results: ['i32'] },
  /** (map, upper half of that, index, slot): whether the call was made; then r0 is in the scratch block. */
  tailCall: { params: ['i32', 'i32', 'i32', 'i32'], results: ['i32'] },
  /** (index among the program's maps, key): the address of the value, or 0. */
  lookup: { params: ['i32', 'i32'], results: ['i32'] },
  /** (index among the program's maps): whether a hash has got elements that were never used. */
  grow: { params: ['i32'], results: ['i32'] },
  /** (map): wakes those who wait for a ring buffer. */
  wake: { params: ['i32'], results: [] },
} as const satisfies Record<string, FunctionType>;

/** (slot): arguments and result are in the scratch block. */
export const helperType: FunctionType = { params: ['i32'], results: [] };
export const helperImport = (code: number): string => `helper${code}`;

/**
 * Exported: (context, lowest address of the first frame) runs within a run that is going on; the other, (…, times),
 * starts runs, so many. r0 goes into the scratch block.
 */
export const ENTRY = 'enter';
export const entryType: FunctionType = { params: ['i32', 'i32'], results: [] };
export const RUN = 'run';
export const runType: FunctionType = { params: ['i32', 'i32', 'i32'], results: [] };
/**
 * Exported by programs of packets: (first context, lowest address of the first frame, how many contexts, bytes from each
 * to the next, results) starts a run for each context. `results` is the address of the number of runs that are done, a
 * word, with the lower half of each r0 behind it.
 */
export const BATCH = 'batch';
export const batchType: FunctionType = { params: ['i32', 'i32', 'i32', 'i32', 'i32'], results: [] };
/** Exported: (times) calls the functions of the program for nothing (empty-run.ts). */
export const WARM = 'warm';
export const warmType: FunctionType = { params: ['i32'], results: [] };
/** Exported where helpers call back: (slot of a function, its frame), registers in the scratch block. */
export const CALLBACK = 'callback';
/** Also exported, for tail calls. */
export const MAIN = 'main';
/** The program itself: the same, with r0 as its result. */
export const mainType: FunctionType = { params: ['i32', 'i32'], results: ['i64'] };
