/** Programs of tp_btf on the tracepoints of the embedded kernel. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { openObject } from '../object/index.ts';
import { Kernel, setVariables } from '../user/index.ts';
import { interpreter, jit } from './index.ts';

const object = new URL('../../fixtures/objects/attach.bpf.o', import.meta.url);
const task = { pid: 42, tgid: 42, uid: 0, gid: 0, comm: 'test' };

for (const engine of [interpreter, jit]) {
  test(`tp_btf runs when its tracepoint fires, ${engine.name}`, () => {
    const kernel = new Kernel({ engine });
    const spec = openObject(readFileSync(object));
    for (const program of Object.values(spec.programs)) program.autoload = program.name === 'on_tp_btf';
    setVariables(spec, { target_pid: task.tgid });
    const collection = kernel.load(spec);
    const hits = (): bigint => collection.variable<bigint>('hits').get();
    const fire = (tgid: number): void =>
      kernel.embedded.tracepoints.fire('raw_syscalls:sys_enter', {
        task: { ...task, tgid },
        id: 1n,
        args: [],
      });
    const link = collection.program('on_tp_btf').attach();
    assert.equal(link.info().typeName, 'raw_tracepoint');
    fire(task.tgid);
    fire(task.tgid + 1);
    assert.equal(hits(), 1n);
    link.close();
    fire(task.tgid);
    assert.equal(hits(), 1n);
    kernel.close();
  });
}
