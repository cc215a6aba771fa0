/**
 * `npm run build`: compiles `src` to `dist` from scratch, so that nothing of an earlier build is published.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

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
if (existsSync('dist/cli/main.js')) chmodSync('dist/cli/main.js', 0o755);
