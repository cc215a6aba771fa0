/** Structs of functions for the kernel, and variables of arenas: in the shapes of kernels, and on the running one. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { whyNoLinux } from '../../test/support/linux.ts';
import { SkepError } from '../base/errors.ts';
import { type Btf, BtfBuilder, type BtfMember, readBtf } from '../btf/index.ts';
import { LinuxKernel } from '../linux-kernel.ts';
import { type CollectionSpec, openObject } from '../object/index.ts';
import { BpfError } from '../uapi/errno.ts';
import { Kernel } from './index.ts';
import { layOutStructOps, type StructOpsLayout } from './struct-ops.ts';

const open = (name: string): CollectionSpec =>
  openObject(readFileSync(fileURLToPath(new URL(`../../fixtures/objects/${name}.bpf.o`, import.meta.url))));

/** A kernel whose struct has these members, at 8 bytes each, behind 64 bytes of state. */
function kernelWith(members: readonly string[]): Btf {
  const builder = new BtfBuilder();
  const u64 = builder.add({
    kind: 'int',
    name: 'u64',
    size: 8,
    signed: false,
    char: false,
    bool: false,
    bitOffset: 0,
    bits: 64,
  });
  const char = builder.add({
    kind: 'int',
    name: 'char',
    size: 1,
    signed: true,
    char: true,
    bool: false,
    bitOffset: 0,
    bits: 8,
  });
  const text = builder.add({ kind: 'array', name: '', type: char, indexType: u64, length: 16 });
  const proto = builder.add({ kind: 'funcProto', name: '', type: 0, parameters: [] });
  const func = builder.add({ kind: 'ptr', name: '', type: proto });
  const data = builder.add({ kind: 'ptr', name: '', type: 0 });
  const typeOf = (name: string): number =>
    name === 'name' ? text : name === 'owner' ? data : name.startsWith('nor') ? u64 : func;
  let bitOffset = 0;
  const placed = members.map((name): BtfMember => {
    const member = { name, type: typeOf(name), bitOffset, bitSize: 0 };
    bitOffset += name === 'name' ? 128 : 64;
    return member;
  });
  const name = 'tcp_congestion_ops';
  const size = bitOffset / 8;
  const ops = builder.add({ kind: 'struct', name, size, members: placed });
  builder.add({
    kind: 'struct',
    name: `bpf_struct_ops_${name}`,
    size: 64 + size,
    members: [{ name: 'data', type: ops, bitOffset: 512, bitSize: 0 }],
  });
  return readBtf(builder.build());
}

function layOut(kernel: Btf, edit: (value: Uint8Array) => void = () => undefined): StructOpsLayout {
  const spec = open('struct-ops');
  const map = spec.maps['linked']!;
  edit(map.structOps!.value);
  return layOutStructOps(map, map.structOps!, { btf: readBtf(spec.btf!), kernel });
}

describe('a struct in the shape of a kernel', () => {
  test('members are found by name, functions get their numbers', () => {
    const { value, functions } = layOut(
      kernelWith(['name', 'undo_cwnd', 'new_one', 'ssthresh', 'cong_avoid', 'owner']),
    );
    assert.equal(value.length, 64 + 56);
    assert.equal(new TextDecoder().decode(value.subarray(64, 75)), 'skep_linked');
    const got = functions.map(({ program, offset, expectedAttachType }) => [
      program,
      offset,
      expectedAttachType,
    ]);
    assert.deepEqual(got, [
      ['ssthresh', 64 + 32, 3],
      ['cong_avoid', 64 + 40, 4],
      ['undo_cwnd', 64 + 16, 1],
    ]);
  });

  const refused: { name: string; kernel: Btf; edit?: (value: Uint8Array) => void; want: RegExp }[] = [
    {
      name: 'a kernel without the struct',
      kernel: readBtf(new BtfBuilder().build()),
      want: /takes no implementations/,
    },
    {
      name: 'a value of a member that the kernel does not have',
      kernel: kernelWith(['name', 'ssthresh', 'cong_avoid', 'undo_cwnd']),
      edit: (value) => value.fill(1, 32, 40),
      want: /^map 'linked': 'nor_this' is set, and the kernel's struct has no such member$/,
    },
    {
      name: 'a kernel without a member for its name',
      kernel: kernelWith(['ssthresh']),
      want: /'name' is set, and/,
    },
  ];
  for (const { name, kernel, edit, want } of refused) {
    test(`${name} is refused`, () => {
      assert.throws(
        () => layOut(kernel, edit),
        (error) => error instanceof SkepError && want.test(error.line),
      );
    });
  }
});

