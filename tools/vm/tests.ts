/** The tests that run in virtual machines: those that ask the kernel they run on. */
import { existsSync } from 'node:fs';
import { filesUnder } from '../test/compile.ts';

/** Folders whose every test does, and single files. */
const folders = ['test/linux'];
const files = [
  'test/contract/linux.test.ts',
  'test/examples/linux.test.ts',
  'test/examples/live.test.ts',
  'src/linux/system.test.ts',
];

/** Their paths from the root. */
export function vmTests(): string[] {
  const there = folders.filter((folder) => existsSync(folder));
  return [...files, ...filesUnder(there, '.test.ts')];
}

/** What tests start as processes of their own, or load in those. */
export const startedByTests: readonly string[] = [
  'examples/latency.ts',
  'examples/syscalls.ts',
  'examples/veth.ts',
  'src/index.ts',
  'src/linux-kernel.ts',
  'src/linux/system.ts',
  'test/support/attach.ts',
];

/** Files that they read; those of a folder with a name that the pattern fits. */
export const readByTests: readonly { readonly folder: string; readonly wanted: RegExp }[] = [
  { folder: 'examples', wanted: /\.o$/ },
  { folder: 'examples/captures', wanted: /\.pcap$/ },
  { folder: 'fixtures/objects', wanted: /\.o$/ },
  { folder: 'fixtures/usdt', wanted: /\.so$/ },
];
