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

/** Their paths from the root, once compiled. */
export function vmTests(): string[] {
  const found = [
    ...files,
    ...filesUnder(
      folders.filter((folder) => existsSync(folder)),
      '.test.ts',
    ),
  ];
  return found.map((file) => file.replace(/\.ts$/, '.js'));
}
