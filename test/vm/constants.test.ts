/**
 * What a program loads from a map that is frozen and read-only for programs is a number in its generated code, and the
 * branches on it are gone; from any other map it is loaded each time. On both engines the program does the same.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EmbeddedKernel } from '../../src/kernel/index.ts';
import { mapTypes } from '../../src/uapi/index.ts';
import { type Engine, interpreter, jit, jitText, type RunnableProgram } from '../../src/vm/index.ts';
import { load, makeMap, u32 } from '../contract/harness.ts';

const RDONLY_PROG = 1 << 7;

/** Loads of every size, by addresses that moved, behind a branch on what one of them found. */
const text = (fd: number) => `r6 = map[fd:${fd}][0]+0
  w7 = *(u32 *)(r6 + 4)
  if w7 != 77 goto other
  r1 = r6
  r1 += 16
  r0 = *(u64 *)(r1 + 0)
  r2 = *(u8 *)(r1 - 3)
  r0 += r2
  r3 = *(u64 *)(r6 + 8)
  r3 >>= 60
  r0 += r3
  exit
  other: r0 = *(u32 *)(r6 + 0)
  exit`;

const value = Uint8Array.from({ length: 24 }, (_, i) => 0xf0 - i);
value.set(u32(77), 4);
value.set([5, 0, 0, 0, 0, 0, 0, 0], 16);

interface Case {
  readonly name: string;
  readonly flags: number;
  readonly frozen: boolean;
  /** What the word at 4 becomes after the load, where it can be changed. */
  readonly later?: number;
  readonly folds: boolean;
  readonly want: number;
}

const folded = 5 + (0xf0 - 13) + ((0xf0 - 15) >> 4);

const cases: readonly Case[] = [
  { name: 'frozen and read-only', flags: RDONLY_PROG, frozen: true, folds: true, want: folded },
  { name: 'frozen, but programs may write it', flags: 0, frozen: true, folds: false, want: folded },
  { name: 'read-only, but not frozen', flags: RDONLY_PROG, frozen: false, folds: false, want: folded },
  {
    name: 'read-only, changed after the load',
    flags: RDONLY_PROG,
    frozen: false,
    later: 78,
    folds: false,
    want: 0xedee_eff0 | 0,
  },
];

for (const engine of [interpreter, jit]) {
  for (const { name, flags, frozen, later, folds, want } of cases) {
    test(`${engine.name}: a map that is ${name}`, () => {
      let code = '';
      const watched: Engine = {
        ...engine,
        load(program: RunnableProgram, runtime) {
          code = jitText(program, runtime, () => []).split('(func $enter')[0]!;
          return engine.load(program, runtime);
        },
      };
      const kernel = new EmbeddedKernel({ cpus: 1, memoryLimit: 16 << 20, engine: watched });
      const process = kernel.spawn();
      const mapFd = makeMap(process, {
        mapType: mapTypes.array.id,
        valueSize: 24,
        maxEntries: 1,
        mapFlags: flags,
      });
      const write = (bytes: Uint8Array): number =>
        process.bpf('mapUpdateElem', { mapFd, key: u32(0), value: bytes, flags: 0n });
      write(value);
      if (frozen) process.bpf('mapFreeze', { mapFd });
      const progFd = load(process, text(mapFd));
      // It goes nowhere back, so it counts nothing, and loads are its own.
      assert.equal(/load/.test(code), !folds, code);
      assert.equal(/i32\.const 77/.test(code), !folds, code);
      if (later !== undefined) {
        const changed = value.slice();
        changed.set(u32(later), 4);
        write(changed);
      }
      const run = { progFd, dataIn: new Uint8Array(64), dataSizeIn: 64, retval: 0 };
      process.bpf('progTestRun', run);
      assert.equal(run.retval | 0, want);
      process.end();
    });
  }
}
