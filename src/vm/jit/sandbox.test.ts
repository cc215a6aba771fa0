/**
 * Programs that no verifier has seen: whatever they do, they reach nothing but the memory of their own kernel. They
 * end, trap, or are stopped; another kernel's memory stays as it was.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TestRuntime } from '../../../test/support/runtime.ts';
import { SkepError } from '../../base/errors.ts';
import type { Insn, Operand, Reg, Size } from '../../isa/insn.ts';
import { ProgramFault } from '../faults.ts';
import { jit } from './jit.ts';
import { translate } from './translate/module.ts';

const LENGTH = 30;
const reg = fc.integer({ min: 0, max: 9 }) as fc.Arbitrary<Reg>;
const base = fc.integer({ min: 0, max: 10 }) as fc.Arbitrary<Reg>;
const off = fc.integer({ min: -32768, max: 32767 });
const imm = fc.oneof(fc.constantFrom(0, 1, -1, 0x7fffffff, -0x80000000, 0x100000), fc.integer());
const size = fc.constantFrom<Size>(1, 2, 4, 8);
const bits = fc.constantFrom<32 | 64>(32, 64);
const operand: fc.Arbitrary<Operand> = fc.oneof(fc.record({ reg }), fc.record({ imm }));
const jump = fc.integer({ min: -LENGTH, max: LENGTH });

const instruction: fc.Arbitrary<Insn> = fc.oneof(
  fc.record({
    op: fc.constant('alu' as const),
    alu: fc.constantFrom('add', 'sub', 'mul', 'mov', 'lsh', 'rsh', 'xor', 'and', 'or', 'div'),
    bits,
    dst: reg,
    src: operand,
  }),
  fc.record({ op: fc.constant('load' as const), size, signed: fc.boolean(), dst: reg, src: base, off }),
  fc.record({ op: fc.constant('store' as const), size, dst: base, src: operand, off }),
  fc.record({
    op: fc.constant('atomic' as const),
    atomic: fc.constantFrom('add', 'xchg', 'cmpxchg'),
    fetch: fc.constant(true),
    size: fc.constantFrom<4 | 8>(4, 8),
    dst: base,
    src: reg,
    off,
  }),
  fc.record({
    op: fc.constant('ldimm64' as const),
    dst: reg,
    pseudo: fc.constant('imm' as const),
    lo: imm,
    hi: imm,
  }),
  fc.record({
    op: fc.constant('jmp' as const),
    cond: fc.constantFrom('eq', 'ne', 'gt', 'slt', 'set'),
    bits,
    dst: reg,
    src: operand,
    off: jump,
  }),
  fc.record({ op: fc.constant('call' as const), kind: fc.constant('subprog' as const), imm: jump }),
  fc.record({
    op: fc.constant('call' as const),
    kind: fc.constant('helper' as const),
    imm: fc.constantFrom(1, 2, 4, 12, 131, 132),
  }),
);

const exit: Insn = { op: 'exit' };

test('a program without a verifier reaches no memory but its own', () => {
  const other = new TestRuntime();
  const canary = other.bytes(new Uint8Array(4096).fill(0x5a));
  let ran = 0;
  fc.assert(
    fc.property(fc.array(instruction, { minLength: 1, maxLength: LENGTH }), (drawn) => {
      try {
        // A two-slot load takes its second slot from what comes behind it.
        const insns = drawn.flatMap<Insn | undefined>((insn) =>
          insn.op === 'ldimm64' ? [insn, undefined] : [insn],
        );
        new TestRuntime().load(jit, [...insns, exit]).run({ ctx: 0, budget: 10_000 });
      } catch (error) {
        assert.ok(error instanceof ProgramFault || error instanceof SkepError, String(error));
      }
      ran++;
    }),
    { numRuns: 300, endOnFailure: true },
  );
  assert.ok(ran > 100, `${ran} ran`);
  assert.ok(other.memory.u8.subarray(canary, canary + 4096).every((byte) => byte === 0x5a));
});

test('a module has one memory, that of its kernel, and calls nothing but its host', () => {
  const runtime = new TestRuntime();
  const given = { name: 'p', progType: 0, insns: [exit], subprogs: [], maps: [] };
  const { bytes } = translate(given, { scratch: 4096, view: runtime.memory.view });
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(bytes));
  assert.deepEqual(
    imports.filter(({ kind }) => kind !== 'function').map(({ kind }) => kind),
    ['memory'],
  );
  assert.ok(imports.every(({ module }) => module === 'env'));
});
