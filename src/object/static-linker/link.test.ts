/** Linked objects, opened: as bpftool links them, and as the files say. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fuzzReader } from '../../../test/support/fuzz.ts';
import { toHex } from '../../base/bytes.ts';
import { SkepError } from '../../base/errors.ts';
import { cType, readBtf } from '../../btf/index.ts';
import { readElf } from '../../elf/index.ts';
import { type CollectionSpec, linkObjects, openObject } from '../index.ts';

const fixtures = fileURLToPath(new URL('../../../fixtures/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'skep-link-'));
after(() => rmSync(folder, { recursive: true }));

const read = (path: string): Uint8Array => readFileSync(`${fixtures}${path}`);
const link = (...paths: string[]): Uint8Array =>
  linkObjects(paths.map((path) => ({ name: path, bytes: read(path) })));
const both = ['link/first.bpf.o', 'link/second.bpf.o'];

/** An object as far as it does not depend on how its types are numbered. */
function viewOf(bytes: Uint8Array): unknown {
  const spec: CollectionSpec = openObject(bytes, { name: 'linked' });
  const btf = spec.btf === undefined ? undefined : readBtf(spec.btf);
  const typeText = (id: number): string => (btf === undefined || id === 0 ? '' : cType(btf, id));
  const lines = (records: Uint8Array | undefined): unknown[] => {
    const view = records && new DataView(records.buffer, records.byteOffset, records.byteLength);
    return Array.from({ length: (records?.length ?? 0) / 16 }, (_, i) => [
      view!.getUint32(i * 16, true),
      btf!.string(view!.getUint32(i * 16 + 4, true)),
      btf!.string(view!.getUint32(i * 16 + 8, true)),
      view!.getUint32(i * 16 + 12, true),
    ]);
  };
  const funcs = (records: Uint8Array | undefined): unknown[] => {
    const view = records && new DataView(records.buffer, records.byteOffset, records.byteLength);
    return Array.from({ length: (records?.length ?? 0) / 8 }, (_, i) => {
      const type = btf!.type(view!.getUint32(i * 8 + 4, true));
      return [view!.getUint32(i * 8, true), type.name, 'linkage' in type && type.linkage];
    });
  };
  return {
    programs: Object.values(spec.programs).map((program) => ({
      ...program,
      insns: toHex(program.insns).match(/.{16}/g),
      funcInfo: funcs(program.funcInfo),
      lineInfo: lines(program.lineInfo),
      coreRelocations: program.coreRelocations?.map(({ typeId, ...rest }) => [rest, typeText(typeId)]),
    })),
    maps: Object.values(spec.maps).map(({ btfKeyTypeId, btfValueTypeId, structOps, ...map }) => ({
      ...map,
      structOps: structOps && { ...structOps, btfTypeId: typeText(structOps.btfTypeId) },
      key: typeText(btfKeyTypeId),
      value: map.name.includes('.') ? '' : typeText(btfValueTypeId),
    })),
    variables: Object.values(spec.variables).map(({ btfTypeId, ...rest }) => [rest, typeText(btfTypeId)]),
    externs: Object.entries(spec.externs ?? {})
      .map(([name, { kind, weak }]) => [name, kind, weak])
      .sort(),
  };
}

test('two files that use each other', () => {
  const { programs, maps, variables } = openObject(link(...both), { name: 'linked' });
  assert.deepEqual(Object.keys(programs), ['entry', 'tail', 'other']);
  assert.deepEqual(maps['jumps']!.contents, [{ key: Uint8Array.of(1, 0, 0, 0), value: { program: 'tail' } }]);
  const data = maps['linked.data']!.contents[0]!.value as Uint8Array;
  const initial = (name: string): number => {
    const { offset } = variables[name]!;
    return new DataView(data.buffer, data.byteOffset + offset).getInt32(0, true);
  };
  const names = ['hits', 'seen', 'seen.2', 'limit', 'preferred'];
  assert.deepEqual(names.map(initial), [3, 5, 7, 42, 22]);
});

test('what nobody defines stays to be found at load, and a function that is missing is said', () => {
  assert.throws(
    () => openObject(link('link/first.bpf.o')),
    (error) => error instanceof SkepError && /is declared, and not defined/.test(error.line),
  );
});

describe('files that contradict each other', () => {
  const cases = [
    {
      name: 'a function in both',
      files: [both[1]!, both[1]!],
      want: /^link\/second\.bpf\.o: '\w+': it is defined in link\/second\.bpf\.o already$/,
    },
    {
      name: 'licences',
      files: ['objects/globals.bpf.o', 'objects/maps.bpf.o', 'objects/programs.bpf.o'],
      want: /^objects\/\w+\.bpf\.o: '\w+': it (differs between the files|is defined in objects\/\w+\.bpf\.o already)$/,
    },
  ];
  for (const { name, files, want } of cases) {
    test(name, () => {
      assert.throws(
        () => link(...files),
        (error) => error instanceof SkepError && want.test(error.line),
      );
    });
  }

  test('nothing to link', () => assert.throws(() => linkObjects([]), /there is nothing to link/));
});

const objects = readdirSync(`${fixtures}objects`).filter((name) => name.endsWith('.bpf.o'));

describe('an object that is linked alone is what it was', () => {
  for (const name of objects) {
    const path = `objects/${name}`;
    test(name, () => assert.deepEqual(viewOf(link(path)), viewOf(read(path))));
  }
});

const hasBpftool = spawnSync('bpftool', ['version']).status === 0;

describe('as bpftool gen object', { skip: !hasBpftool && 'no bpftool' }, () => {
  const theirs = (...paths: string[]): Uint8Array => {
    const output = join(folder, 'theirs.o');
    execFileSync('bpftool', ['gen', 'object', output, ...paths.map((path) => `${fixtures}${path}`)]);
    return readFileSync(output);
  };
  for (const paths of [both, [...both].reverse(), ['objects/types.bpf.o', 'link/second.bpf.o']]) {
    test(paths.join(' '), () => {
      assert.deepEqual(viewOf(link(...paths)), viewOf(theirs(...paths)));
    });
  }
});

test('an independent reader finds nothing amiss', {
  skip: !existsSync('/usr/bin/llvm-readelf-19') && 'no llvm-readelf-19',
}, () => {
  const file = join(folder, 'linked.o');
  writeFileSync(file, link(...both));
  const { status, stderr, stdout } = spawnSync('llvm-readelf-19', ['-a', file], { encoding: 'utf8' });
  assert.deepEqual([status, stderr], [0, '']);
  for (const { name } of readElf(link(...both)).symbols) assert.ok(stdout.includes(name), name);
});

test('fuzz: linkObjects', () => {
  const second = read(both[1]!);
  fuzzReader(
    (bytes) =>
      openObject(
        linkObjects([
          { name: 'a', bytes },
          { name: 'b', bytes: second },
        ]),
      ),
    [read(both[0]!), second, read('objects/struct-ops.bpf.o')],
  );
});
