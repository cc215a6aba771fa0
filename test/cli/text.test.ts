/**
 * Values, tables and JSON as text.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SkepError } from '../../src/base/errors.ts';
import type { Value } from '../../src/btf/index.ts';
import { readLines } from '../../src/cli/files.ts';
import { toJson } from '../../src/cli/json.ts';
import { styleFor } from '../../src/cli/style.ts';
import { formatTable } from '../../src/cli/table.ts';
import { formatValue, parseValue } from '../../src/cli/values.ts';

test('values as one line', () => {
  const cases: { value: Value; want: string }[] = [
    { value: 80, want: '80' },
    { value: -(2n ** 63n), want: '-9223372036854775808' },
    { value: true, want: 'true' },
    { value: 'ls "x"\n', want: '"ls \\"x\\"\\n"' },
    { value: Uint8Array.of(1, 255), want: '01 ff' },
    { value: [1, 2n], want: '[1, 2]' },
    { value: { a: 1, b: { c: 'd' } }, want: '{ a: 1, b: { c: "d" } }' },
    { value: {}, want: '{}' },
  ];
  for (const { value, want } of cases) assert.equal(formatValue(value), want);
});

test('values from the command line', () => {
  const cases: { text: string; want: Value }[] = [
    { text: '80', want: 80 },
    { text: '-1', want: -1 },
    { text: '0x1F', want: 31 },
    { text: '18446744073709551615', want: 18446744073709551615n },
    { text: 'true', want: true },
    { text: 'ls', want: 'ls' },
    { text: '"80"', want: '80' },
    { text: '{"port": 80}', want: { port: 80 } },
    { text: '[1,2]', want: [1, 2] },
  ];
  for (const { text, want } of cases) assert.deepEqual(parseValue(text), want);
  assert.throws(
    () => parseValue('{port: 80}'),
    (error) => error instanceof SkepError && error.code === 'usage',
  );
});

test('integers come back from their text', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }), (value) => {
      assert.equal(BigInt(parseValue(formatValue(value)) as number | bigint), value);
    }),
  );
});

test('JSON: large integers as decimal strings, bytes as hex', () => {
  const data = {
    small: 5n,
    large: 2n ** 53n,
    negative: -(2n ** 60n),
    bytes: Uint8Array.of(0xab, 1),
    gone: undefined,
  };
  assert.deepEqual(JSON.parse(toJson(data)), {
    small: 5,
    large: '9007199254740992',
    negative: '-1152921504606846976',
    bytes: 'ab01',
  });
});

test('tables are aligned, colours do not count', () => {
  const columns = [{ title: 'NAME' }, { title: 'N', align: 'right' }, { title: 'LAST' }] as const;
  const rows = [
    [{ text: 'a', style: 'good' }, '1', 'x'],
    ['longer', '100', ''],
  ] as const;
  const want = ['NAME      N  LAST', 'a         1  x', 'longer  100'];
  assert.deepEqual(formatTable(columns, rows, styleFor({})), want);
  const before = process.env['NO_COLOR'];
  delete process.env['NO_COLOR'];
  try {
    const [, coloured = ''] = formatTable(columns, rows, styleFor({ isTTY: true }));
    assert.equal(coloured, '\u001b[32ma\u001b[0m         1  x');
    process.env['NO_COLOR'] = '1';
    assert.deepEqual(formatTable(columns, rows, styleFor({ isTTY: true })), want);
  } finally {
    if (before === undefined) delete process.env['NO_COLOR'];
    else process.env['NO_COLOR'] = before;
  }
});

test('lines however they are cut into chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.stringMatching(/^[^\n]*$/)),
      fc.integer({ min: 1, max: 9 }),
      async (lines, size) => {
        const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(''));
        async function* chunks(): AsyncGenerator<Uint8Array> {
          for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
        }
        const got: string[] = [];
        for await (const line of readLines(chunks())) got.push(line);
        assert.deepEqual(
          got,
          lines.map((line) => new TextDecoder().decode(new TextEncoder().encode(line))),
        );
      },
    ),
  );
});
