/** Programs that name what a module of the kernel has: a kernel with one, made up, that notes what it is given. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BtfBuilder, type BtfType, readBtf } from '../btf/index.ts';
import { type CollectionSpec, openObject } from '../object/index.ts';
import type { BpfAttr, Cmd } from '../uapi/commands.ts';
import { BpfError } from '../uapi/errno.ts';
import type { System } from '../uapi/seam.ts';
import { findAttachTarget } from './attach-target.ts';
import { Kernel, KernelHandle } from './index.ts';
import { ownTypes } from './kernel-types.ts';
import { Modules } from './modules.ts';

const int = {
  kind: 'int',
  name: 'int',
  size: 4,
  signed: true,
  char: false,
  bool: false,
  bitOffset: 0,
  bits: 32,
} as const satisfies BtfType;
const core = new BtfBuilder();
core.add(int);
const nothing = core.add({ kind: 'funcProto', name: '', type: 0, parameters: [] });
const vmlinux = core.build();
const split = new BtfBuilder(readBtf(vmlinux), 'split');
const lock = split.add({ kind: 'func', name: 'bpf_rcu_read_lock', type: nothing, linkage: 0 });
const unlock = split.add({ kind: 'func', name: 'bpf_rcu_read_unlock', type: nothing, linkage: 0 });
const word = split.add({ ...int, name: 'word', size: 8, bits: 64 });
/** What core.bpf.o asks for, as a module has it: another kernel's names behind a flavour, and other offsets. */
split.add({
  kind: 'struct',
  name: 'task_struct___toy',
  size: 24,
  members: [
    { name: 'tgid', type: 1, bitOffset: 64, bitSize: 0 },
    { name: 'pid', type: 1, bitOffset: 128, bitSize: 0 },
  ],
});
const proto = split.add({ kind: 'funcProto', name: '', type: 0, parameters: [] });
const pointer = split.add({ kind: 'ptr', name: '', type: proto });
const ops = split.add({
  kind: 'struct',
  name: 'tcp_congestion_ops',
  size: 40,
  members: ['ssthresh', 'cong_avoid', 'undo_cwnd', 'name'].map((name, i) => ({
    name,
    type:
      name === 'name'
        ? split.add({ kind: 'array', name: '', type: charType(split), indexType: word, length: 16 })
        : pointer,
    bitOffset: i * 64,
    bitSize: 0,
  })),
});
const holder = split.add({
  kind: 'struct',
  name: 'bpf_struct_ops_tcp_congestion_ops',
  size: 104,
  members: [{ name: 'data', type: ops, bitOffset: 512, bitSize: 0 }],
});
const module = split.build();

function charType(builder: BtfBuilder): number {
  return builder.add({ ...int, name: 'char', size: 1, bits: 8, char: true });
}

/** BTF 1 is the kernel's, 2 a program's, 3 the module's. */
const known = [
  { id: 1, name: 'vmlinux', kernelBtf: 1, btf: vmlinux },
  { id: 2, name: '', kernelBtf: 0, btf: vmlinux },
  { id: 3, name: 'toy', kernelBtf: 1, btf: module },
];

class ToySystem {
  readonly open = new Map<number, (typeof known)[number]>();
  readonly loads: BpfAttr<'progLoad'>[] = [];
  readonly maps: BpfAttr<'mapCreate'>[] = [];
  readonly system: System;
  #next = 100;

