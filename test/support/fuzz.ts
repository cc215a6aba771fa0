/**
 * The fuzz property that every reader of untrusted bytes holds: on random bytes, and on valid files with
 * bytes changed, cut out or cut off, it returns or throws a `SkepError`, and nothing else.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SkepError } from '../../src/base/errors.ts';

/** Runs of each property; FUZZ_RUNS=100000 for a long session. */
const numRuns = Number(process.env['FUZZ_RUNS'] ?? 300);

/** Numbers on which readers of counts, offsets and sizes go wrong. */
const words = [0, 1, 7, 0x7f, 0xff, 0x100, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

/** A valid file with some bytes and words replaced, and possibly cut short or a piece taken out. */
function mutated(seed: Uint8Array): fc.Arbitrary<Uint8Array> {
  const at = fc.nat({ max: Math.max(seed.length - 1, 0) });
  const edits = fc.array(fc.tuple(at, fc.integer({ min: 0, max: 255 })), { maxLength: 8 });
  const wordEdits = fc.array(fc.tuple(at, fc.constantFrom(...words)), { maxLength: 3 });
  const cut = fc.option(fc.tuple(at, at));
  return fc.tuple(edits, wordEdits, cut, fc.boolean()).map(([changes, wordChanges, piece, toEnd]) => {
    const bytes = Uint8Array.from(seed);
    for (const [index, value] of changes) bytes[index] = value;
    const view = new DataView(bytes.buffer);
    for (const [index, value] of wordChanges) {
      const aligned = index & ~3;
      if (aligned + 4 <= bytes.length) view.setUint32(aligned, value, true);
    }
    if (piece === null) return bytes;
    const [from, to] = piece[0] < piece[1] ? piece : [piece[1], piece[0]];
    const tail = toEnd ? new Uint8Array() : bytes.subarray(to);
    return Uint8Array.from([...bytes.subarray(0, from), ...tail]);
  });
}

/** Asserts that `read` fails with `SkepError` only, on random bytes and on mutations of `seeds`. */
export function fuzzReader(read: (bytes: Uint8Array) => unknown, seeds: readonly Uint8Array[]): void {
  const holds = (bytes: Uint8Array): void => {
    try {
      read(bytes);
    } catch (error) {
      assert.ok(
        error instanceof SkepError,
        `not a SkepError: ${error instanceof Error ? error.stack : String(error)}`,
      );
      assert.doesNotMatch(error.line, /\n/, 'an error is one line');
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 512 }), holds), { numRuns });
  for (const seed of seeds) fc.assert(fc.property(mutated(seed), holds), { numRuns });
}
