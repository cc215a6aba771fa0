/** Lookups in arrays by keys that are known to be small, or are not: both engines find the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestRuntime } from '../../../../test/support/runtime.ts';
import { assemble } from '../../../asm/index.ts';
import { interpreter, jit } from '../../index.ts';

/** The key is made of w1, in w1; then r0 is tested. */
const cases: { name: string; key: string; testing: string }[] = [
  { name: 'any key', key: '', testing: 'if r0 == 0 goto none' },
  { name: 'a masked key', key: 'w1 &= 7', testing: 'if r0 == 0 goto none' },
  { name: 'a mask that lets one too many through', key: 'w1 &= 15', testing: 'if r0 == 0 goto none' },
  { name: 'a shifted key', key: 'w1 >>= 29', testing: 'if r0 != 0 goto some\ngoto none' },
  { name: 'a remainder', key: 'w1 %= 8', testing: 'if r0 == 0 goto none' },
  { name: 'a remainder of 0', key: 'w1 %= 0', testing: 'if r0 == 0 goto none' },
  { name: 'a 64-bit remainder of what is not known', key: 'r1 %= 9', testing: 'if r0 == 0 goto none' },
  {
    name: 'a byte of it',
    key: '*(u64 *)(r10 - 16) = r1\nr1 = *(u8 *)(r10 - 16)\nr1 >>= 5',
    testing: 'if r0 == 0 goto none',
  },
  { name: 'a masked key that is added to', key: 'w1 &= 7\nw1 += 1', testing: 'if r0 == 0 goto none' },
  { name: 'a mask with a sign', key: 'w1 &= 7\nw1 &= -1', testing: 'if r0 == 0 goto none' },
  { name: 'a copy of the result', key: '', testing: 'r2 = r0\nr0 = 1\nif r2 == 0 goto none\nr0 = r2' },
  { name: 'half of a result', key: '', testing: 'w0 = w0\nif w0 == 0 goto none' },
  {
    name: 'the result of an earlier lookup',
    key: '',
    testing: `r6 = r0
      *(u32 *)(r10 - 4) = 3
      r1 = MAP ll
      r2 = r10
      r2 += -4
      call 1
      if r6 == 0 goto none
      r0 = r6`,
  },
];

for (const type of ['array', 'percpu_array'] as const) {
  for (const { name, key, testing } of cases) {
    test(`${type}: ${name}`, () => {
      const runtime = new TestRuntime();
      runtime.cpuNumber = 2;
      const map = runtime.map(type, { maxEntries: 8 });
      const text = `w1 = *(u32 *)(r1 + 0)
        ${key}
        *(u32 *)(r10 - 4) = r1
        r1 = MAP ll
        r2 = r10
        r2 += -4
        call 1
        ${testing}
        some: exit
        none: r0 += 5
        exit`;
      const insns = assemble(text.replaceAll('MAP', String(map.address)));
      const [one, other] = [jit, interpreter].map((engine) => runtime.load(engine, insns));
      for (const word of [0, 1, 7, 8, 9, 15, 16, 0xe0, 2 ** 29, 2 ** 31, 0xffff_ffff]) {
        const ctx = runtime.bytes(new Uint8Array(new Uint32Array([word]).buffer));
        assert.equal(one!.run({ ctx }), other!.run({ ctx }), `of ${word}`);
      }
    });
  }
}