  constructor(kernel: Kernel) {
    const own: Partial<System> = {
      bpf: (cmd, attr) => this.#bpf(kernel, cmd, attr),
      kernelBtf: () => vmlinux,
      close: (fd) => {
        if (!this.open.delete(fd)) kernel.sys.close(fd);
      },
    };
    this.system = new Proxy(kernel.sys, {
      get: (target, name) => {
        const value = (Reflect.get(own, name) ?? Reflect.get(target, name)) as unknown;
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  #bpf<C extends Cmd>(kernel: Kernel, cmd: C, given: BpfAttr<C>): number {
    const attr = given as BpfAttr<'btfGetNextId'> &
      BpfAttr<'btfGetFdById'> & { bpfFd?: number; info?: object };
    switch (cmd) {
      case 'btfGetNextId': {
        const next = known.find(({ id }) => id > (attr.startId ?? 0));
        if (next === undefined) throw new BpfError('ENOENT', cmd);
        attr.nextId = next.id;
        return 0;
      }
      case 'btfGetFdById':
        this.open.set(++this.#next, known.find(({ id }) => id === attr.btfId)!);
        return this.#next;
      case 'objGetInfoByFd': {
        const found = this.open.get(attr.bpfFd ?? -1);
        if (found === undefined) return kernel.sys.bpf(cmd, given);
        const info = attr.info as { btf?: Uint8Array; name?: Uint8Array };
        info.btf?.set(found.btf.subarray(0, info.btf.length));
        info.name?.set(new TextEncoder().encode(`${found.name}\0`));
        const { kernelBtf, name, btf } = found;
        Object.assign(info, { kernelBtf, nameLen: name.length + 1, btfSize: btf.length });
        return 0;
      }
      case 'mapCreate': {
        // What the kernel of the test does not have is noted, and left out.
        const { btfVmlinuxValueTypeId, valueTypeBtfObjFd, ...rest } = given as BpfAttr<'mapCreate'>;
        this.maps.push({ ...rest, btfVmlinuxValueTypeId, valueTypeBtfObjFd });
        return kernel.sys.bpf('mapCreate', { mapType: 2, keySize: 4, valueSize: 4, maxEntries: 1 });
      }
      case 'progLoad':
        this.loads.push(given as BpfAttr<'progLoad'>);
        return kernel.sys.bpf('btfLoad', { btf: vmlinux, btfSize: vmlinux.length });
      default:
        return kernel.sys.bpf(cmd, given);
    }
  }
}

const open = (name: string): CollectionSpec =>
  openObject(readFileSync(fileURLToPath(new URL(`../../fixtures/objects/${name}.bpf.o`, import.meta.url))));

describe('a module has what the kernel has not', () => {
  test('functions to call: by the number of its BTF in a list', () => {
    using kernel = new Kernel();
    const toy = new ToySystem(kernel);
    const spec = open('externs');
    for (const program of Object.values(spec.programs)) {
      program.autoload = program.symbols?.some(({ symbol }) => symbol === 'bpf_rcu_read_lock') ?? false;
    }
    new KernelHandle(toy.system).load(spec).close();
    const { insns, fdArray } = toy.loads[0]!;
    const [none, fd] = new Int32Array(Uint8Array.from(fdArray!).buffer);
    assert.equal(none, 0);
    assert.ok(fd! > 100);
    const calls: number[][] = [];
    const view = new DataView(Uint8Array.from(insns!).buffer);
    for (let at = 0; at < view.byteLength; at += 8) {
      const isKfunc = view.getUint8(at) === 0x85 && view.getUint8(at + 1) === 0x20;
      if (isKfunc) calls.push([view.getInt16(at + 2, true), view.getInt32(at + 4, true)]);
    }
    assert.ok(calls.some(([index, id]) => index === 1 && id === lock));
    assert.ok(calls.some(([index, id]) => index === 1 && id === unlock));
    assert.deepEqual([...toy.open.keys()], [], 'no descriptor of a module is left open');
  });

  const poisoned = 195896080;
  const core = [
    // Offsets of pid, tgid, comm; sizes of comm and the struct; a member and an enumerator that are not there.
    { of: 'its own', kernelBtf: undefined, want: [16, 8, poisoned, poisoned, 24, 0, 0] },
    {
      of: 'a kernel that is given',
      kernelBtf: vmlinux,
      want: [poisoned, poisoned, poisoned, poisoned, 0, 0, 0],
    },
  ];
  for (const { of, kernelBtf, want } of core) {
    test(`types that CO-RE asks about: ${of}`, () => {
      using kernel = new Kernel();
      const toy = new ToySystem(kernel);
      const spec = open('task');
      new KernelHandle(toy.system).load(spec, { kernelBtf }).close();
      const view = new DataView(Uint8Array.from(toy.loads[0]!.insns!).buffer);
      const asked = spec.programs['task']!.coreRelocations!;
      assert.deepEqual(
        asked.map(({ slot }) => view.getInt32(slot * 8 + 4, true)),
        want,
      );
      assert.deepEqual([...toy.open.keys()], [], 'no descriptor of a module is left open');
    });
  }

  test('structs of functions, with the functions', () => {
    using kernel = new Kernel();
    const toy = new ToySystem(kernel);
    new KernelHandle(toy.system).load(open('congestion')).close();
    const [map] = toy.maps;
    assert.equal(map!.btfVmlinuxValueTypeId, holder);
    assert.equal(map!.valueSize, 104);
    assert.equal(map!.mapFlags! & 0x8000, 0x8000);
    assert.ok(map!.valueTypeBtfObjFd! > 100);
    for (const { attachBtfId, attachBtfObjFd } of toy.loads) {
      assert.equal(attachBtfId, ops);
      assert.equal(attachBtfObjFd, map!.valueTypeBtfObjFd);
    }
    assert.deepEqual([...toy.open.keys()], [], 'no descriptor of a module is left open');
  });

  const targets = [
    { name: 'fentry/bpf_rcu_read_lock', want: lock },
    { name: 'fexit/toy:bpf_rcu_read_unlock', want: unlock },
    { name: 'fentry/other:bpf_rcu_read_lock', want: undefined },
    { name: 'fentry/nowhere', want: undefined },
  ];
  for (const { name, want } of targets) {
    test(`a function to attach to: ${name}`, () => {
      using kernel = new Kernel();
      const { system } = new ToySystem(kernel);
      const modules = new Modules(system);
      const program = { ...Object.values(open('externs').programs)[0]!, section: name };
      const spec = { ...program, attachTo: name.slice(name.indexOf('/') + 1) };
      const find = () => findAttachTarget(spec, { system, types: () => ownTypes(system), modules });
      if (want === undefined) assert.throws(find, /the kernel's types have no func/);
      else assert.equal(find()?.attachBtfId, want);
      modules.close();
    });
  }
});
