import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countCpus } from './targets.ts';

test('lists of CPUs as sysfs prints them', () => {
  const lists = { '0': 1, '0-3': 4, '0,2-5': 5, '0-1,4-5,7': 5 };
  for (const [list, want] of Object.entries(lists)) {
    assert.equal(countCpus(list), want, list);
  }
});
