/**
 * `npm test`: the whole suite, twice. First every `*.test.ts` in src/ and test/ from source, under the Node of
 * devDependencies; then the same files compiled by tsc, under the Node that runs npm where that is another
 * one, since that is where the published package has to run. What says nothing about Node is left out there, by
 * name. Arguments go to `node --test` (a file, or --test-name-pattern=…) and leave out the second part.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compileTests, filesUnder } from './test/compile.ts';
import { addCount, type Count, countTap, countText } from './test/count.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

/** Files that run from source alone, and why another Node would say the same. */
const sourceOnly: Readonly<Record<string, readonly string[]>> = {
  'it computes with numbers of the language, and nothing else': [
    'src/verifier/domain/domain',
    'src/verifier/domain/model',
    'test/soundness/soundness',
    'test/soundness/z3',
  ],
  'it compares with what another program makes of the same files': [
    'src/asm/llvm',
    'src/btf/dump',
    'src/btf/libbpf',
    'src/object/llvm',
    'src/user/libbpf',
    'src/user/program-image',
  ],
  'a browser is the same whichever Node starts it': ['test/browser/contract'],
  'it is about tools and the package, which are made under one Node': [
    'src/user/bindings/bindings',
    'test/examples/objects',
    'test/pack',
    'test/tools/conformance-plugin',
    'test/tools/exam',
    'test/tools/exam-objects',
  ],
};

/** The files of the second part; counts and names those that are left out. */
function compiledFiles(total: Count): string[] {
  const reasons = new Map(
    Object.entries(sourceOnly).flatMap(([reason, names]) =>
      names.map((name): [string, string] => [`${name}.test.js`, reason]),
    ),
  );
  const files = filesUnder(['src', 'test'], '.test.js');
  for (const [file, reason] of reasons) {
    if (!files.includes(file)) throw new Error(`${file} is named in tools/test.ts, and not there`);
    console.log(`﹣ ${file} # from source alone: ${reason}`);
    total.skipped++;
  }
  return files.filter((file) => !reasons.has(file));
}

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
    // Without this, one processor is left idle.
    `--test-concurrency=${availableParallelism()}`,
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
    addCount(total, runTests(other, compiledFiles(total), compiled));
  }
  console.log(`\n${countText(total)}`);
  process.exitCode = total.failed === 0 ? 0 : 1;
}
