/**
 * `npm test`: the whole suite, twice. First every `*.test.ts` in src/ and test/ from source, under the Node of
 * devDependencies; then the same files compiled by tsc, under the Node that runs npm where that is another
 * one, since that is where the published package has to run. Arguments go to `node --test` (a file, or
 * --test-name-pattern=…) and leave out the second part.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileTests, filesUnder } from './test/compile.ts';
import { addCount, type Count, countTap, countText } from './test/count.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

/** Runs `node --test`, shows what it says, and counts by its TAP summary. */
function runTests(node: string, args: readonly string[], cwd: string): Count {
  mkdirSync('build', { recursive: true });
  const tap = join(root, 'build', 'tests.tap');
  rmSync(tap, { force: true });
  const reporters = [
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=tap',
    `--test-reporter-destination=${tap}`,
  ];
  const run = spawnSync(node, ['--test', ...reporters, ...args], {
    stdio: 'inherit',
    cwd,
  });
  const count = countTap(existsSync(tap) ? readFileSync(tap, 'utf8') : '') ?? {
    passed: 0,
    failed: 0,
    skipped: 0,
  };
  // A file that cannot be loaded, or a runner that died, fails even where it counted nothing.
  if (run.status !== 0 && count.failed === 0) count.failed = 1;
  return count;
}

/** The Node on the PATH outside node_modules, where it is not the one that runs this. */
function systemNode(): string | undefined {
  const folders = (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => !folder.includes('node_modules'));
  const node = folders.map((folder) => join(folder, 'node')).find((file) => existsSync(file));
  if (node === undefined || realpathSync(node) === realpathSync(process.execPath)) return undefined;
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
  return version === process.version ? undefined : node;
}

const given = process.argv.slice(2);
if (given.length > 0) {
  const files = given.some((arg) => !arg.startsWith('-')) ? [] : filesUnder(['src', 'test'], '.test.ts');
  process.exitCode =
    runTests(process.execPath, ['--conditions=source', ...given, ...files], root).failed === 0 ? 0 : 1;
} else {
  const total = runTests(
    process.execPath,
    ['--conditions=source', ...filesUnder(['src', 'test'], '.test.ts')],
    root,
  );
  const other = systemNode();
  if (other !== undefined) {
    console.log(`\nThe same under ${other}, compiled`);
    compileTests();
    const compiled = join(root, 'build', 'test');
    process.chdir(compiled);
    // A browser is the same whichever Node starts it.
    const files = filesUnder(['src', 'test'], '.test.js').filter(
      (file) => !file.startsWith(join('test', 'browser')),
    );
    addCount(total, runTests(other, files, compiled));
  }
  console.log(`\n${countText(total)}`);
  process.exitCode = total.failed === 0 ? 0 : 1;
}
