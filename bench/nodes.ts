/** The Nodes that measurements run under, and what they run: a worker in one file, which needs nothing else. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

export interface NodeVersion {
  readonly path: string;
  readonly version: string;
}

/** The Node that development uses, and the system's. */
export function nodes(): NodeVersion[] {
  const system = spawnSync(
    'sh',
    ['-c', 'PATH=$(echo "$PATH" | tr : \'\\n\' | grep -v node_modules | paste -sd:) command -v node'],
    { encoding: 'utf8' },
  ).stdout.trim();
  const found = [process.execPath, ...(system === '' ? [] : [system])].map((path) => ({
    path,
    version: spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout.trim(),
  }));
  return found.filter(({ version }, i) => found.findIndex((one) => one.version === version) === i);
}

/** Bundles a worker of this folder into a file in `folder`. */
export async function bundleWorker(name: string, folder: string): Promise<string> {
  const outfile = join(folder, `${name}.mjs`);
  await build({
    entryPoints: [fileURLToPath(new URL(`./${name}.ts`, import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
    conditions: ['source'],
    define: { 'import.meta.url': JSON.stringify(import.meta.url) },
    logLevel: 'error',
  });
  return outfile;
}
