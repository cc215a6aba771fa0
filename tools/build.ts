/**
 * `npm run build`: compiles `src` to `dist` from scratch, so that nothing of an earlier build is published, and
 * puts the commands into a few files.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleCommands } from './commands.ts';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

rmSync('dist', { recursive: true, force: true });
for (const info of ['core', 'cli']) rmSync(`build/${info}.tsbuildinfo`, { force: true });
const tsc = ['node_modules/typescript/bin/tsc', '-b', 'tsconfig.core.json', 'tsconfig.cli.json'];
execFileSync(process.execPath, tsc, { stdio: 'inherit' });

// Only the command itself is reached from outside; its parts go.
rmSync('dist/cli', { recursive: true });
bundleCommands('dist/cli', { main: 'src/cli/main.ts', conformance: 'tools/conformance-plugin.ts' });
for (const name of ['main', 'conformance']) chmodSync(`dist/cli/${name}.js`, 0o755);