test('a kernel without BTF has no structs to implement', () => {
  using kernel = new Kernel();
  assert.throws(
    () => kernel.load(open('struct-ops')),
    (error) => error instanceof SkepError && /no BTF|takes no implementations/.test(error.line),
  );
});

describe('on the running kernel', { skip: whyNoLinux() }, () => {
  test('a congestion control loads: its functions, and none that the kernel does not have', (t) => {
    const kernel = new LinuxKernel();
    if (kernel.sys.kernelBtf() === undefined) return t.skip('this kernel tells no BTF');
    using collection = kernel.load(open('struct-ops'));
    assert.deepEqual(Object.keys(collection.programs), ['ssthresh', 'cong_avoid', 'undo_cwnd']);
    assert.deepEqual(Object.keys(collection.structOps), ['linked']);
    assert.equal(collection.map('linked').typeName, 'struct_ops');
  });

  const registered = [
    { by: 'a link', object: 'struct-ops', map: 'linked', since: 0x60400, times: 2 },
    { by: 'its map', object: 'congestion', map: 'congestion', since: 0x50600, times: 1 },
  ];
  for (const { by, object, map, since, times } of registered) {
    test(`a congestion control is registered by ${by} until that is closed`, (t) => {
      const kernel = new LinuxKernel();
      if (kernel.sys.kernelBtf() === undefined) return t.skip('this kernel tells no BTF');
      if (kernel.sys.kernelVersion!() < since) return t.skip('this kernel is too old');
      const known = (): string[] =>
        readFileSync('/proc/sys/net/ipv4/tcp_available_congestion_control', 'utf8').trim().split(' ');
      // Its name is the machine's: one of this process, which nobody chooses.
      const named = `skep_${process.pid}`;
      const spec = open(object);
      const { value } = spec.maps[map]!.structOps!;
      const at = new TextDecoder('latin1').decode(value).indexOf('skep');
      value.fill(0, at, at + 16).set(new TextEncoder().encode(named), at);
      using collection = kernel.load(spec);
      const ops = collection.structOps[map]!;
      for (let time = 0; time < times; time++) {
        const registration = ops.attach();
        try {
          assert.ok(known().includes(named));
          assert.throws(() => ops.attach(), BpfError);
        } finally {
          registration.close();
        }
        assert.ok(!known().includes(named));
        registration.close();
      }
    });
  }

  test('the embedded kernel says that it registers none', () => {
    const kernelBtf = new LinuxKernel().sys.kernelBtf();
    if (kernelBtf === undefined) return;
    using kernel = new Kernel({ btf: kernelBtf });
    using collection = kernel.load(open('congestion'));
    assert.throws(
      () => collection.structOps['congestion']!.attach(),
      (error) => error instanceof BpfError && error.errno === 'ENOTSUPP' && /verified-only/.test(error.line),
    );
  });

  test('variables of an arena are shared with its program', (t) => {
    const kernel = new LinuxKernel();
    if (kernel.sys.kernelVersion!() < 0x60900) return t.skip('Linux has arenas since 6.9');
    using collection = kernel.load(open('arena'));
    assert.equal(collection.program('sum').testRun().retval, 21);
    const counter = collection.variable<number>('counter');
    assert.equal(counter.get(), 28);
    counter.set(100);
    collection.program('sum').testRun();
    assert.equal(counter.get(), 121);
  });
});
