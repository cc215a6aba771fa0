import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assemble } from '../../src/asm/index.ts';
import { toHex } from '../../src/base/index.ts';
import { encode } from '../../src/isa/index.ts';

const plugin = fileURLToPath(
  new URL(
    `../../tools/conformance-plugin${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`,
    import.meta.url,
  ),
);
const hex = (text: string) => `${toHex(encode(assemble(text)), ' ')}\n`;

const elf = readFileSync(new URL('../../fixtures/objects/unknown-section.bpf.o', import.meta.url));

const rows: { name: string; args: string[]; input: string | Uint8Array; out: RegExp; status: number }[] = [
  { name: 'r0 in hex', args: [], input: hex('r0 = -1\nexit'), out: /^ffffffffffffffff\n$/, status: 0 },
  {
    name: 'memory at r1, its length in r2',
    args: ['12 34 56'],
    input: hex('r0 = *(u8 *)(r1 + 2)\nr0 <<= 8\nr0 += r2\nexit'),
    out: /^5603\n$/,
    status: 0,
  },
  {
    name: 'an access beyond it',
    args: ['00'],
    input: hex('r0 = *(u16 *)(r1 + 0)\nexit'),
    out: /access of 2 bytes/,
    status: 1,
  },
  { name: 'no instruction', args: [], input: 'ff 00 00 00 00 00 00 00', out: /opcode/, status: 1 },
  {
    name: 'the other engine',
    args: ['--engine', 'jit', '12 34 56'],
    input: hex('r0 = *(u8 *)(r1 + 2)\nexit'),
    out: /^56\n$/,
    status: 0,
  },
  { name: 'no such engine', args: ['--engine', 'x'], input: '', out: /^no engine is called x: /, status: 1 },
  { name: 'no such option', args: ['--fast'], input: '', out: /Unknown option '--fast'/, status: 1 },
  { name: 'a loop without an end', args: [], input: hex('goto -1\nexit'), out: /instructions/, status: 1 },
  { name: 'no instructions', args: [], input: '', out: /./, status: 1 },
  { name: 'an object, in hex', args: ['--elf'], input: elf.toString('hex'), out: /^2\n$/, status: 0 },
  { name: 'an object', args: ['--elf'], input: elf, out: /^2\n$/, status: 0 },
  { name: 'no object', args: ['--elf'], input: '00', out: /ELF/, status: 1 },
  { name: 'no hex', args: [], input: 'zz', out: /hex/, status: 1 },
];

for (const { name, args, input, out, status } of rows) {
  test(`conformance plugin: ${name}`, () => {
    const run = spawnSync(process.execPath, [plugin, ...args], { input, encoding: 'utf8' });
    assert.match(run.stdout, out);
    assert.equal(run.status, status, run.stderr);
  });
}
