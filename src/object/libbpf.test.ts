/** The object reader and libbpf, side by side: what libbpf gives to the kernel is what we have in the spec. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { toHex } from '../base/bytes.ts';
import { type Btf, CoreResolver, readBtf } from '../btf/index.ts';
import { readElf } from '../elf/index.ts';
import { type CollectionSpec, openObject, relocateCore, sectionMeaning, sectionTable } from './index.ts';

const fixtures = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'skep-libbpf-'));
after(() => {
  rmSync(folder, { recursive: true });
});
const view = join(folder, 'view');

/** Builds the program that shows libbpf's view; says why not where it cannot. */
function whyNot(): string | false {
  const compiler = ['cc', 'gcc', 'clang-19'].find((tool) => spawnSync(tool, ['--version']).status === 0);
  if (compiler === undefined) return 'no C compiler';
  const args = [
    `${fixtures}libbpf/view.c`,
    '-o',
    view,
    '-Wl,--wrap=bpf_prog_load',
    '-l:libbpf.a',
    '-lelf',
    '-lz',
  ];
  return spawnSync(compiler, args).status !== 0 && 'no libbpf-dev';
}
const skip = whyNot();
const mayLoad = !skip && spawnSync(view, [`${fixtures}objects/types.bpf.o`]).status === 0;

function linesOf(args: string[]): unknown[] {
  const lines = execFileSync(view, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** A spec in the words of view.c. */
function viewOf({ maps, programs, btf }: CollectionSpec): unknown[] {
  return [
    ...Object.values(maps).map((m) => ({
      map: m.name,
      type: m.type,
      keySize: m.keySize,
      valueSize: m.valueSize,
      maxEntries: m.maxEntries,
      flags: m.flags,
      mapExtra: Number(m.mapExtra),
      btfKeyTypeId: m.btfKeyTypeId,
      btfValueTypeId: m.btfValueTypeId,
    })),
    ...Object.values(programs)
      .filter(({ autoload }) => autoload)
      .map((p) => ({
        loaded: p.name,
        license: p.license,
        progFlags: p.progFlags,
        funcInfo: toHex(p.funcInfo!),
        lineInfo: toHex(p.lineInfo!),
      })),
    ...Object.values(programs).map((p) => ({
      program: p.name,
      section: p.section,
      progType: p.progType,
      expectedAttachType: p.expectedAttachType,
      autoload: p.autoload,
      insns: toHex(p.insns),
    })),
    { btf: toHex(btf ?? new Uint8Array()) },
  ];
}

function instructions(hex: string): string[] {
  return hex.match(/.{16}/g) ?? [];
}

function readKernel(bytes: Uint8Array): Btf {
  const isElf = bytes[0] === 0x7f;
  return readBtf(isElf ? readElf(bytes).section('.BTF')!.data : bytes);
}

describe('as libbpf', { skip }, () => {
  for (const name of ['programs', 'globals', 'maps', 'types', 'kconfig', 'externs']) {
    test(`maps, programs, what is loaded with them, and BTF of ${name}`, {
      skip: !mayLoad && 'bpf(2) may not load',
    }, () => {
      const file = `${fixtures}objects/${name}.bpf.o`;
      // Of programs that it does not load, libbpf leaves references to the kernel as they are.
      const isRelocated = (line: unknown): boolean => (line as { program?: string }).program !== 'present';
      const ours = viewOf(openObject(readFileSync(file), { name: file }));
      assert.deepEqual(ours.filter(isRelocated), linesOf([file]).filter(isRelocated));
    });
  }

  for (const [kernel, what] of [
    [`${fixtures}kernels/small.o`, 'a kernel of a few types'],
    ['/sys/kernel/btf/vmlinux', 'the running kernel'],
  ] as const) {
    test(`CO-RE relocations against ${what}`, {
      skip: (!mayLoad && 'bpf(2) may not load') || (!existsSync(kernel) && 'it tells no BTF'),
    }, () => {
      const resolved = readKernel(readFileSync(kernel));
      for (const name of ['relocations', 'core']) {
        const file = `${fixtures}objects/${name}.bpf.o`;
        const { programs, btf } = openObject(readFileSync(file), { name: file });
        const resolver = new CoreResolver(readBtf(btf!), { kernel: () => resolved });
        const ours = Object.values(programs).map((program) => ({
          name: program.name,
          insns: instructions(toHex(relocateCore(program, resolver).insns)),
        }));
        const theirs = linesOf(['-b', kernel, file]) as { program: string; insns: string }[];
        assert.deepEqual(
          ours,
          theirs.map(({ program, insns }) => ({ name: program, insns: instructions(insns) })),
        );
      }
    });
  }

  test('names of sections', () => {
    const names = [...Object.keys(sectionTable), 'kprobe/do_exit', 'tp/a/b', 'raw_tp/x', 'lsm.s/file_open'];
    const known = linesOf(['-s', ...names]) as { section: string }[];
    const ours = known.map(({ section }) => {
      const { progType, expectedAttachType } = sectionMeaning(section);
      return { section, progType, expectedAttachType };
    });
    assert.deepEqual(ours, known);
    assert.ok(known.length > 60, 'an older libbpf knows fewer, but not so few');
  });
});
