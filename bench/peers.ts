/**
 * Those who run the suite's programs, each a process that waits for orders: the embedded kernel under a Node,
 * the running Linux, and programs compiled for the machine itself. A peer that is not there is left out, and
 * the report says so.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Lines } from './lines.ts';
import { bundleWorker, nodes } from './nodes.ts';
import { programsFolder, type SuiteProgram, suitePacket } from './suite.ts';
import type { Answer, Order } from './worker.ts';

export interface Sample {
  readonly ns: number;
  readonly retval: number;
}

export interface Peer {
  readonly name: string;
  /** Nanoseconds of `repeat` runs of a program, all together; a text says why it cannot. */
  run(program: string, repeat: number): Promise<Sample | string>;
}

export interface Peers {
  readonly peers: readonly Peer[];
  /** What is not there, and why. */
  readonly missing: readonly string[];
  /** Ends all processes and removes their files. */
  close(): void;
}

const inWorker = (lines: Lines, engine: Order['engine']): Peer['run'] => {
  return async (program, repeat) => {
    const line = await lines.ask(JSON.stringify({ program, engine, repeat } satisfies Order));
    if (line === undefined) return 'the process ended';
    const answer = JSON.parse(line) as Answer;
    return 'error' in answer ? answer.error : answer;
  };
};

function nativePeer(folder: string, clang: string): Peer & { readonly started: Map<string, Lines> } {
  const started = new Map<string, Lines>();
  const packet = join(folder, 'packet');
  writeFileSync(packet, suitePacket());
  return {
    name: 'native',
    started,
    async run(program, repeat) {
      let lines = started.get(program);
      if (lines === undefined) {
        const file = join(folder, `native-${program}`);
        const source = `${programsFolder}${program}.bpf.c`;
        const args = [
          '-O2',
          '-w',
          '-include',
          source,
          '-x',
          'c',
          `${programsFolder}native-main.h`,
          '-o',
          file,
        ];
        const made = spawnSync(clang, args, { encoding: 'utf8' });
        if (made.status !== 0) return `clang: ${made.stderr.split('\n')[0]}`;
        lines = new Lines(file, [packet]);
        started.set(program, lines);
      }
      const [ns, retval] = ((await lines.ask(String(repeat))) ?? '').split(' ').map(Number);
      return ns === undefined || retval === undefined ? 'the process ended' : { ns, retval };
    },
  };
}

/** Builds and starts all that are there. */
export async function startPeers(programs: readonly SuiteProgram[]): Promise<Peers> {
  const folder = mkdtempSync(join(tmpdir(), 'skep-bench-'));
  const worker = await bundleWorker('worker', folder);
  const missing: string[] = [];
  const peers: Peer[] = [];
  const processes: Lines[] = [];
  for (const { path, version } of nodes()) {
    const lines = new Lines(path, [worker]);
    processes.push(lines);
    peers.push({ name: `jit, Node ${version}`, run: inWorker(lines, 'jit') });
    if (path === process.execPath) peers.push({ name: 'interp', run: inWorker(lines, 'interp') });
  }
  const linux = new Lines(process.execPath, [
    '--conditions=source',
    fileURLToPath(new URL('./worker.ts', import.meta.url)),
  ]);
  processes.push(linux);
  const kernel: Peer = { name: 'linux', run: inWorker(linux, 'linux') };
  const first = await kernel.run(programs[0]!.name, 1);
  if (typeof first === 'string') missing.push(`Linux: ${first}`);
  else peers.push(kernel);
  const clang = ['clang-19', 'clang'].find((name) => spawnSync(name, ['--version']).status === 0);
  const native = clang === undefined ? undefined : nativePeer(folder, clang);
  if (native === undefined) missing.push('native: clang is not installed');
  else peers.push(native);
  return {
    peers,
    missing,
    close() {
      for (const one of [...processes, ...(native?.started.values() ?? [])]) one.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
