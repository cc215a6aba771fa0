import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha1Hex } from './sha1.ts';

test('the example of FIPS 180-4', () => {
  assert.equal(sha1Hex(new TextEncoder().encode('abc')), 'a9993e364706816aba3e25717850c26c9cd0d89d');
});

test('as another implementation has it, at any length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.equal(sha1Hex(bytes), createHash('sha1').update(bytes).digest('hex'));
    }),
  );
});
