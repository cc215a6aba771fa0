/**
 * `npm run build`: compiles `src` to `dist` from scratch, so that nothing of an earlier build is published,
 * and puts the command into one file.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

rmSync('dist', { recursive: true, force: true });
for (const info of ['core', 'cli']) rmSync(`build/${info}.tsbuildinfo`, { force: true });
execFileSync(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '-b', 'tsconfig.core.json', 'tsconfig.cli.json'],
  {
    stdio: 'inherit',
  },
);
const command = bundle('dist/cli/main.js');
// What the command was made of is not reached from outside.
rmSync('dist/cli', { recursive: true });
mkdirSync('dist/cli');
writeFileSync('dist/cli/main.js', command, { mode: 0o755 });
