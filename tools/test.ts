/**
 * `npm test`: the whole suite, twice. First every `*.test.ts` in src/ and test/ from source, under the Node of
 * devDependencies; then the same files compiled by tsc, under the Node that runs npm where that is another
 * one, since that is where the published package has to run. Arguments go to `node --test` (a file, or
 * --test-name-pattern=…) and leave out the second part.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

/** Every file under `folders` whose name ends in `ending`, sorted. */
function filesUnder(folders: readonly string[], ending: string): string[] {
  return folders
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((f) => join(folder, f)),
    )
    .filter((file) => file.endsWith(ending))
    .sort();
}

/** Runs `node --test`, shows what it says, and counts by its TAP summary. */
function runTests(node: string, args: readonly string[], cwd: string): Count {
  mkdirSync('build', { recursive: true });
  const tap = join(root, 'build', 'tests.tap');
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
  const summary = existsSync(tap) ? readFileSync(tap, 'utf8') : '';
  const number = (name: string): number =>
    Number(new RegExp(`^# ${name} (\\d+)$`, 'm').exec(summary)?.[1] ?? 0);
  const count = {
    passed: number('pass'),
    failed: number('fail') + number('cancelled'),
    skipped: number('skipped') + number('todo'),
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

/** Compiles sources and tests to build/test, with what they read beside them at the same relative paths. */
function compileTests(): void {
  rmSync('build/test', { recursive: true, force: true });
  rmSync('build/test.tsbuildinfo', { force: true });
  const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.test.json'], {
    stdio: 'inherit',
  });
  if (tsc.status !== 0) throw new Error('the tests do not compile');
  for (const name of ['package.json', 'node_modules', 'fixtures', 'README.md', 'docs']) {
    symlinkSync(join(root, name), join('build/test', name));
  }
  for (const file of filesUnder(['examples', 'test', 'tools'], '')) {
    if (file.endsWith('.ts') || statSync(file).isDirectory()) continue;
    mkdirSync(join('build/test', dirname(file)), { recursive: true });
    symlinkSync(join(root, file), join('build/test', file));
  }
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
    const count = runTests(other, filesUnder(['src', 'test'], '.test.js'), compiled);
    for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += count[key];
  }
  console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  process.exitCode = total.failed === 0 ? 0 : 1;
}
