/** The tests and what they run, compiled: for the Node of users, and for machines without the sources. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';

/** Every file under `folders` whose name ends in `ending`, sorted. */
export function filesUnder(folders: readonly string[], ending: string): string[] {
  return folders
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((f) => join(folder, f)),
    )
    .filter((file) => file.endsWith(ending))
    .sort();
}

/** Compiles sources and tests to build/test, with what they read beside them at the same relative paths. */
export function compileTests(): void {
  rmSync('build/test', { recursive: true, force: true });
  rmSync('build/test.tsbuildinfo', { force: true });
  const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.test.json'], {
    stdio: 'inherit',
  });
  if (tsc.status !== 0) throw new Error('the tests do not compile');
  for (const name of ['package.json', 'node_modules', 'fixtures', 'README.md', 'docs']) {
    symlinkSync(resolve(name), join('build/test', name));
  }
  for (const file of filesUnder(['bench', 'examples', 'test', 'tools'], '')) {
    if (file.endsWith('.ts') || statSync(file).isDirectory()) continue;
    mkdirSync(join('build/test', dirname(file)), { recursive: true });
    symlinkSync(resolve(file), join('build/test', file));
  }
}
