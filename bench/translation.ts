/**
 * What translating takes: the time of large programs until their WebAssembly is there as bytes, without what the
 * JavaScript engine makes of it; and what a loaded program keeps in memory. In a process of its own
 * (`node --expose-gc translation.ts`, which prints JSON), so that nothing else has warmed it or filled its heap.
 */
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { assemble } from '../src/asm/index.ts';
import { jit, type RunnableProgram } from '../src/vm/index.ts';
import { translate } from '../src/vm/jit/translate/module.ts';
import { BenchRuntime } from './harness.ts';

const SIZES = [1_000, 10_000, 100_000];
const ROUNDS = 15;

export interface TranslationRow {
  readonly insns: number;
  /** Milliseconds: the first time, and the median and best of more. */
  readonly firstMs: number;
  readonly medianMs: number;
  readonly bestMs: number;
  /** Bytes of WebAssembly, and bytes kept in heap and buffers while the program is loaded, an instruction. */
  readonly codeBytes: number;
  readonly keptBytes: number;
}

/** Parses, counts and branches, as compilers write it: 40 instructions, with a lookup and a loop of 8 rounds. */
function piece(i: number): string {
  return `r2 = *(u8 *)(r6 + ${i % 64})
    r3 = *(u16 *)(r6 + ${(2 * i) % 128})
    w2 <<= 8
    w2 |= w3
    r4 = r2
    r4 *= 31
    r4 ^= ${i * 7919}
    r7 += r4
    if w2 > ${i % 60000} goto a${i}
    r5 = r7
    r5 >>= 13
    r7 ^= r5
    *(u64 *)(r10 - ${8 + 8 * (i % 20)}) = r7
    if r5 == 0 goto b${i}
    a${i}: w8 = w3
    w8 &= 255
    r9 = *(u64 *)(r10 - ${8 + 8 * ((i + 3) % 20)})
    r9 += r8
    r7 += r9
    b${i}: w1 = w7
    w1 &= 7
    *(u32 *)(r10 - 200) = r1
    r2 = r10
    r2 += -200
    r1 = MAP ll
    call 1
    if r0 == 0 goto c${i}
    r1 = *(u64 *)(r0 + 0)
    r1 += 1
    *(u64 *)(r0 + 0) = r1
    c${i}: w1 = 0
    l${i}: r3 = r6
    r3 += r1
    r4 = *(u8 *)(r3 + 0)
    r7 += r4
    w1 += 1
    if w1 != 8 goto l${i}
    r7 = be64 r7
    w2 = -w2`;
}
const PIECE = 40;

function programOf(insns: number, runtime: BenchRuntime): RunnableProgram {
  const map = runtime.map('array', 8);
  const pieces = Array.from({ length: Math.ceil(insns / PIECE) }, (_, i) => piece(i));
  const slots = Array.from({ length: 20 }, (_, i) => `*(u64 *)(r10 - ${8 + 8 * i}) = 0`).join('\n');
  const text = `r6 = r1\nr7 = 1\nr8 = 0\n${slots}\n${pieces.join('\n')}\nr0 = r7\nexit`;
  return {
    name: 'large',
    progType: 0,
    insns: assemble(text.replaceAll('MAP', String(map.address))),
    subprogs: [{ start: 0, end: 0, stackDepth: 208 }],
    maps: [map],
  };
}

async function keptMemory(): Promise<number> {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    await setTimeout(1);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function measure(insns: number): Promise<TranslationRow> {
  const runtime = new BenchRuntime();
  const program = programOf(insns, runtime);
  const place = { scratch: 65536, view: runtime.memory.view };
  let codeBytes = 0;
  const timed = (): number => {
    const from = process.hrtime.bigint();
    codeBytes = translate(program, place).bytes.length;
    return Number(process.hrtime.bigint() - from) / 1e6;
  };
  const firstMs = timed();
  const before = await keptMemory();
  const loaded = jit.load(program, runtime);
  const kept = (await keptMemory()) - before;
  const times = Array.from({ length: ROUNDS }, timed).sort((a, b) => a - b);
  return {
    insns,
    firstMs,
    medianMs: times[times.length >> 1]!,
    bestMs: times[0]!,
    codeBytes: codeBytes / insns,
    keptBytes: loaded.program === program ? kept / insns : Number.NaN,
  };
}

/** Measures in processes of this Node, one for each size. */
export function measureTranslation(): TranslationRow[] {
  return SIZES.map((size) => {
    const args = ['--expose-gc', '--conditions=source', fileURLToPath(import.meta.url), String(size)];
    return JSON.parse(spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout) as TranslationRow;
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  console.log(JSON.stringify(await measure(Number(process.argv[2]))));
