/** What programs get of the kernel's configuration, variables and functions. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SkepError } from '../base/errors.ts';
import { BtfBuilder, type BtfType, readBtf } from '../btf/index.ts';
import { type CollectionSpec, openObject } from '../object/index.ts';
import type { System } from '../uapi/seam.ts';
import { type KernelConfig, parseConfig, resolveSymbols } from './externs.ts';
import { Kernel } from './index.ts';

const read = (name: string): Uint8Array =>
  readFileSync(fileURLToPath(new URL(`../../fixtures/objects/${name}.bpf.o`, import.meta.url)));

function seen(kconfig: KernelConfig | string): bigint[] {
  using kernel = new Kernel();
  const collection = kernel.load(openObject(read('externs')), { kconfig });
  const names = ['config', 'missing'];
  for (const name of names) collection.program(name).testRun({ ctx: new Uint8Array(64) });
  return collection.variable<bigint[]>('seen').get();
}

const linux618 = 0x61200n;

describe('values of the configuration', () => {
  const cases: { name: string; input: KernelConfig | string; want: bigint[] }[] = [
    { name: 'none given', input: {}, want: [linux618, 0n, 0n, 0n, 0n, 0n, 0n, 0n] },
    {
      name: 'by name',
      input: {
        LINUX_KERNEL_VERSION: 0x50f00,
        CONFIG_BOOL: 'y',
        CONFIG_LETTER: 'm',
        CONFIG_TRISTATE: 'm',
        CONFIG_NUMBER: '0xffffffffffffffff',
        CONFIG_TEXT: 'ab',
        CONFIG_MISSING: -1,
      },
      want: [0x50f00n, 1n, 109n, 2n, 2n ** 64n - 1n, 98n, 2n ** 64n - 1n, 0n],
    },
    {
      name: 'as a file',
      input:
        '# CONFIG_LETTER is not set\nCONFIG_BOOL=y\nCONFIG_TEXT="a\\"b"\n\nCONFIG_NUMBER=1000\r\nCONFIG_TRISTATE=n',
      want: [linux618, 1n, 0n, 0n, 1000n, 34n, 0n, 0n],
    },
  ];
  for (const { name, input, want } of cases) test(name, () => assert.deepEqual(seen(input), want));

  const refused: { name: string; input: KernelConfig; want: RegExp }[] = [
    {
      name: 'no boolean',
      input: { CONFIG_BOOL: 'm' },
      want: /^extern 'CONFIG_BOOL': 'm' is no value of _Bool$/,
    },
    { name: 'no number', input: { CONFIG_NUMBER: 'many' }, want: /'many' is no value of unsigned long/ },
    { name: 'too large', input: { CONFIG_MISSING: 2 ** 40 }, want: /extern 'CONFIG_MISSING'/ },
    { name: 'too long', input: { CONFIG_TEXT: 'x'.repeat(16) }, want: /does not fit into char\[16\]/ },
  ];
  for (const { name, input, want } of refused) {
    test(name, () => {
      assert.throws(
        () => seen(input),
        (error) => error instanceof SkepError && want.test(error.line),
      );
    });
  }

  test('a file may name things as JavaScript does', () => {
    assert.equal(parseConfig('CONFIG___proto__=y\nCONFIG_X=1')['CONFIG_X'], '1');
  });
});

test('a strong symbol that the kernel does not have ends the load', () => {
  using kernel = new Kernel();
  assert.throws(
    () => kernel.load(openObject(read('ksyms'))),
    (error) =>
      error instanceof SkepError &&
      error.line ===
        "extern 'init_task': the kernel has no such symbol (declare it __weak where it may be missing)",
  );
});

describe('typed symbols', () => {
  const spec = openObject(read('externs'));
  const btf = readBtf(spec.btf!);
  const int: BtfType = {
    kind: 'int',
    name: 'int',
    size: 4,
    signed: true,
    char: false,
    bool: false,
    bitOffset: 0,
    bits: 32,
  };

  /** What a kernel with a variable of type 1 and a function without parameters makes of it. */
  function resolve(object: CollectionSpec, functionReturns: number) {
    const builder = new BtfBuilder();
    builder.add(int);
    builder.add({ kind: 'var', name: 'bpf_prog_active', type: 1, linkage: 1 });
    builder.add({ kind: 'funcProto', name: '', type: functionReturns, parameters: [] });
    builder.add({ kind: 'func', name: 'bpf_rcu_read_lock', type: 3, linkage: 0 });
    const kernel = readBtf(builder.build());
    const system = {
      symbolAddress: (name: string) => (name === 'no_such' ? 0xffffffff81000000n : undefined),
    };
    return resolveSymbols(object, {
      btf: () => btf,
      types: () => kernel,
      system: system as unknown as System,
    });
  }

  test('by the ids of the kernel, or an address', () => {
    const found = resolve(spec, 0);
    assert.deepEqual(found.get('bpf_prog_active'), { btfId: 2, address: 0n });
    assert.deepEqual(found.get('bpf_rcu_read_lock'), { btfId: 4, address: 0n });
    assert.deepEqual(found.get('bpf_rcu_read_unlock'), { btfId: undefined, address: 0n });
    assert.deepEqual(found.get('no_such'), { btfId: undefined, address: 0xffffffff81000000n });
  });

  test('of another type', () => {
    assert.throws(
      () => resolve(spec, 1),
      (error) =>
        error instanceof SkepError &&
        error.line ===
          "extern 'bpf_rcu_read_lock': it is void bpf_rcu_read_lock(void) in the object and int bpf_rcu_read_lock(void) in the kernel",
    );
  });

  const vmlinux = '/sys/kernel/btf/vmlinux';
  test('of the running kernel', { skip: !existsSync(vmlinux) && 'it tells no BTF' }, () => {
    const kernel = readBtf(readFileSync(vmlinux));
    const found = resolveSymbols(spec, {
      btf: () => btf,
      types: () => kernel,
      system: {} as unknown as System,
    });
    assert.equal(found.get('bpf_rcu_read_lock')?.btfId, kernel.find('bpf_rcu_read_lock', 'func'));
    assert.equal(found.get('no_kfunc')?.btfId, undefined);
  });
});
