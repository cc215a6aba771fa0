/**
 * One measurement of bench/btf.ts, in a process of its own, as bench/c/btf.c does it: `types FILE NAME` reads raw
 * BTF and finds a struct in it, `object FILE` opens an object, and then once more. Prints milliseconds, and KiB of
 * resident memory gained.
 */
import { readFileSync } from 'node:fs';
import { readBtf } from '../src/btf/index.ts';
import { openObject } from '../src/object/index.ts';

const [what = '', file = '', name = ''] = process.argv.slice(2);
const bytes = readFileSync(file);
const before = process.memoryUsage.rss();
const start = performance.now();
let [middle, end] = [0, 0];
if (what === 'types') {
  const btf = readBtf(bytes);
  middle = performance.now();
  if (btf.find(name, 'struct') === undefined) throw new Error(`no struct ${name}`);
  end = performance.now();
} else {
  openObject(bytes);
  middle = performance.now();
  // Warm: after as many times that the compiler has seen it.
  for (let i = 0; i < 30; i++) openObject(bytes);
  const warm = performance.now();
  openObject(bytes);
  end = middle + performance.now() - warm;
}
const kib = (process.memoryUsage.rss() - before) / 1024;
console.log(JSON.stringify({ first: middle - start, second: end - middle, kib }));
