/**
 * Loading on kernels that lack what the embedded one has: a system in front of it refuses what they would refuse,
 * with their errors.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assemble } from '../asm/index.ts';
import { BtfBuilder, type BtfKind, readBtf } from '../btf/index.ts';
import { openObject } from '../object/index.ts';
import type { BpfAttr, Cmd } from '../uapi/commands.ts';
import { BpfError } from '../uapi/errno.ts';
import type { System } from '../uapi/seam.ts';
import { supports } from './features.ts';
import { Kernel, KernelHandle } from './index.ts';
import { sanitizeBtf } from './sanitize-btf.ts';

const read = (name: string): Uint8Array =>
  readFileSync(fileURLToPath(new URL(`../../fixtures/objects/${name}.bpf.o`, import.meta.url)));

interface Old {
  readonly lacks?: readonly BtfKind[];
  readonly names?: false;
  readonly attachTypes?: false;
  readonly mmapable?: false;
  readonly probeReadKernel?: false;
  readonly globalData?: false;
}

/** The start of a load of a map's value into r1, and a call of bpf_probe_read_kernel. */
const mapValue = [0x18, 0x21];
const readKernel = [0x85, 0, 0, 0, 113, 0, 0, 0];

/** Whether an instruction starts with these bytes. */
function holds(insns: unknown, start: readonly number[]): boolean {
  const bytes = insns as Uint8Array;
  for (let at = 0; at < bytes.length; at += 8)
    if (start.every((byte, i) => bytes[at + i] === byte)) return true;
  return false;
}

