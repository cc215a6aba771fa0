/**
 * Typed bindings: the module of every object compiles, says what the object has, and loads it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SkepError } from '../../base/errors.ts';
import { openObject } from '../../object/index.ts';
import { generateBindings } from './generate.ts';

/** The repository: tests run from src/ or compiled, from build/test/src/. */
const root = [1, 2, 3, 4, 5, 6]
  .map((up) => fileURLToPath(new URL('../'.repeat(up), import.meta.url)))
  .find((folder) => readdirSync(folder).includes('package.json')) as string;

const scratch = mkdtempSync(join(tmpdir(), 'skep-bindings-'));
after(() => rmSync(scratch, { recursive: true }));

const objects = ['fixtures/objects', 'examples']
  .flatMap((folder) => readdirSync(join(root, folder)).map((file) => join(root, folder, file)))
  .filter((path) => path.endsWith('.o'));

/** Compiles modules as their users would, strictly; what tsc says. */
function compile(name: string, modules: Readonly<Record<string, string>>): string {
  const folder = join(scratch, name);
  mkdirSync(folder);
  for (const [file, text] of Object.entries(modules)) writeFileSync(join(folder, file), text);
  const compilerOptions = {
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
    ...{ noUnusedLocals: true, noUnusedParameters: true, noEmit: true, skipLibCheck: true },
    ...{ target: 'ES2023', lib: ['ES2023', 'ESNext.Disposable', 'DOM'], module: 'NodeNext' },
    ...{ moduleResolution: 'NodeNext', verbatimModuleSyntax: true, isolatedModules: true },
    ...{ erasableSyntaxOnly: true, allowImportingTsExtensions: true, types: ['node'] },
    typeRoots: [join(root, 'node_modules/@types')],
    paths: { skep: [join(root, 'src/index.ts')] },
  };
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const tsc = join(root, 'node_modules/.bin/tsc');
  const { stdout, stderr } = spawnSync(tsc, ['-p', folder, '--pretty', 'false'], { encoding: 'utf8' });
  return stdout + stderr;
}

function bindingsOf(path: string, embeds: boolean): string | undefined {
  const bytes = new Uint8Array(readFileSync(path));
  const name = basename(path);
  try {
    const object = embeds ? bytes : { path };
    return generateBindings({ spec: openObject(bytes, { name }), name, object });
  } catch (error) {
    if (error instanceof SkepError) return undefined;
    throw error;
  }
}

test('the bindings of every object compile strictly', () => {
  const modules: Record<string, string> = {};
  for (const path of objects) {
    const text = bindingsOf(path, path.includes('examples'));
    if (text !== undefined) modules[`${basename(path).replaceAll('.', '-')}.ts`] = text;
  }
  assert.ok(Object.keys(modules).length > 15);
  assert.equal(compile('objects', modules), '');
});
