/**
 * Who may import whom: each folder of src/ imports only folders before it in `layers`, so that the list is
 * the architecture; and no file imports itself in a circle. Types count for the layers; within one, two files
 * may name each other's types (a program has maps, and a program array has programs).
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const src = join(root, 'src');

/** From the ground up. `index` is the package's front, src/index.ts. */
const layers = [
  'base',
  'isa',
  'uapi',
  'memory',
  'asm',
  'cbpf',
  'btf',
  'elf',
  'object',
  'verifier',
  'maps',
  'vm',
  'kernel',
  'linux',
  'user',
  'packet',
  'sources',
  'testing',
  'index',
  'cli',
];

/** Pairs of folders that stay strangers though one lies above the other. */
const strangers = [['vm', 'verifier']] as const;

/** What may use Node; the rest runs in browsers. */
const nodeOnly = ['linux', 'cli'];

interface Source {
  readonly file: string;
  readonly layer: string;
  readonly imports: readonly string[];
  /** Those that are there when it runs: without `import type`. */
  readonly runtime: readonly string[];
}

const suffix = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

function importsOf(text: string): string[] {
  const found = text.matchAll(/^(?:import|export)\s(?:[^'";]*?\sfrom\s)?'([^']+)';|\bimport\('([^']+)'\)/gm);
  return [...found].map((match) => (match[1] ?? match[2]) as string);
}

function sources(): Source[] {
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(suffix) && !file.endsWith(`.test${suffix}`))
    .map((file) => {
      const text = readFileSync(join(src, file), 'utf8');
      const layer = file.includes(sep) ? (file.split(sep)[0] as string) : 'index';
      const runtime = importsOf(text.replace(/^(import|export) type\s[^;]*;$/gm, ''));
      return { file, layer, imports: importsOf(text), runtime };
    });
}

function target(source: Source, specifier: string): string {
  return relative(src, join(src, dirname(source.file), specifier));
}

test('every folder of src is a layer', () => {
  const folders = readdirSync(src, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  assert.deepEqual(
    folders.map(({ name }) => name).filter((name) => !layers.includes(name)),
    [],
  );
});

test('no layer imports one above it', () => {
  const wrong: string[] = [];
  for (const source of sources()) {
    for (const specifier of source.imports.filter((name) => name.startsWith('.'))) {
      const file = target(source, specifier);
      assert.ok(existsSync(join(src, file)), `${source.file} imports ${specifier}`);
      const layer = file.includes(sep) ? (file.split(sep)[0] as string) : 'index';
      const apart = strangers.some((pair) =>
        (pair as readonly string[]).every((l) => l === layer || l === source.layer),
      );
      if (layer !== source.layer && (apart || layers.indexOf(layer) > layers.indexOf(source.layer))) {
        wrong.push(`${source.file} imports ${file}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

test('only the layers that run in Node import anything from outside', () => {
  const wrong = sources().flatMap((source) =>
    source.imports
      .filter((name) => !name.startsWith('.') && !nodeOnly.includes(source.layer))
      .map((name) => `${source.file} imports ${name}`),
  );
  assert.deepEqual(wrong, []);
});

test('no file imports itself in a circle', () => {
  const graph = new Map(
    sources().map((source) => [
      source.file,
      source.runtime.filter((name) => name.startsWith('.')).map((name) => target(source, name)),
    ]),
  );
  const done = new Set<string>();
  const path: string[] = [];
  const walk = (file: string): void => {
    assert.ok(!path.includes(file), `a circle: ${[...path.slice(path.indexOf(file)), file].join(' → ')}`);
    if (done.has(file)) return;
    path.push(file);
    for (const next of graph.get(file) ?? []) walk(next);
    path.pop();
    done.add(file);
  };
  for (const file of graph.keys()) walk(file);
  assert.ok(done.size > 100, 'the sources were found');
});
