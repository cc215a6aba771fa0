/** The assertions that a browser gets fail where those of Node fail, and nowhere else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import shim from './shim-assert.ts';

const loop = (): unknown => {
  const made: { self?: unknown } = {};
  made.self = made;
  return made;
};

class Named extends Error {
  override readonly name = 'Named';
}

const values: unknown[] = [
  ...[undefined, null, true, 0, -0, 1, Number.NaN, 1n, '', '1', 'one'],
  ...[
    {},
    { a: 1 },
    { a: 1, b: undefined },
    { b: { a: [1] } },
    { b: { a: ['1'] } },
    Object.create(null),
    loop(),
  ],
  ...[[], [1], [1, 2], [undefined], new Uint8Array(2), new Uint8Array([0, 1]), new Uint16Array(2)],
  ...[new Map(), new Map([[1, { a: 1 }]]), new Map([[1, { a: 2 }]]), new Set(), new Set([1]), new Set([2])],
  ...[new Error('a'), new Error('b'), new Named('a'), new TypeError('a')],
];
/** Of the same kinds, none of them the same object. */
const others: unknown[] = [
  ...[{}, { a: 1 }, { a: 1, b: undefined }, { b: { a: [1] } }, Object.create(null), loop()],
  ...[[], [1], [1, 2], [undefined], new Uint8Array(2), new Uint8Array([0, 1]), new Uint16Array(2)],
  ...[new Map(), new Map([[1, { a: 1 }]]), new Set(), new Set([1]), new Error('a'), new Named('a')],
];

const holds = (call: () => void): boolean => {
  try {
    call();
    return true;
  } catch {
    return false;
  }
};

for (const name of ['equal', 'deepEqual'] as const) {
  test(`${name}: each value with each`, () => {
    for (const left of values) {
      for (const right of [...values, ...others]) {
        const want = holds(() => assert[name](left, right));
        assert.equal(
          holds(() => shim[name](left, right)),
          want,
          inspect([left, right]),
        );
      }
    }
  });
}

test('ok: each value', () => {
  for (const value of values) {
    assert.equal(
      holds(() => shim.ok(value)),
      holds(() => assert.ok(value)),
    );
  }
});

test('match and fail', () => {
  shim.match('abc', /b/);
  assert.throws(() => shim.match('abc', /d/), { name: 'AssertionError' });
  assert.throws(() => shim.fail('why'), /why/);
});

test('throws: what is thrown with what is wanted', () => {
  const thrown = [new Error('a'), new Named('a'), Object.assign(new Error('b'), { errno: 'ENOENT' })];
  const wanted = [
    ...[/a/, /Named/, Error, Named, (error: unknown) => error instanceof Named],
    ...[{ errno: 'ENOENT' }, { name: 'Named' }, { message: /a/ }, { errno: undefined }],
  ];
  for (const error of thrown) {
    for (const want of wanted) {
      const fail = (): never => {
        throw error;
      };
      assert.equal(
        holds(() => shim.throws(fail, want)),
        holds(() => assert.throws(fail, want as Error)),
        inspect([error, want]),
      );
    }
  }
  assert.throws(() => shim.throws(() => 1), { name: 'AssertionError' });
});
