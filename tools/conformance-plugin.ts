/**
 * A plugin for the bpf_conformance suite of RFC 9669: runs one program without the verifier.
 * `node tools/conformance-plugin.ts [--engine interp|jit] [MEM] < program`, where MEM and standard input are hex bytes
 * with spaces; `--elf` reads an object and runs its first program. On entry r1 is the address of the memory
 * and r2 its length. Prints r0 in hex.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fromHex, SkepError } from '../src/base/index.ts';
import { decode, type Insn } from '../src/isa/index.ts';
import { createMemory } from '../src/memory/index.ts';
import { openObject } from '../src/object/index.ts';
import { progTypes } from '../src/uapi/index.ts';
import { type Engine, interpreter, jit, ProgramFault } from '../src/vm/index.ts';

/** `r2 = length` in front of the program: jumps are relative, so it runs as it is. */
function withLength(length: number, insns: readonly (Insn | undefined)[]): readonly (Insn | undefined)[] {
  return [{ op: 'alu', alu: 'mov', bits: 64, dst: 2, src: { imm: length } }, ...insns];
}

/** The instructions of the program given on standard input. */
function programBytes(input: Uint8Array, isElf: boolean): Uint8Array {
  if (!isElf) return fromHex(Buffer.from(input).toString('latin1'));
  const [program] = Object.values(openObject(input).programs);
  if (program === undefined) throw new SkepError({ code: 'empty', message: 'the object has no program' });
  return program.insns;
}

/** Runs the program with `mem` at r1; r0. */
export function runConformance(insns: Uint8Array, mem: Uint8Array, engine: Engine = interpreter): bigint {
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
  return engine.load(program, runtime).run({ ctx });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const engines: Readonly<Record<string, Engine>> = { interp: interpreter, jit };
  try {
    const { values, positionals } = parseArgs({
      options: { engine: { type: 'string', default: 'interp' }, elf: { type: 'boolean', default: false } },
      allowPositionals: true,
    });
    const engine = engines[values.engine];
    if (engine === undefined) {
      throw new SkepError({ code: 'usage', message: `no engine is called ${values.engine}: interp, jit` });
    }
    const insns = programBytes(readFileSync(0), values.elf);
    console.log(runConformance(insns, fromHex(positionals[0] ?? ''), engine).toString(16));
  } catch (error) {
    if (!(error instanceof SkepError) && !(error instanceof ProgramFault)) throw error;
    console.log(error instanceof SkepError ? error.line : error.message);
    process.exitCode = 1;
  }
}
