/**
 * The commands in a few files, a part that is loaded on demand each: Node takes about half a millisecond to find and
 * link each of some 170 modules, which is more than all that the command does with a small object.
 */
import { buildSync } from 'esbuild';

/** Puts the entry points, by the names that they get, and what they share into a folder. */
export function bundleCommands(outdir: string, entryPoints: Readonly<Record<string, string>>): void {
  buildSync({
    entryPoints: { ...entryPoints },
    outdir,
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
}
