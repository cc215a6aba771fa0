/** Places of arguments, as notes have them on both processors, and what is none. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { SkepError } from '../../base/errors.ts';
import { ptRegs } from '../../uapi/pt-regs.ts';
import type { BinaryMachine } from '../../uapi/seam.ts';
import { usdtSpec } from './usdt-args.ts';

/** An argument of a record: value, type (0 number, 1 register, 2 memory), offset of the register, signed, shift. */
type Argument = readonly [value: bigint, type: number, register: number, signed: number, shift: number];

function decode(spec: Uint8Array): Argument[] {
  const view = new DataView(spec.buffer);
  return Array.from({ length: view.getInt16(200, true) }, (_, i) => {
    const at = 16 * i;
    return [
      view.getBigInt64(at, true),
      view.getUint32(at + 8, true),
      view.getInt16(at + 12, true),
      view.getUint8(at + 14),
      view.getInt8(at + 15),
    ] as const;
  });
}

describe('arguments', () => {
  const cases: { machine: BinaryMachine; args: string; want: Argument[] }[] = [
    { machine: 'x64', args: '', want: [] },
    { machine: 'x64', args: '8@%rax', want: [[0n, 1, 80, 0, 0]] },
    { machine: 'x64', args: '-4@%edi', want: [[0n, 1, 112, 1, 32]] },
    {
      machine: 'x64',
      args: '1@%r9b -2@%r10w',
      want: [
        [0n, 1, 64, 0, 56],
        [0n, 1, 56, 1, 48],
      ],
    },
    { machine: 'x64', args: '-4@$-7', want: [[-7n, 0, 0, 1, 32]] },
    { machine: 'x64', args: '8@$18446744073709551615', want: [[-1n, 0, 0, 0, 0]] },
    { machine: 'x64', args: '-4@-20(%rbp)', want: [[-20n, 2, 32, 1, 32]] },
    { machine: 'x64', args: '8@(%rsp) ', want: [[0n, 2, 152, 0, 0]] },
    {
      machine: 'x64',
      args: '  8@%rdi  4@16(%rip)',
      want: [
        [0n, 1, 112, 0, 0],
        [16n, 2, 128, 0, 32],
      ],
    },
    {
      machine: 'arm64',
      args: '8@x0 -4@w30',
      want: [
        [0n, 1, 0, 0, 0],
        [0n, 1, 240, 1, 32],
      ],
    },
    { machine: 'arm64', args: '-4@5', want: [[5n, 0, 0, 1, 32]] },
    {
      machine: 'arm64',
      args: '-1@[sp, 60] 8@[x19]',
      want: [
        [60n, 2, 248, 1, 56],
        [0n, 2, 152, 0, 0],
      ],
    },
    { machine: 'arm64', args: '8@[x29,-16]', want: [[-16n, 2, 232, 0, 0]] },
    {
      machine: 'x64',
      args: Array(12).fill('8@$1').join(' '),
      want: Array<Argument>(12).fill([1n, 0, 0, 0, 0]),
    },
  ];
  for (const { machine, args, want } of cases) {
    test(`${machine} '${args}'`, () =>
      assert.deepEqual(decode(usdtSpec(machine, { args, cookie: 0n })), want));
  }

  test('the cookie is beside them', () => {
    const spec = usdtSpec('x64', { args: '8@$1', cookie: 0xffff_ffff_ffff_fff0n });
    assert.equal(new DataView(spec.buffer).getBigUint64(192, true), 0xffff_ffff_ffff_fff0n);
    assert.equal(spec.length, 208);
  });
});

describe('what is none', () => {
  const cases: { machine: BinaryMachine; args: string; want: RegExp }[] = [
    { machine: 'x64', args: '8@%xmm0', want: /argument 0, '8@%xmm0', is of no known form/ },
    { machine: 'x64', args: '8@%rax 4f@%xmm0', want: /argument 1, '4f@%xmm0'/ },
    { machine: 'x64', args: '3@%rax', want: /argument 0, '3@%rax'/ },
    { machine: 'x64', args: '8@%rax%rbx', want: /argument 0/ },
    { machine: 'x64', args: '-1@-96(%rbp,%rax,8)', want: /argument 0, '-1@-96\(%rbp,%rax,8\)'/ },
    { machine: 'x64', args: '8@counter(%rip)', want: /argument 0/ },
    { machine: 'x64', args: '8@x0', want: /argument 0/ },
    { machine: 'arm64', args: '8@%rax', want: /argument 0/ },
    { machine: 'arm64', args: '8@x31', want: /argument 0/ },
    { machine: 'arm64', args: '8@[x0, x1]', want: /argument 0/ },
    { machine: 'x64', args: Array(13).fill('8@$1').join(' '), want: /more than 12 arguments/ },
  ];
  for (const { machine, args, want } of cases) {
    test(`${machine} '${args}'`, () => {
      const call = (): unknown => usdtSpec(machine, { args, cookie: 0n });
      assert.throws(call, (error) => error instanceof SkepError && want.test(error.line));
    });
  }

  test('any text has a record, or an error that says why not', () => {
    const words = fc.constantFrom(
      '8@',
      '-4@',
      '%rax',
      '(',
      ')',
      '[',
      ']',
      'x0',
      'sp',
      ', ',
      '$',
      '-',
      '7',
      ' ',
      '\0',
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(words, { maxLength: 40 }).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(fc.constantFrom<BinaryMachine>('x64', 'arm64'), text, (machine, args) => {
        try {
          assert.equal(usdtSpec(machine, { args, cookie: 0n }).length, 208);
        } catch (error) {
          if (!(error instanceof SkepError)) throw error;
        }
      }),
    );
  });
});

test('registers are where asm/ptrace.h has them', () => {
  const { x64, arm64 } = ptRegs;
  const some = ['r15', 'r12', 'bp', 'r8', 'rcx', 'dil', 'rip', 'rsp'].map((name) => x64.get(name));
  assert.deepEqual(some, [0, 24, 32, 72, 88, 112, 128, 152]);
  assert.deepEqual(
    [x64.get('orig_rax'), x64.get('ah'), arm64.get('x30'), arm64.get('sp')],
    [undefined, undefined, 240, 248],
  );
});
