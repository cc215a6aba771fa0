/**
 * `npm run bench -- btf`: reading the running kernel's BTF, and opening an object of one megabyte with the types of
 * many of its structs, beside libbpf in C (bench/c/btf.c, compiled here), in turns and each in a fresh process. Prints a
 * table. Needs the kernel's BTF, clang-19, cc and libbpf-dev.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Btf, dumpC, readBtf } from '../src/btf/index.ts';

const ROUNDS = 15;
/** Every so many structs of the kernel are in the object; and how much code. */
const [STRIDE, PROGRAMS, STATEMENTS] = [12, 25, 60];

const vmlinux = '/sys/kernel/btf/vmlinux';
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

interface Measured {
  readonly first: number;
  readonly second: number;
  readonly kib: number;
}

/** A program with variables of many of the kernel's structs, whose types come into its BTF. */
function source(btf: Btf): string {
  const names = btf.idsOf('struct').map((id) => btf.type(id).name);
  const variables = [...new Set(names)]
    .filter((name, i) => name !== '' && i % STRIDE === 0)
    .map((name) => `struct ${name} v_${name};`);
  const programs = Array.from({ length: PROGRAMS }, (_, i) => {
    const body = Array.from(
      { length: STATEMENTS },
      (_, j) => `if (ctx[${j % 6}] > s) s += ctx[${(j + 1) % 6}] * ${j + 3}; else s ^= counter;\n`,
    );
    return `__attribute__((section("raw_tp/sys_enter"), used))
int prog${i}(unsigned long *ctx) { unsigned long s = ${i};\n${body.join('')}return s; }`;
  });
  return [...dumpC(btf), ...variables, 'int counter;', ...programs].join('\n');
}

function compileObject(folder: string, kernel: Btf): string {
  const [text, object] = [join(folder, 'big.bpf.c'), join(folder, 'big.bpf.o')];
  writeFileSync(text, source(kernel));
  const flags = ['-target', 'bpf', '-mcpu=v3', '-O2', '-g', '-Wno-everything'];
  execFileSync('clang-19', [...flags, '-c', text, '-o', object]);
  execFileSync('llvm-strip-19', ['-g', object]);
  return object;
}

function compilePeer(folder: string): string {
  const program = join(folder, 'btf');
  execFileSync('cc', ['-O2', '-o', program, here('c/btf.c'), '-lbpf', '-lelf', '-lz']);
  return program;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] as number;

function row(name: string, ours: readonly number[], theirs: readonly number[], unit: string): string {
  const cell = (value: number): string => `${value.toFixed(1)} ${unit}`.padStart(11);
  const cells = [median(ours), Math.min(...ours), median(theirs), Math.min(...theirs)].map(cell);
  return `${name.padEnd(44)}${cells.join('')}`;
}

/** Measures and prints the table. */
export function btf(): void {
  const folder = mkdtempSync(join(tmpdir(), 'skep-bench-btf-'));
  try {
    const kernel = readBtf(readFileSync(vmlinux));
    const last = kernel
      .idsOf('struct')
      .map((id) => kernel.type(id).name)
      .filter((name) => name !== '')
      .at(-1) as string;
    const object = compileObject(folder, kernel);
    const peer = compilePeer(folder);
    const node = ['--conditions=source', '--no-warnings', here('btf-worker.ts')];
    const run = (command: string, args: readonly string[]): Measured =>
      JSON.parse(execFileSync(command, args, { encoding: 'utf8' }));
    const all = { types: [] as [Measured, Measured][], object: [] as [Measured, Measured][] };
    for (let round = 0; round < ROUNDS; round++) {
      const types = ['types', vmlinux, last];
      all.types.push([run(process.execPath, [...node, ...types]), run(peer, types)]);
      all.object.push([run(process.execPath, [...node, 'object', object]), run(peer, ['object', object])]);
    }
    const of = (key: keyof typeof all, field: keyof Measured, scale = 1): [number[], number[]] => [
      all[key].map(([ours]) => ours[field] * scale),
      all[key].map(([, theirs]) => theirs[field] * scale),
    ];
    const size = (path: string): string => `${(readFileSync(path).length / 1e6).toFixed(1)} MB`;
    const titles = ['skep', '(best)', 'libbpf', '(best)'].map((title) => title.padStart(11)).join('');
    console.log(`${' '.repeat(44)}${titles}`);
    console.log(row(`read the kernel's BTF, ${size(vmlinux)}`, ...of('types', 'first'), 'ms'));
    console.log(row('and find a struct by name', ...of('types', 'second'), 'ms'));
    console.log(row('memory that takes', ...of('types', 'kib', 1 / 1024), 'MiB'));
    const [first, theirs] = of('object', 'first');
    console.log(row(`open an object, ${size(object)}, the first time`, first, theirs, 'ms'));
    console.log(row('and once it is warm', of('object', 'second')[0], theirs, 'ms'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
