/**
 * How a program gets fast soon. V8 compiles a function with its quick compiler first and with the optimising one, in
 * the background, when the function has used up a budget: each time that it is left, it pays as many bytes of machine
 * code as lie before the place where it is left, and 13 million (as of V8 14) are thousands of packets. So, after the
 * first runs, the program's function and those of its hashes are called many times for nothing (translate/empty-run.ts):
 * they leave by their very end, which costs the whole of their size and some nanoseconds. Nothing of the program runs.
 *
 * Not before those first runs: from them V8 knows which calls within the module happen, and inlines those. A program
 * that was optimised without that knowledge stays half as fast.
 */

/** Runs that V8 observes before it is told to hurry. */
export const RUNS_OBSERVED = 1000;

/** What V8 wants to see executed, in bytes of machine code, and some more. */
const BUDGET = 15_000_000;
/** Machine code of the quick compiler: so many bytes for each function and for each byte of WebAssembly, at least. */
const FIXED = 100;
const EXPANSION = 1.2;
/** Calls, some tenths of a millisecond: functions so short that this is not enough are soon there by themselves. */
const MOST = 100_000;

/** How many rounds of calls make V8 optimise functions of so many bytes of WebAssembly each. */
export function emptyRuns(sizes: readonly number[]): number {
  const shortest = sizes.reduce((least, size) => Math.min(least, size));
  const enough = Math.ceil(BUDGET / (FIXED + EXPANSION * shortest));
  return Math.max(1, Math.min(enough, Math.floor(MOST / sizes.length)));
}
