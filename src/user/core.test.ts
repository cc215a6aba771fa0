/** Loading programs that ask for the kernel's types. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readElf } from '../elf/index.ts';
import { openObject } from '../object/index.ts';
import { Kernel, LoadError } from './index.ts';

const fixtures = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const object = readFileSync(`${fixtures}objects/relocations.bpf.o`);
const kernelBtf = readElf(readFileSync(`${fixtures}kernels/small.o`)).section('.BTF')!.data;

test('values of a given kernel are what a program computes with', () => {
  using kernel = new Kernel();
  const spec = openObject(object);
  for (const [name, program] of Object.entries(spec.programs)) program.autoload = name === 'kinds';
  const collection = kernel.load(spec, { kernelBtf });
  collection.program('kinds').testRun({ ctx: new Uint8Array(64) });
  const out = collection.variable<bigint[]>('out').get();
  // bpf_core_type_exists and bpf_core_type_size of struct task___flavour.
  assert.deepEqual(out.slice(10, 12), [1n, 336n]);
});

for (const logLevel of [0, 1, 2, 4]) {
  test(`a missing field that a program reads is named at log level ${logLevel}`, () => {
    using kernel = new Kernel();
    assert.throws(
      () => kernel.load(object, { kernelBtf, logLevel }),
      (error) =>
        error instanceof LoadError &&
        /^failed to resolve CO-RE relocation <byte_sz> \[\d+\] struct task\.now_array /.test(error.reason),
    );
  });
}

test('types that the kernel does not have are not found in its own', () => {
  using kernel = new Kernel();
  assert.throws(
    () => kernel.load(object),
    (error) =>
      error instanceof LoadError &&
      /failed to resolve CO-RE relocation <.*\(the types of this kernel do not have it: give/.test(
        error.line,
      ),
  );
});
