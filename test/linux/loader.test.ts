/**
 * What the loader asks of a kernel that not every kernel has: types of its modules, and contexts known by a tag. In
 * virtual machines there are modules, and kernels before 6.8.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assemble } from '../../src/asm/index.ts';
import { type Btf, BtfBuilder, readBtf } from '../../src/btf/index.ts';
import { encode } from '../../src/isa/index.ts';
import { LinuxKernel } from '../../src/linux-kernel.ts';
import { type CollectionSpec, openObject, type ProgramSpec } from '../../src/object/index.ts';
import { whyNoLinux } from '../support/linux.ts';

const skip = whyNoLinux();
const folder = '/sys/kernel/btf';
const names = existsSync(folder) ? readdirSync(folder).filter((name) => name !== 'vmlinux') : [];

/** A struct that one module alone has, and its size. */
function structOfModule(): { name: string; size: number } | undefined {
  const vmlinux = readBtf(readFileSync(`${folder}/vmlinux`));
  const modules = names.map((name) => readBtf(readFileSync(`${folder}/${name}`), { base: vmlinux }));
  for (const btf of modules) {
    for (const id of btf.idsOf('struct')) {
      const type = btf.type(id);
      if (id < btf.firstId || type.kind !== 'struct' || type.name === '') continue;
      const same = (other: Btf): number =>
        other.findAll(type.name).filter((each) => each >= other.firstId).length;
      const inAll = [vmlinux, ...modules].reduce((sum, other) => sum + same(other), 0);
      if (inAll === 1) return { name: type.name, size: type.size };
    }
  }
  return undefined;
}

/** A program that returns the size that a struct has in the kernel. */
function sizeProgram(struct: string): CollectionSpec {
  const builder = new BtfBuilder();
  const typeId = builder.add({ kind: 'struct', name: `${struct}___mine`, size: 4, members: [] });
  const program: ProgramSpec = {
    name: 'size',
    section: 'socket',
    progType: 1,
    expectedAttachType: 0,
    progFlags: 0,
    attachTo: undefined,
    autoload: true,
    license: 'GPL',
    insns: encode(assemble('r0 = 4\nexit')),
    references: [],
    funcInfo: undefined,
    lineInfo: undefined,
    coreRelocations: [{ slot: 0, kind: 'type_size', typeId, access: '0' }],
  };
  return {
    programs: { size: program },
    maps: {},
    variables: {},
    btf: builder.build(),
    byteOrder: 'little',
  };
}

test('CO-RE finds types of modules', {
  skip: skip || (names.length === 0 && 'this kernel has no modules with BTF'),
}, () => {
  const struct = structOfModule();
  assert.ok(struct !== undefined);
  using collection = new LinuxKernel().load(sizeProgram(struct.name));
  assert.equal(collection.program('size').testRun({ data: new Uint8Array(64) }).retval, struct.size);
});

test('arguments with the tag of contexts', { skip }, () => {
  const path = new URL('../../fixtures/objects/context-args.bpf.o', import.meta.url);
  using collection = new LinuxKernel().load(openObject(readFileSync(fileURLToPath(path))));
  assert.equal(collection.program('frames').testRun({ data: new Uint8Array(64) }).retval, 1);
});