/** A kernel that is older than the embedded one in some respects, and what it was asked. */
function oldKernel(
  kernel: Kernel,
  old: Old,
): { handle: KernelHandle; calls: [Cmd, Record<string, unknown>][] } {
  const calls: [Cmd, Record<string, unknown>][] = [];
  const refuses = (cmd: Cmd, attr: Record<string, unknown>): boolean => {
    if (old.names === false && ((attr['progName'] ?? '') !== '' || (attr['mapName'] ?? '') !== ''))
      return true;
    if (old.mmapable === false && cmd === 'mapCreate' && (Number(attr['mapFlags']) & 0x400) !== 0)
      return true;
    if (old.attachTypes === false && cmd === 'progLoad' && Number(attr['expectedAttachType']) !== 0)
      return true;
    if (cmd === 'progLoad' && old.probeReadKernel === false && holds(attr['insns'], readKernel)) return true;
    if (old.globalData === false && cmd === 'mapCreate' && (Number(attr['mapFlags']) & 0x80) !== 0)
      return true;
    if (old.globalData === false && cmd === 'progLoad' && holds(attr['insns'], mapValue)) return true;
    if (cmd !== 'btfLoad' || old.lacks === undefined) return false;
    const btf = readBtf(attr['btf'] as Uint8Array);
    return old.lacks.some((kind) => btf.idsOf(kind).length > 0);
  };
  const bpf = <C extends Cmd>(cmd: C, attr: BpfAttr<C>): number => {
    calls.push([cmd, attr as Record<string, unknown>]);
    if (refuses(cmd, attr as Record<string, unknown>)) throw new BpfError('EINVAL', cmd);
    return kernel.sys.bpf(cmd, attr);
  };
  const system = new Proxy(kernel.sys, {
    get: (target, name) => {
      if (name === 'bpf') return bpf;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  }) as System;
  return { handle: new KernelHandle(system), calls };
}

describe('an object loads on a kernel', () => {
  const cases: { name: string; old: Old }[] = [
    { name: 'without sections of variables in BTF', old: { lacks: ['var', 'datasec'] } },
    { name: 'without functions in BTF', old: { lacks: ['func', 'funcProto'] } },
    { name: 'without any BTF', old: { lacks: ['int'] } },
    { name: 'without names', old: { names: false } },
    { name: 'without expected attach types', old: { attachTypes: false } },
    { name: 'without maps in memory', old: { mmapable: false } },
    {
      name: 'without all of these',
      old: { lacks: ['int'], names: false, attachTypes: false, mmapable: false },
    },
  ];
  for (const { name, old } of cases) {
    test(name, () => {
      using kernel = new Kernel();
      const { handle } = oldKernel(kernel, old);
      const spec = openObject(read('globals'), { name: 'globals' });
      using collection = handle.load(spec);
      assert.deepEqual(Object.keys(collection.programs), Object.keys(spec.programs));
      assert.deepEqual(Object.keys(collection.maps), Object.keys(spec.maps));
    });
  }

  test('that reads its memory by an older helper', () => {
    using kernel = new Kernel();
    const { handle, calls } = oldKernel(kernel, { probeReadKernel: false });
    const text = 'r1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\ncall bpf_probe_read_kernel\nr0 = 0\nexit';
    handle.loadProgram({ type: 'tracepoint', insns: assemble(text) }).close();
    const loaded = calls.findLast(([cmd]) => cmd === 'progLoad')![1]['insns'];
    assert.ok(holds(loaded, [0x85, 0, 0, 0, 4, 0, 0, 0]));
  });

  test('that has no global variables is told of', () => {
    using kernel = new Kernel();
    const { handle } = oldKernel(kernel, { globalData: false });
    assert.throws(
      () => handle.load(openObject(read('globals'))),
      (error) => error instanceof BpfError && /no global variables: Linux 5\.2 has/.test(error.line),
    );
  });

  test('which is asked once for each feature', () => {
    using kernel = new Kernel();
    const { handle, calls } = oldKernel(kernel, { names: false });
    handle.load(openObject(read('globals'))).close();
    const probes = (): number => calls.filter(([, attr]) => attr['progName'] === 'skep_name').length;
    assert.equal(probes(), 1);
    handle.load(openObject(read('globals'))).close();
    assert.equal(probes(), 1);
  });

  test('a recent one is asked nothing but to load', () => {
    using kernel = new Kernel();
    const { handle, calls } = oldKernel(kernel, {});
    const spec = openObject(read('globals'), { name: 'globals' });
    handle.load(spec).close();
    const count = (cmd: Cmd): number => calls.filter(([each]) => each === cmd).length;
    assert.deepEqual(
      [count('btfLoad'), count('mapCreate'), count('progLoad')],
      [1, Object.keys(spec.maps).length, Object.keys(spec.programs).length],
    );
  });
});

test('features of the embedded kernel', () => {
  using kernel = new Kernel();
  for (const feature of ['btf', 'btfDatasec', 'btfEnum64', 'progName', 'globalData', 'arrayMmap'] as const) {
    assert.equal(supports(kernel.sys, feature), true, feature);
  }
});

describe('BTF without kinds that a kernel lacks', () => {
  const builder = new BtfBuilder();
  const int = builder.add({
    kind: 'int',
    name: 'int',
    size: 4,
    signed: true,
    char: false,
    bool: false,
    bitOffset: 0,
    bits: 32,
  });
  const proto = builder.add({
    kind: 'funcProto',
    name: '',
    type: int,
    parameters: [{ name: 'a', type: int }],
  });
  builder.add({ kind: 'func', name: 'f', type: proto, linkage: 1 });
  const variable = builder.add({ kind: 'var', name: 'v', type: int, linkage: 1 });
  builder.add({
    kind: 'datasec',
    name: '.data',
    size: 8,
    variables: [{ type: variable, offset: 4, size: 4 }],
  });
  builder.add({ kind: 'declTag', name: 'tag', type: variable, component: -1 });
  builder.add({ kind: 'float', name: 'float', size: 4 });
  builder.add({ kind: 'typeTag', name: 'user', type: int });
  builder.add({
    kind: 'enum64',
    name: 'e',
    size: 8,
    signed: false,
    values: [{ name: 'A', value: 1n << 40n }],
  });
  builder.add({ kind: 'enum', name: 'signed', size: 4, signed: true, values: [{ name: 'B', value: -1n }] });
  const raw = builder.build();
  const before = readBtf(raw);

  const cases: { name: string; lacks: BtfKind[]; want: Record<number, BtfKind> }[] = [
    { name: 'functions', lacks: ['func', 'funcProto'], want: { 2: 'enum', 3: 'typedef' } },
    {
      name: 'variables, and tags of these',
      lacks: ['var', 'datasec'],
      want: { 4: 'int', 5: 'struct', 6: 'int' },
    },
    { name: 'tags of declarations', lacks: ['declTag'], want: { 6: 'int' } },
    { name: 'floats', lacks: ['float'], want: { 7: 'struct' } },
    { name: 'tags of types', lacks: ['typeTag'], want: { 8: 'const' } },
    { name: 'enumerators of 64 bits', lacks: ['enum64'], want: { 9: 'union' } },
  ];
  for (const { name, lacks, want } of cases) {
    test(name, () => {
      using kernel = new Kernel();
      const { handle } = oldKernel(kernel, { lacks });
      const sanitized = readBtf(sanitizeBtf(raw, handle.sys)!);
      const kinds = Array.from({ length: before.typeCount - 1 }, (_, i) => before.kind(i + 1));
      const wanted = kinds.map((kind, i) => want[i + 1] ?? kind);
      assert.deepEqual(
        wanted,
        kinds.map((_, i) => sanitized.kind(i + 1)),
      );
      for (const kind of lacks) assert.deepEqual(sanitized.idsOf(kind), []);
    });
  }

  test('nothing is changed for a kernel that knows all', () => {
    using kernel = new Kernel();
    assert.equal(sanitizeBtf(raw, kernel.sys), undefined);
  });
});
