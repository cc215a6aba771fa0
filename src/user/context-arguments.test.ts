/** Arguments that are contexts by their tag: on kernels that know the tag, and on one that does not. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { whyNoLinux } from '../../test/support/linux.ts';
import { type Btf, readBtf } from '../btf/index.ts';
import { LinuxKernel } from '../linux-kernel.ts';
import { openObject } from '../object/index.ts';
import type { BpfAttr, Cmd } from '../uapi/commands.ts';
import { BpfError } from '../uapi/errno.ts';
import type { System } from '../uapi/seam.ts';
import { withContextTypes } from './context-arguments.ts';
import { Kernel, KernelHandle } from './index.ts';

const open = (name: string) =>
  openObject(readFileSync(fileURLToPath(new URL(`../../fixtures/objects/${name}.bpf.o`, import.meta.url))));

/** What each parameter of a function points to: 'void', or a type's name; the type itself where it is no pointer. */
function parametersOf(btf: Btf, id: number): string[] {
  const func = btf.type(id);
  const proto = func.kind === 'func' ? btf.type(func.type) : undefined;
  if (proto?.kind !== 'funcProto') return [];
  return proto.parameters.map(({ type }) => {
    const pointer = btf.type(type);
    if (pointer.kind !== 'ptr') return pointer.name;
    const target = btf.type(pointer.type);
    return target.kind === 'void' ? 'void' : `struct ${target.name}`;
  });
}

/** The embedded kernel as one before 6.8: a function whose argument is a context must say so by its type. */
function older(kernel: Kernel): { handle: KernelHandle; functions: string[][] } {
  const types = new Map<number, Btf>();
  const functions: string[][] = [];
  const bpf = <C extends Cmd>(cmd: C, given: BpfAttr<C>): number => {
    const attr = given as BpfAttr<'progLoad'> & BpfAttr<'btfLoad'>;
    if (cmd === 'progLoad' && attr.funcInfo !== undefined) {
      const btf = types.get(attr.progBtfFd!)!;
      const words = new Uint32Array(Uint8Array.from(attr.funcInfo).buffer);
      const loaded = [...words].filter((_, i) => i % 2 === 1);
      // The first is the program itself.
      if (loaded.slice(1).some((id) => parametersOf(btf, id).includes('void')))
        throw new BpfError('EINVAL', cmd);
      functions.push(loaded.map((id) => `${btf.type(id).name}(${parametersOf(btf, id).join(', ')})`));
    }
    const result = kernel.sys.bpf(cmd, given);
    if (cmd === 'btfLoad') types.set(result, readBtf(Uint8Array.from(attr.btf!)));
    return result;
  };
  const system = new Proxy(kernel.sys, {
    get: (target, name) => {
      if (name === 'bpf') return bpf;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  }) as System;
  return { handle: new KernelHandle(system), functions };
}

describe('a kernel that knows contexts by their types', () => {
  test('is given the types of each type of program', () => {
    using kernel = new Kernel();
    const { handle, functions } = older(kernel);
    using collection = handle.load(open('context-args'));
    assert.deepEqual(functions, [
      ['frame(struct xdp_md)', 'length(struct xdp_md)', 'adjust(int, struct xdp_md)'],
      ['frames(struct xdp_md)', 'noted(struct xdp_md)'],
      ['packet(struct __sk_buff)', 'noted(struct __sk_buff)'],
    ]);
    assert.equal(collection.program('packet').testRun({ data: new Uint8Array(64) }).retval, 1);
  });

  test('is given other objects as they are', () => {
    using kernel = new Kernel();
    const spec = open('programs');
    assert.equal(withContextTypes(spec, older(kernel).handle.sys), spec);
  });
});

test('a kernel that knows the tag is given the object as it is', () => {
  using kernel = new Kernel();
  const spec = open('context-args');
  assert.equal(withContextTypes(spec, kernel.sys), spec);
});

test('on the running kernel', { skip: whyNoLinux() }, () => {
  using collection = new LinuxKernel().load(open('context-args'));
  assert.equal(collection.program('frames').testRun({ data: new Uint8Array(64) }).retval, 1);
});
