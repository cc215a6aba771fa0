/**
 * Every object of the repository on the embedded kernel: what is generated of its programs is valid WebAssembly; and
 * the benchmark programs give on both engines, and on the running Linux where bpf(2) works, the same.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  BpfError,
  interpreter,
  jit,
  Kernel,
  type KernelHandle,
  LoadError,
  SkepError,
} from '../../src/index.ts';
import { LinuxKernel } from '../../src/linux-kernel.ts';
import type { Engine } from '../../src/vm/index.ts';
import { workspaceOf } from '../../src/vm/jit/host.ts';
import { translate } from '../../src/vm/jit/translate/module.ts';
import { whyNoLinux } from '../support/linux.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

const objects = ['fixtures', 'examples', 'bench'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.bpf.o'))
    .map((file) => join(folder, file)),
);

test('what is generated of every object is valid', () => {
  let programs = 0;
  const validating: Engine = {
    name: 'jit',
    load(program, runtime) {
      const executable = jit.load(program, runtime);
      const { scratch } = workspaceOf(runtime.memory);
      const { bytes } = translate(program, { scratch, view: runtime.memory.view });
      assert.ok(WebAssembly.validate(bytes), program.name);
      programs++;
      return executable;
    },
  };
  const kernel = new Kernel({ engine: validating });
  for (const object of objects) {
    try {
      kernel.load(readFileSync(join(root, object))).close();
    } catch (error) {
      // Some are there to be refused, or want what this kernel does not have.
      assert.ok(
        error instanceof SkepError || error instanceof BpfError || error instanceof LoadError,
        object,
      );
    }
  }
  kernel.close();
  assert.ok(programs > 40, `${programs} programs`);
});

const packet = new Uint8Array(1514);
for (let i = 0, x = 1; i < packet.length; i++) {
  x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
  packet[i] = x >>> 24;
}
packet.set([0x08, 0x00, 0x45, 0, 0x05, 0xdc, 0, 1, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2], 12);

/** Its third run: the first ones fill maps. */
function outcome(kernel: KernelHandle, object: string): unknown {
  const collection = kernel.load(readFileSync(join(root, object)));
  try {
    const program = collection.program('bench');
    const { retval, data } = program.testRun({ data: packet, repeat: 3 });
    return { retval, data: [...data] };
  } finally {
    collection.close();
  }
}

const missing = whyNoLinux();
const linux = missing === false ? new LinuxKernel() : undefined;

for (const object of objects.filter((file) => file.startsWith(join('bench', 'programs')))) {
  test(`${object} runs the same everywhere`, () => {
    const one = outcome(new Kernel({ engine: interpreter }), object);
    assert.deepEqual(outcome(new Kernel({ engine: jit }), object), one, 'the engines differ');
    assert.deepEqual(outcome(new Kernel({ fuel: Number.POSITIVE_INFINITY }), object), one, 'without fuel');
    if (linux !== undefined) assert.deepEqual(one, outcome(linux, object), 'Linux differs');
  });
}
