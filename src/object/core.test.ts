/** CO-RE on the fixtures without libbpf: answers worked out by hand from kernels/small.c. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fuzzReader } from '../../test/support/fuzz.ts';
import { SkepError } from '../base/errors.ts';
import { CoreResolver, essentialName, readBtf } from '../btf/index.ts';
import { readElf } from '../elf/index.ts';
import { type CollectionSpec, explainPoison, openObject, relocateCore } from './index.ts';

const fixtures = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const smallBtf = readElf(readFileSync(`${fixtures}kernels/small.o`)).section('.BTF')!.data;
const small = readBtf(smallBtf);
const open = (name: string): CollectionSpec => openObject(readFileSync(`${fixtures}objects/${name}.bpf.o`));
const relocations = open('relocations');
const local = readBtf(relocations.btf!);
const resolver = new CoreResolver(local, { kernel: () => small });

test('essential names', () => {
  const cases: [string, string][] = [
    ['task', 'task'],
    ['task___old', 'task'],
    ['task___ten___old', 'task___ten'],
    ['task____old', 'task____old'],
    ['___old', '___old'],
    ['task___', 'task___'],
    ['a___b', 'a'],
    ['', ''],
  ];
  for (const [name, want] of cases) assert.equal(essentialName(name), want, name);
});

describe('answers', () => {
  const cases: { kind: string; text: RegExp; want: bigint | undefined }[] = [
    { kind: 'byte_off', text: /task\.pid /, want: 8n },
    { kind: 'byte_off', text: /task___flavour\.pid /, want: 8n },
    { kind: 'byte_off', text: /task\.in\.deep /, want: 48n },
    { kind: 'byte_off', text: /task\[3\]\.pid /, want: 3n * BigInt(sizeOfSmall('task')) + 8n },
    { kind: 'byte_sz', text: /task\.shrunk /, want: 4n },
    { kind: 'field_exists', text: /task\.gone /, want: 0n },
    { kind: 'byte_off', text: /task\.gone /, want: undefined },
    { kind: 'field_exists', text: /task\.now_array /, want: 0n },
    { kind: 'field_exists', text: /task\.short_array\[3\] /, want: 0n },
    { kind: 'field_exists', text: /task\.short_array\[1\] /, want: 1n },
    { kind: 'signed', text: /task\.c /, want: 1n },
    { kind: 'rshift_u64', text: /task\.b /, want: 64n - 13n },
    { kind: 'lshift_u64', text: /task\.a /, want: 64n - 3n },
    { kind: 'type_exists', text: /struct missing$/, want: 0n },
    { kind: 'target_type_id', text: /struct missing$/, want: 0n },
    { kind: 'target_type_id', text: /struct task$/, want: BigInt(small.find('task', 'struct')!) },
    { kind: 'local_type_id', text: /struct task$/, want: BigInt(local.find('task', 'struct')!) },
    { kind: 'type_size', text: /struct task$/, want: BigInt(sizeOfSmall('task')) },
    { kind: 'type_matches', text: /struct task$/, want: 0n },
    { kind: 'type_matches', text: /struct same$/, want: 1n },
    { kind: 'type_matches', text: /struct larger$/, want: 1n },
    { kind: 'type_matches', text: /struct other_size$/, want: 0n },
    { kind: 'enumval_exists', text: /::STATE_GONE = 3$/, want: 0n },
    { kind: 'enumval_value', text: /::STATE_GONE = 3$/, want: undefined },
    { kind: 'enumval_value', text: /::STATE_RUNNING = 1$/, want: 9n },
    { kind: 'enumval_value', text: /::STATE_DEAD = 2$/, want: 2n ** 64n - 3n },
    { kind: 'enumval_value', text: /::WIDE_ONE = /, want: 0x1234567800000001n },
  ];
  const all = Object.values(relocations.programs).flatMap(({ coreRelocations }) => coreRelocations ?? []);
  for (const { kind, text, want } of cases) {
    test(`${kind} of ${text.source}`, () => {
      const found = all
        .filter((relocation) => relocation.kind === kind)
        .map((relocation) => resolver.resolve(relocation))
        .find((resolution) => text.test(resolution.text));
      assert.ok(found !== undefined, 'the fixture asks it');
      assert.equal(found.to, want);
    });
  }

  function sizeOfSmall(name: string): number {
    const type = small.type(small.find(name, 'struct')!);
    return type.kind === 'struct' ? type.size : 0;
  }
});

test('every kind is asked by the fixture', () => {
  const kinds = Object.values(relocations.programs).flatMap(({ coreRelocations }) =>
    (coreRelocations ?? []).map(({ kind }) => kind),
  );
  assert.equal(new Set(kinds).size, 13);
});

describe('instructions', () => {
  const { insns, unresolved } = relocateCore(relocations.programs['accesses']!, resolver);
  const before = relocations.programs['accesses']!.insns;
  const opcodes = (bytes: Uint8Array): number[] => Array.from(bytes).filter((_, i) => i % 8 === 0);

  test('a load of an unsigned integer changes its size', () => {
    const changed = opcodes(insns).filter((opcode, i) => opcode !== opcodes(before)[i] && opcode !== 0x85);
    // u32 widened, u64 shrunk, u32 narrow (to u16), and the store to widened.
    assert.deepEqual(changed, [0x79, 0x61, 0x69, 0x7b]);
  });

  test('a load of a signed integer of another size, and of a missing field, is poisoned', () => {
    assert.deepEqual(
      [...unresolved.values()].map((text) => text.replace(/^<byte_off> \[\d+\] (.*) \(.*$/, '$1')),
      ['struct task.gone', 'struct task.resigned'],
    );
    const view = new DataView(insns.buffer);
    for (const slot of unresolved.keys()) assert.equal(view.getUint32(slot * 8 + 4, true), 0xbad2310);
  });

  test("the verifier's complaint is told as the missing field", () => {
    const slot = [...unresolved.keys()][0]!;
    const call = (at: number) => `${at}: (85) call unknown#195896080\ninvalid func unknown#195896080\n`;
    assert.match(
      explainPoison(`x\n${call(slot)}processed`, unresolved),
      /^x\n\d+: <invalid CO-RE relocation>\nfailed to resolve CO-RE relocation <byte_off> \[\d+\] struct task\.gone \(0:\d+ @ offset \d+\)\nprocessed$/,
    );
    assert.equal(explainPoison(call(slot + 1), unresolved), call(slot + 1));
  });
});

describe('what is refused', () => {
  const { programs, btf } = open('ambiguous');
  const ambiguous = new CoreResolver(readBtf(btf!), { kernel: () => small });

  test('types that answer differently', () => {
    assert.throws(
      () => relocateCore(programs['twofold']!, ambiguous),
      (error) =>
        error instanceof SkepError &&
        /^program 'twofold', instruction 0, CO-RE relocation: <byte_off> \[\d+\] struct agreed\.y \(0:1 @ offset 8\): the kernel's types \d+ and \d+ give different answers$/.test(
          error.line,
        ),
    );
  });

  test('an unsigned enumerator of 2^31 is taken, where libbpf 1.1 is wrong', () => {
    const { insns } = relocateCore(programs['unsigned_value']!, ambiguous);
    const view = new DataView(insns.buffer);
    const at = programs['unsigned_value']!.coreRelocations![0]!.slot * 8;
    assert.deepEqual([view.getUint32(at + 4, true), view.getUint32(at + 12, true)], [0x80000000, 0]);
  });

  const spec = relocations.programs['accesses']!;
  const first = spec.coreRelocations![0]!;
  const cases: { name: string; change: Partial<typeof first>; want: RegExp }[] = [
    { name: 'no such instruction', change: { slot: 1000 }, want: /lies outside the program/ },
    { name: 'no such member', change: { access: '0:99' }, want: /'0:99' is no place in type/ },
    { name: 'not an access', change: { access: '0:x' }, want: /'0:x' names no place in a type/ },
    { name: 'beyond everything', change: { access: '4294967295:0' }, want: /reaches beyond 4 GiB/ },
    { name: 'no type', change: { typeId: 5000 }, want: /type 5000 is not there/ },
    { name: 'an enumerator of a struct', change: { kind: 'enumval_value' }, want: /is no place in type/ },
    { name: 'another value', change: { access: '0:2' }, want: /it holds 0, where the object's types say 8/ },
  ];
  for (const { name, change, want } of cases) {
    test(name, () => {
      const broken = { ...spec, coreRelocations: [{ ...first, ...change }] };
      assert.throws(
        () => relocateCore(broken, new CoreResolver(local, { kernel: () => small })),
        (error) => error instanceof SkepError && want.test(error.line),
      );
    });
  }
});

test('fuzz: any object against any kernel', () => {
  const object = readFileSync(`${fixtures}objects/relocations.bpf.o`);
  const relocateAll = (object: Uint8Array, kernel: Uint8Array): void => {
    const { programs, btf } = openObject(object);
    if (btf === undefined) return;
    const one = new CoreResolver(readBtf(btf), { kernel: () => readBtf(kernel) });
    for (const program of Object.values(programs)) relocateCore(program, one);
  };
  fuzzReader((bytes) => relocateAll(bytes, smallBtf), [object]);
  fuzzReader((bytes) => relocateAll(object, bytes), [Uint8Array.from(smallBtf)]);
});
