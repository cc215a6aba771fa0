import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Bug } from '../../../base/errors.ts';
import { ByteCursor, ByteWriter } from './bytes.ts';
import { type Code, ModuleBuilder, moduleText } from './index.ts';
import { bulk, type OpName, opcodes, opNames } from './opcodes.ts';

const i64 = { params: ['i64', 'i64'], results: ['i64'] } as const;

/** A module with one function, `run`. */
function moduleOf(write: (code: Code) => void): ModuleBuilder {
  const module = new ModuleBuilder();
  const { ref, code } = module.define('run', i64, ['a', 'b']);
  write(code);
  module.export('run', ref);
  return module;
}

function instantiate(
  module: ModuleBuilder,
  imports: WebAssembly.Imports = {},
): (a: bigint, b: bigint) => bigint {
  const { bytes } = module.build();
  assert.ok(WebAssembly.validate(bytes));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), imports);
  return exports['run'] as (a: bigint, b: bigint) => bigint;
}

test('numbers are written as LEB128 and read back', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), (value) => {
      const out = new ByteWriter();
      out.i64(value);
      assert.equal(new ByteCursor(out.take()).i64(), value);
    }),
  );
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 32 - 1 }), (value) => {
      const out = new ByteWriter();
      out.u32(value);
      out.i32(value);
      const cursor = new ByteCursor(out.take());
      assert.deepEqual([cursor.u32(), Number(cursor.i64())], [value, value | 0]);
    }),
  );
});

test('no two instructions share a byte', () => {
  const names = Object.keys(opcodes) as OpName[];
  for (const name of names.filter((one) => !(one in bulk))) assert.equal(opNames[opcodes[name][0]], name);
});

test('a function with a loop, its text', () => {
  // The sum of a … b.
  const module = moduleOf((code) => {
    const [a, b] = code.locals;
    const sum = code.local('sum', 'i64');
    const out = code.block();
    const again = code.loop();
    code.get(a!);
    code.get(b!);
    code.op('i64.gt_s');
    code.brIf(out);
    code.get(sum);
    code.get(a!);
    code.op('i64.add');
    code.set(sum);
    code.get(a!);
    code.i64(1n);
    code.op('i64.add');
    code.set(a!);
    code.br(again);
    code.end();
    code.end();
    code.get(sum);
  });
  assert.equal(instantiate(module)(1n, 100n), 5050n);
  assert.equal(
    moduleText(module),
    `(module
  (func $run (param $a i64) (param $b i64) (result i64)
    (local $sum i64)
    block
      loop
        local.get $a
        local.get $b
        i64.gt_s
        br_if 1
        local.get $sum
        local.get $a
        i64.add
        local.set $sum
        local.get $a
        i64.const 1
        i64.add
        local.set $a
        br 0
      end
    end
    local.get $sum
  )
  (export "run" (func $run))
)
`,
  );
});

test('memory, imports, calls, a branch table', () => {
  const module = new ModuleBuilder();
  module.memory = { module: 'env', name: 'memory', initial: 1, maximum: 2 };
  const seen: number[] = [];
  const note = module.import('env', 'note', { params: ['i32'], results: [] });
  const inner = module.define('inner', { params: ['i32'], results: ['i64'] }, ['at']);
  inner.code.get(inner.code.locals[0]!);
  inner.code.access('i64.load16_u', 6);
  const { ref, code } = module.define('run', i64, ['a', 'b']);
  const [a, b] = code.locals;
  code.i32(0);
  code.i32(0xff);
  code.i32(32);
  code.bulk('memory.fill');
  code.i32(8);
  code.get(b!);
  code.access('i64.store');
  const two = code.block();
  const one = code.block();
  const zero = code.block();
  code.get(a!);
  code.op('i32.wrap_i64');
  code.brTable([zero, one], two);
  code.end();
  code.i32(100);
  code.call(note);
  code.end();
  code.i32(2);
  code.call(inner.ref);
  code.op('return');
  code.end();
  code.get(b!);
  code.i64(0n);
  code.op('i64.eq');
  code.if('i64');
  code.i64(-7n);
  code.else();
  code.i64(1n << 40n);
  code.end();
  module.export('run', ref);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
  const run = instantiate(module, { env: { memory, note: (value: number) => seen.push(value) } });
  assert.equal(run(0n, 0x1234n), 0x1234n);
  assert.equal(run(1n, 0x4321n), 0x4321n);
  assert.equal(run(2n, 0n), -7n);
  assert.equal(run(9n, 1n), 1n << 40n);
  assert.deepEqual(seen, [100]);
  const text = moduleText(module);
  for (const line of [
    'br_table 0 1 2',
    'i64.load16_u offset=6',
    'memory.fill',
    'call $note',
    'if (result i64)',
  ]) {
    assert.ok(text.includes(line), line);
  }
});

test('where the instructions of a function start', () => {
  const module = moduleOf((code) => {
    code.local('x', 'i32');
    code.op('unreachable');
  });
  const { bytes, starts } = module.build();
  assert.equal(bytes[starts[0]!], 0);
  assert.deepEqual([...bytes.subarray(starts[0]! - 3, starts[0]!)], [1, 1, 0x7f]);
});

test('a branch out of a closed block, an open block and a late import are bugs', () => {
  assert.throws(
    () =>
      moduleOf((code) => {
        const label = code.block();
        code.end();
        code.br(label);
      }),
    Bug,
  );
  assert.throws(() => moduleOf((code) => void code.block()).build(), Bug);
  assert.throws(() => moduleOf((code) => code.end()), Bug);
  assert.throws(() => moduleOf(() => {}).import('env', 'late', i64), Bug);
});
