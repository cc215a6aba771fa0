/**
 * TypeScript for a virtual machine, in as few files as can be: where the processor is emulated, each module that Node
 * finds and links takes some 50 ms, and the library has 300. What a file asks for beside itself, by `import.meta.url`,
 * it finds at the place that it has below /skep. The package, `skep`, is the built one.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import process from 'node:process';
import { build, type Plugin } from 'esbuild';

const OUT = 'build/vm';

/** Where a module is in the machine, whichever file it was put into. */
const ownPlaces: Plugin = {
  name: 'own places',
  setup({ onLoad }) {
    onLoad({ filter: /\.[tj]s$/ }, async ({ path }) => {
      const place = `file:///skep/${relative(process.cwd(), path).replace(/\.ts$/, '.js')}`;
      const source = await readFile(path, 'utf8');
      return {
        contents: source.replaceAll('import.meta.url', JSON.stringify(place)),
        loader: path.endsWith('.ts') ? 'ts' : 'js',
      };
    });
  },
};

/** Puts entry points, each with its path below the root of the project, and what they share into a folder; its path. */
export async function bundle(entryPoints: readonly string[]): Promise<string> {
  rmSync(OUT, { recursive: true, force: true });
  await build({
    entryPoints: [...entryPoints],
    outbase: '.',
    outdir: OUT,
    bundle: true,
    splitting: true,
    minifySyntax: true,
    minifyWhitespace: true,
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    external: ['koffi', 'esbuild'],
    plugins: [ownPlaces],
    logLevel: 'warning',
  });
  writeFileSync(join(OUT, 'package.json'), '{ "type": "module" }');
  return OUT;
}
