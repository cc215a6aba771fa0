#!/usr/bin/env node
/**
 * `skep-conformance [--engine interp|jit] [--elf] [MEM] < program`: a plugin for the bpf_conformance suite of RFC 9669.
 * Runs one program without the verifier. MEM and standard input are hex bytes with spaces; with `--elf` the input is an
 * object, in hex or as it is, and its first program runs. On entry r1 is the address of the memory and r2 its length.
 * Prints r0 in hex; what goes wrong is printed in one line, and the exit code is 1.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fromHex, SkepError } from '../src/base/index.ts';
import { decode, type Insn } from '../src/isa/index.ts';
import { createMemory } from '../src/memory/index.ts';
import { openObject } from '../src/object/index.ts';
import { progTypes } from '../src/uapi/index.ts';
import { type Engine, interpreter, jit } from '../src/vm/index.ts';

const engines: Readonly<Record<string, Engine>> = { interp: interpreter, jit };

/** Instructions after which a program counts as one that never ends. */
const BUDGET = 100_000_000;

/** `r2 = length` in front of the program: jumps are relative, so it runs as it is. */
function withLength(length: number, insns: readonly (Insn | undefined)[]): readonly (Insn | undefined)[] {
  return [{ op: 'alu', alu: 'mov', bits: 64, dst: 2, src: { imm: length } }, ...insns];
}

const isElf = (bytes: Uint8Array): boolean => String.fromCharCode(...bytes.subarray(0, 4)) === '\x7fELF';

/** The instructions of the program given on standard input. */
function programBytes(input: Uint8Array, wantsElf: boolean): Uint8Array {
  const bytes = wantsElf && isElf(input) ? input : fromHex(Buffer.from(input).toString('latin1'));
  if (!wantsElf) return bytes;
  const [program] = Object.values(openObject(bytes).programs);
  if (program === undefined) throw new SkepError({ code: 'empty', message: 'the object has no program' });
  return program.insns;
}

/** Runs the program with `mem` at r1; r0. */
function run(insns: Uint8Array, mem: Uint8Array, engine: Engine): bigint {
  const memory = createMemory();
  const ctx = mem.length === 0 ? 0 : memory.alloc(mem.length);
  memory.u8.set(mem, ctx);
  const program = {
    name: 'conformance',
    progType: progTypes.raw_tracepoint.id,
    insns: withLength(mem.length, decode(insns)),
    subprogs: [],
    maps: [],
  };
  const runtime = {
    memory,
    ktimeNs: () => 0n,
    random: () => 0,
    cpu: () => 0,
    cpus: 1,
    task: () => ({ pid: 1, tgid: 1, uid: 0, gid: 0, comm: 'conformance' }),
    mapAt: () => undefined,
    progAt: () => undefined,
    trace: () => {},
  };
  return engine.load(program, runtime).run({ ctx, budget: BUDGET });
}

function main(): void {
  const { values, positionals } = parseArgs({
    options: { engine: { type: 'string', default: 'interp' }, elf: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const engine = Object.hasOwn(engines, values.engine) ? engines[values.engine] : undefined;
  if (engine === undefined) {
    throw new SkepError({ code: 'usage', message: `no engine is called ${values.engine}: interp, jit` });
  }
  const insns = programBytes(readFileSync(0), values.elf);
  console.log(run(insns, fromHex(positionals[0] ?? ''), engine).toString(16));
}

try {
  main();
} catch (error) {
  console.log(
    error instanceof SkepError ? error.line : error instanceof Error ? error.message : String(error),
  );
  process.exitCode = 1;
}
