/**
 * `npm test`: the whole suite. Runs every `*.test.ts` in src/ and test/ from source under the Node of
 * devDependencies; arguments are passed on to `node --test` (a file, or --test-name-pattern=…).
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const given = process.argv.slice(2);
const files = given.some((arg) => !arg.startsWith('-')) ? [] : globSync('{src,test}/**/*.test.ts').sort();
const run = spawnSync(process.execPath, ['--conditions=source', '--test', ...given, ...files], { stdio: 'inherit' });
process.exitCode = run.status ?? 1;
