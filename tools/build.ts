/**
 * `npm run build [-- --if-older]`: compiles `src` to `dist` from scratch, so that nothing of an earlier build is
 * published, and puts the commands into a few files; if it is asked so, only where a source is newer than that.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { bundleCommands } from './commands.ts';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

/** When all of `dist` was made. Type-checking writes to it as well, file by file. */
const STAMP = 'build/dist.stamp';

/** Whether nothing that `dist` is made of was changed, added or taken away since: a folder has a time, too. */
function isUpToDate(): boolean {
  if (!existsSync('dist')) return false;
  const built = statSync(STAMP, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const files = ['src', 'tools'].flatMap((folder) => [
    folder,
    ...readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => `${folder}/${path}`),
  ]);
  const settings = ['package.json', 'tsconfig.base.json', 'tsconfig.core.json', 'tsconfig.cli.json'];
  return [...files, ...settings].every((path) => statSync(path).mtimeMs < built);
}

if (process.argv.includes('--if-older') && isUpToDate()) process.exit();

for (const made of ['dist', STAMP]) rmSync(made, { recursive: true, force: true });
for (const info of ['core', 'cli']) rmSync(`build/${info}.tsbuildinfo`, { force: true });
const tsc = ['node_modules/typescript/bin/tsc', '-b', 'tsconfig.core.json', 'tsconfig.cli.json'];
execFileSync(process.execPath, tsc, { stdio: 'inherit' });

// Only the command itself is reached from outside; its parts go.
rmSync('dist/cli', { recursive: true });
bundleCommands('dist/cli', { main: 'src/cli/main.ts', conformance: 'tools/conformance-plugin.ts' });
for (const name of ['main', 'conformance']) chmodSync(`dist/cli/${name}.js`, 0o755);
writeFileSync(STAMP, '');
