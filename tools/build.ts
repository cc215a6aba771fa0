/**
 * `npm run build`: compiles `src` to `dist` from scratch, so that nothing of an earlier build is published,
 * and puts the commands into a few files, a part that is loaded on demand each: Node takes about half a millisecond
 * to find and link each of some 170 modules, which is more than all that the command does with a small object.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

rmSync('dist', { recursive: true, force: true });
for (const info of ['core', 'cli']) rmSync(`build/${info}.tsbuildinfo`, { force: true });
const tsc = ['node_modules/typescript/bin/tsc', '-b', 'tsconfig.core.json', 'tsconfig.cli.json'];
execFileSync(process.execPath, tsc, { stdio: 'inherit' });

// Only the command itself is reached from outside; its parts go.
rmSync('dist/cli', { recursive: true });
await build({
  entryPoints: { main: 'src/cli/main.ts', conformance: 'tools/conformance-plugin.ts' },
  outdir: 'dist/cli',
  bundle: true,
  splitting: true,
  minifyWhitespace: true,
  minifySyntax: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  external: ['koffi'],
  legalComments: 'none',
});
for (const name of ['main', 'conformance']) chmodSync(`dist/cli/${name}.js`, 0o755);
