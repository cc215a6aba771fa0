import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TestRuntime } from '../../../test/support/runtime.ts';
import { assemble } from '../../asm/index.ts';
import { Bug, SkepError } from '../../base/errors.ts';
import type { Insn, Slots } from '../../isa/index.ts';
import { decode } from '../../isa/index.ts';
import { interpreter, MemoryFault, ProgramFault } from '../index.ts';

const MASK = (1n << 64n) - 1n;
const exit: Insn = { op: 'exit' };
const shared = new TestRuntime();

function runInsns(insns: Slots, runtime = shared, ctx = 0): bigint {
  return runtime.load(interpreter, insns).run({ ctx, budget: 100_000 });
}

const run = (text: string) => runInsns(assemble(text));

const faults: { name: string; text: string; slot: number; address?: bigint }[] = [
  { name: 'NULL', text: 'r1 = 0\nr0 = *(u8 *)(r1 + 4)\nexit', slot: 1, address: 4n },
  {
    name: 'an address beyond 32 bits',
    text: 'r1 = 0x100000000 ll\nr0 = *(u8 *)(r1 + 0)\nexit',
    slot: 2,
    address: 1n << 32n,
  },
  { name: 'below NULL', text: 'r1 = 0\nr0 = *(u8 *)(r1 - 8)\nexit', slot: 1, address: MASK - 7n },
  { name: 'above the stack', text: 'r0 = 0\n*(u8 *)(r10 + 0) = 1\nexit', slot: 1 },
  { name: 'across the top of the stack', text: 'r0 = 0\n*(u64 *)(r10 - 4) = 1\nexit', slot: 1 },
  { name: 'below the stack', text: 'r0 = *(u64 *)(r10 - 520)\nexit', slot: 0 },
  {
    name: 'an atomic on nothing',
    text: 'r1 = 64\nr2 = 1\nlock *(u64 *)(r1 + 0) += r2\nexit',
    slot: 2,
    address: 64n,
  },
];

for (const { name, text, slot, address } of faults) {
  test(`an access of ${name} is a fault that says where`, () => {
    assert.throws(
      () => run(text),
      (error) => {
        assert.ok(error instanceof MemoryFault && error instanceof Bug);
        assert.equal(error.slot, slot);
        if (address !== undefined) assert.equal(error.address, address);
        return true;
      },
    );
  });
}

test('after a fault or a stop the executable still works', () => {
  const runtime = new TestRuntime();
  const ctx = runtime.bytes(new Uint8Array(8));
  const program = runtime.load(interpreter, assemble('call f\nexit\nf: r0 = *(u64 *)(r1 + 0)\nexit'));
  assert.throws(() => program.run({ ctx: 0 }), MemoryFault);
  assert.equal(program.run({ ctx }), 0n);
});

test('running out of memory for a frame of the stack leaves the executable usable', () => {
  const runtime = new TestRuntime();
  const program = runtime.load(interpreter, assemble('call f\nexit\nf: r0 = *(u64 *)(r10 - 8)\nexit'));
  const { memory } = runtime;
  // One frame fits, the second does not.
  const held: number[] = [];
  const fill = (size: number) => {
    try {
      for (;;) held.push(memory.alloc(size));
    } catch {
      return held;
    }
  };
  for (const size of [1 << 20, 1 << 12, 512]) fill(size);
  memory.free(held.pop()!);
  assert.throws(
    () => program.run({ ctx: 0 }),
    (error) => error instanceof SkepError && /ENOMEM/.test(error.message),
  );
  memory.free(held.pop()!);
  assert.deepEqual([program.run({ ctx: 0 }), program.run({ ctx: 0 })], [0n, 0n]);
});

test('random programs end in a result, a fault or an empty budget', () => {
  const slot = fc.uint8Array({ minLength: 8, maxLength: 8 });
  const opcode = fc.constantFrom(
    0x07,
    0x0f,
    0xbf,
    0xb7,
    0x61,
    0x63,
    0x71,
    0x73,
    0x79,
    0x7b,
    0xdb,
    0x15,
    0x1d,
    0x05,
    0x85,
    0x95,
    0xe5,
    0x20,
    0x48,
  );
  const register = fc.nat(10);
  const likely = fc
    .record({
      opcode,
      dst: register,
      src: register,
      off: fc.integer({ min: -16, max: 16 }),
      imm: fc.integer({ min: -4, max: 12 }),
    })
    .map(({ opcode: code, dst, src, off, imm }) => {
      const bytes = new Uint8Array(8);
      const view = new DataView(bytes.buffer);
      bytes[0] = code;
      bytes[1] = dst | (src << 4);
      view.setInt16(2, off, true);
      view.setInt32(4, imm, true);
      return bytes;
    });
  const ctx = shared.bytes(new Uint8Array(64));
  let ran = 0;
  const property = fc.property(
    fc.array(fc.oneof({ weight: 1, arbitrary: slot }, { weight: 9, arbitrary: likely }), { maxLength: 40 }),
    (slots) => {
      const insns: (Insn | undefined)[] = [];
      for (const bytes of slots) {
        try {
          insns.push(...decode(bytes));
        } catch {
          // Not an instruction: left out.
        }
      }
      try {
        runInsns([...insns, exit], shared, ctx);
        ran++;
      } catch (error) {
        const known = error instanceof ProgramFault || error instanceof SkepError;
        assert.ok(known, error instanceof Error ? error.stack : String(error));
      }
    },
  );
  fc.assert(property, { numRuns: 500 });
  assert.ok(ran > 0);
});
