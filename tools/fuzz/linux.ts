/**
 * Linux as the fuzzer's oracle: oracle.c, compiled into a temporary folder, loads and test-runs programs with
 * bpf(2). Where there is no compiler, no Linux or no right to call bpf(2), there is no oracle.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exit, mov, program, r0 } from '../../src/asm/index.ts';
import { bytesOf, type Candidate, type Privilege, progTypeId } from './candidate.ts';
import type { LinuxAnswer } from './examine.ts';
import {
  contextBytes,
  dumpText,
  type Entry,
  entryKey,
  entryValue,
  FIRST_MAP_FD,
  packetBytes,
  userValueSize,
  worldMaps,
} from './world.ts';

export interface Oracle {
  readonly cpus: number;
  ask(candidate: Candidate): Promise<LinuxAnswer>;
  close(): void;
}

const words = (...values: readonly number[]): Uint8Array => {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => void view.setUint32(4 * i, value >>> 0, true));
  return bytes;
};

/** The CPUs that may ever be there, which bound bpf_get_smp_processor_id(). */
function possibleCpus(): number {
  try {
    const text = readFileSync('/sys/devices/system/cpu/possible', 'utf8').trim();
    return Number(text.split(/[-,]/).at(-1)) + 1;
  } catch {
    return 1;
  }
}

/** One process of oracle.c, asked one program at a time. */
class Asked {
  private readonly child: ChildProcess;
  private chunks: Buffer[] = [];
  private held = 0;
  private wake = (): void => {};

  constructor(binary: string, privilege: Privilege) {
    this.child = spawn(binary, [privilege], { stdio: ['pipe', 'pipe', 'ignore'] });
    // A process that has ended is noticed when its answer is waited for.
    this.child.stdin!.on('error', () => {});
    this.child.stdout!.on('data', (chunk: Buffer) => {
      this.chunks.push(chunk);
      this.held += chunk.length;
      this.wake();
    });
    this.child.on('exit', () => this.wake());
    for (const [i, map] of worldMaps.entries()) {
      const { type, keySize, valueSize, maxEntries, flags, frozen, filled } = map;
      this.send(Uint8Array.of(0x4d));
      this.send(words(FIRST_MAP_FD + i, type, keySize, valueSize, maxEntries, flags, frozen ? 1 : 0, filled));
      for (let entry = 0; entry < filled; entry++) {
        this.send(entryKey(map, entry));
        this.send(entryValue(map, entry));
      }
    }
  }

  send(bytes: Uint8Array): void {
    this.child.stdin!.write(bytes);
  }

  private async take(size: number): Promise<Buffer> {
    while (this.held < size) {
      if (this.child.exitCode !== null) throw new Error('the oracle ended');
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    const all = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks);
    this.chunks = [all.subarray(size)];
    this.held -= size;
    return all.subarray(0, size);
  }

  async answer(): Promise<Buffer> {
    return this.take((await this.take(4)).readUInt32LE(0));
  }

  close(): void {
    this.child.stdin!.end();
  }
}

/** Reads what oracle.c answers. */
class Reader {
  private at = 0;
  private readonly bytes: Buffer;
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
  word(): number {
    this.at += 4;
    return this.bytes.readUInt32LE(this.at - 4);
  }
  take(size: number): Buffer {
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }
}

function readMaps(bytes: Buffer): string {
  const reader = new Reader(bytes);
  return worldMaps
    .map((map) => {
      const entries: Entry[] = [];
      for (let left = reader.word(); left > 0; left--) {
        entries.push([reader.take(map.keySize), reader.take(userValueSize(map))]);
      }
      return dumpText(map, entries);
    })
    .join('\n');
}

function readAnswer(bytes: Buffer): LinuxAnswer {
  const reader = new Reader(bytes);
  const errno = reader.word();
  const processed = reader.word();
  const runErrno = reader.word();
  const retval = reader.word();
  const packet = reader.take(reader.word()).toString('hex');
  const maps = reader.take(reader.word());
  const log = reader.take(reader.word()).toString('latin1');
  const lines = log.split('\n').filter((line) => line !== '' && !line.startsWith('processed '));
  return {
    accepted: errno === 0,
    errno,
    processed,
    message: lines.at(-1) ?? '',
    result: runErrno === 0 ? { retval, packet, maps: readMaps(maps) } : undefined,
  };
}

function request(candidate: Candidate): Uint8Array {
  const insns = bytesOf(candidate);
  const traced = candidate.type === 'tracepoint' || candidate.type === 'raw_tracepoint';
  const data = traced ? new Uint8Array() : packetBytes(candidate.packetLength);
  const ctx = candidate.type === 'raw_tracepoint' ? contextBytes(candidate.words) : new Uint8Array();
  const run = candidate.type === 'tracepoint' ? 0 : 1;
  const head = words(progTypeId(candidate.type), candidate.flags, run, insns.length, data.length, ctx.length);
  return Uint8Array.from([0x50, ...head, ...insns, ...data, ...ctx]);
}

/** Undefined where Linux cannot be asked here. */
export async function openOracle(): Promise<Oracle | undefined> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'skep-fuzz-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const binary = join(folder, 'oracle');
  const source = fileURLToPath(new URL('oracle.c', import.meta.url));
  const built = spawnSync('cc', ['-O1', '-o', binary, source], { stdio: 'ignore' });
  if (built.status !== 0) {
    remove();
    return undefined;
  }
  const asked: Record<Privilege, Asked> = { root: new Asked(binary, 'root'), bpf: new Asked(binary, 'bpf') };
  const oracle: Oracle = {
    cpus: possibleCpus(),
    async ask(candidate) {
      const process = asked[candidate.privilege];
      process.send(request(candidate));
      return readAnswer(await process.answer());
    },
    close() {
      asked.root.close();
      asked.bpf.close();
      remove();
    },
  };
  if (await works(oracle)) return oracle;
  oracle.close();
  return undefined;
}

/** Whether Linux lets programs be loaded here, with each privilege. */
async function works(oracle: Oracle): Promise<boolean> {
  const slots = program(mov(r0, 0), exit());
  try {
    for (const privilege of ['root', 'bpf'] as const) {
      const made: Candidate = {
        type: 'socket_filter',
        privilege,
        flags: 0,
        slots,
        packetLength: 64,
        words: [],
      };
      if ((await oracle.ask(made)).result === undefined) return false;
    }
    return true;
  } catch {
    return false;
  }
}
