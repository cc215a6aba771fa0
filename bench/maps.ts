/**
 * Maps: nanoseconds a lookup and an update, of the map alone, from user space and from a program on each
 * engine, beside a JavaScript Map with the same numbers in it; and the check that every access of the interpreter
 * passes.
 */
import { assemble } from '../src/asm/index.ts';
import { type Engine, interpreter, jit } from '../src/vm/index.ts';
import { BenchRuntime, type Case } from './harness.ts';

const ENTRIES = 10_000;
const ROUNDS = 1000;

const keyBytes = (n: number) => new Uint8Array(new Uint32Array([n]).buffer);
const keys = Array.from({ length: ROUNDS }, (_, i) => (i * 7919) % ENTRIES);

function each(name: string, unit: string, work: (key: number) => number): Case {
  return {
    name,
    unit,
    count: ROUNDS,
    run() {
      let sum = 0;
      for (let i = 0; i < ROUNDS; i++) sum += work(keys[i]!);
      return sum;
    },
  };
}

export function mapCases(): Case[] {
  const runtime = new BenchRuntime();
  const { memory } = runtime;
  const hash = runtime.map('hash', ENTRIES);
  const array = runtime.map('array', ENTRIES);
  const value = new Uint8Array(8);
  for (let n = 0; n < ENTRIES; n++) hash.userUpdate(keyBytes(n), value, 0n);
  const slot = memory.alloc(16);
  const at = (key: number) => {
    memory.view.setUint32(slot, key, true);
    return slot;
  };
  const peer = new Map(Array.from({ length: ENTRIES }, (_, n) => [n, n]));
  const userKeys = keys.map(keyBytes);
  const context = { ctx: 0 };
  const inProgram = (engine: Engine, address: number) =>
    runtime.load(
      engine,
      assemble(`r8 = ${ROUNDS}
        l: *(u32 *)(r10 - 4) = r8
        r1 = ${address} ll
        r2 = r10
        r2 += -4
        call 1
        r8 -= 1
        if r8 != 0 goto l
        r0 = 0
        exit`),
    );
  const inPrograms = [interpreter, jit].flatMap((engine) =>
    [hash, array].map((map): Case => {
      const program = inProgram(engine, map.address);
      const name = `${engine.name}: ${map === hash ? 'hash' : 'array'} lookup in a program, with its 7 other instructions`;
      return { name, unit: 'lookup', count: ROUNDS, run: () => program.run(context) };
    }),
  );
  return [
    each('hash lookup, 10,000 entries', 'lookup', (key) => hash.lookup(at(key), 0)),
    each('JavaScript Map.get, the same numbers', 'lookup', (key) => peer.get(key)!),
    each('hash update', 'update', (key) => hash.update(at(key), slot + 8, 0n, 0)),
    each('array lookup', 'lookup', (key) => array.lookup(at(key), 0)),
    {
      name: 'hash lookup from user space',
      unit: 'lookup',
      count: ROUNDS,
      run: () => userKeys.reduce((sum, key) => sum + hash.userLookup(key, value), 0),
    },
    ...inPrograms,
    each('isAllocated: the check of an access', 'check', (key) =>
      memory.isAllocated(slot + (key & 7), 8) ? 1 : 0,
    ),
    each('alloc and free of 64 bytes', 'pair', (key) => {
      memory.free(memory.alloc(64));
      return key;
    }),
  ];
}
