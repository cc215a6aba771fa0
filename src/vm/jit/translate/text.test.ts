/**
 * The generated code of a few small programs, as text in fixtures/jit: what a change of the translation does is seen
 * there. `UPDATE_WAT=1` writes the files anew.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { TestRuntime } from '../../../../test/support/runtime.ts';
import { assemble } from '../../../asm/index.ts';
import { moduleText } from '../wasm/index.ts';
import { translate } from './module.ts';

const folder = fileURLToPath(new URL('../../../../fixtures/jit/', import.meta.url));

/** `ARRAY`, `HASH` and `JUMPS` stand for the addresses of maps, `FROZEN` for that of a value that nothing changes. */
const pinned: { file: string; text: string }[] = [
  { file: 'loop', text: 'r0 = 10\nl: r0 += -1\nif r0 != 0 goto l\nexit' },
  {
    file: 'stack-and-context',
    text: 'r2 = *(u8 *)(r1 + 3)\n*(u32 *)(r10 - 8) = r2\nw0 = w2\nw0 >>= 4\nexit',
  },
  { file: 'call-and-division', text: 'r1 = 7\ncall f\nexit\nf: r0 = 100\nr0 /= r1\nexit' },
  { file: 'array-lookup', text: 'r1 = ARRAY\nr2 = r10\nr2 += -8\ncall 1\nexit' },
  { file: 'hash-lookup', text: 'r1 = HASH\nr2 = r10\nr2 += -8\ncall 1\nexit' },
  {
    file: 'two-ways-that-meet',
    text: 'r0 = 1\nif w1 s> 5 goto l\nr0 = 2\ngoto m\nl: r0 = be16 r0\nm: r0 ^= 3\nexit',
  },
  { file: 'helper-and-atomic', text: 'call 5\nlock *(u32 *)(r6 + 4) += r0\nexit' },
  {
    file: 'irreducible-loop',
    text: 'if r1 == 0 goto b\na: r0 += 1\nif r0 == 9 goto out\nb: r0 += 2\ngoto a\nout: exit',
  },
  { file: 'tail-call', text: 'r2 = JUMPS\nr3 = 1\ncall 12\nr0 = 2\nexit' },
  {
    file: 'halves',
    text: `r2 = *(u32 *)(r1 + 0)
      r3 = *(u64 *)(r1 + 8)
      r2 += r3
      r2 &= 255
      r4 = r3
      r4 >>= 40
      r0 = r4
      r0 += r2
      exit`,
  },
  {
    file: 'compare-tree',
    text: `r2 = *(u32 *)(r1 + 0)
      if w2 s> 2 goto high
      if w2 == 0 goto a
      if w2 == 1 goto b
      if w2 == 2 goto c
      goto d
      high: if w2 == 3 goto a
      if w2 == 4 goto b
      if w2 == 5 goto c
      d: r0 = 4
      exit
      a: r0 = 1
      exit
      b: r0 = 2
      exit
      c: r0 = 3
      exit`,
  },
  {
    file: 'frozen-value',
    text: `r2 = FROZEN
      if r1 == 0 goto l
      r2 += 4
      l: r0 = *(u32 *)(r2 + 0)
      r2 = FROZEN
      r3 = *(u64 *)(r2 + 8)
      r0 += r3
      r2 += 6
      r4 = *(s16 *)(r2 - 2)
      r0 += r4
      exit`,
  },
];

/** The functions of the module alone: imports are the same for all. */
function functionsText(text: string): string {
  const runtime = new TestRuntime();
  const maps = {
    ARRAY: runtime.map('array', { maxEntries: 8, valueSize: 12 }),
    HASH: runtime.map('hash', { maxEntries: 8, keySize: 8 }),
    JUMPS: runtime.map('prog_array', { maxEntries: 2 }),
  };
  const frozen = runtime.bytes(Uint8Array.of(1, 0, 0, 0, 0xfe, 0xff, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1));
  let source = text.replaceAll('FROZEN', `${frozen} ll`);
  for (const [word, { address }] of Object.entries(maps)) source = source.replace(word, `${address} ll`);
  const insns = assemble(source);
  const program = {
    name: 'p',
    progType: 0,
    insns,
    subprogs: [{ start: 0, end: 0, stackDepth: 8 }],
    maps: Object.values(maps),
    facts: {
      pointers: new Uint16Array(insns.length),
      neverJumps: new Set<number>(),
      alwaysJumps: new Set<number>(),
      callMaps: new Map(),
      constants: [{ from: frozen, to: frozen + 16 }],
    },
  };
  const { module, bytes } = translate(program, { scratch: 4096, view: runtime.memory.view });
  assert.ok(WebAssembly.validate(bytes));
  const lines = moduleText(module).split('\n');
  return `${lines
    .filter((line) => !line.startsWith('  (import'))
    .slice(1, -2)
    .map((line) => line.slice(2))
    .join('\n')}\n`;
}

for (const { file, text } of pinned) {
  test(`the text of ${file}`, () => {
    const path = `${folder}${file}.wat`;
    const found = functionsText(text);
    if (process.env['UPDATE_WAT'] === '1') writeFileSync(path, found);
    assert.equal(found, readFileSync(path, 'utf8'));
  });
}
