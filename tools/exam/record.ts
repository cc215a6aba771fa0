/**
 * Recorded programs: files of gzipped JSON lines, each a program, the maps that it names, and what Linux said of
 * it. Reads them one by one, with the blobs of BTF beside them; whatever is not such a record ends in a
 * SkepError of one line.
 */
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { createGunzip, gunzipSync } from 'node:zlib';
import { SkepError } from '../../src/base/index.ts';

export interface RecordedMap {
  readonly type: number;
  readonly key_size: number;
  readonly value_size: number;
  readonly max_entries: number;
  readonly flags: number;
  readonly name?: string;
  readonly map_extra?: number;
  /** File of its BTF. */
  readonly btf?: string;
  readonly btf_key_type_id?: number;
  readonly btf_value_type_id?: number;
  readonly inner?: RecordedMap;
  readonly frozen?: boolean;
  /** Keys and values in hex; or the index of a map or program that is the value. */
  readonly init?: readonly {
    readonly key: string;
    readonly value?: string;
    readonly map?: number;
    readonly program?: number;
  }[];
}

/** A program that is loaded before, for a program array. */
export interface RecordedProgram {
  readonly prog_type: number;
  readonly insns: string;
  /** Which map each of these instructions names. */
  readonly map_refs: readonly (readonly [insn: number, map: number])[];
}

export interface RecordedRun {
  readonly data_in: string;
  readonly repeat: number;
  readonly retval: number;
  readonly data_out: string;
}

/** What Linux said. */
export interface Answer {
  readonly verdict: 'accept' | 'reject';
  readonly errno: number;
  readonly log1?: string | undefined;
  /** Of logs that are too long, the first and the last bytes. */
  readonly log1_head?: string | undefined;
  readonly log1_tail?: string | undefined;
  readonly log2?: string | undefined;
  readonly processed: number;
}

export interface ExamRecord {
  readonly id: string;
  readonly name: string;
  readonly prog_type: number;
  readonly expected_attach_type: number;
  readonly prog_flags: number;
  readonly license: string;
  /** Hex. In a two-slot load of source 1 or 2 the immediate is an index into maps, if it is one. */
  readonly insns: string;
  readonly maps: readonly RecordedMap[];
  readonly programs?: readonly RecordedProgram[];
  readonly btf?: string;
  readonly func_info?: string;
  readonly line_info?: string;
  readonly attach_btf_id?: number;
  /** What the loader may do; everything, where they are absent. */
  readonly capabilities?: readonly string[];
  readonly linux: Answer;
  readonly runs?: readonly RecordedRun[];
}

/** A file of records, and what lies beside it. */
export class ExamSet {
  readonly file: string;
  /** Its name without endings. */
  readonly name: string;
  readonly #blobs = new Map<string, Uint8Array>();

  constructor(file: string) {
    this.file = file;
    this.name = basename(file).replace(/\.jsonl\.gz$/, '');
  }

  /** The records in order. */
  async *records(): AsyncGenerator<ExamRecord> {
    let number = 0;
    try {
      const text = createReadStream(this.file)
        .on('error', (error) => text.destroy(error))
        .pipe(createGunzip());
      for await (const line of createInterface({ input: text, crlfDelay: Number.POSITIVE_INFINITY })) {
        number++;
        if (line !== '') yield checked(JSON.parse(line));
      }
    } catch (cause) {
      if (cause instanceof SkepError && cause.code !== 'record') throw cause;
      const where = number === 0 ? this.file : `${this.file}, line ${number}`;
      const message = `not a record of an exam: ${(cause as Error).message}`;
      throw new SkepError({ code: 'exam', where, message, cause });
    }
  }

  /** The bytes of a file in blobs/. */
  blob(name: string): Uint8Array {
    const known = this.#blobs.get(name);
    if (known !== undefined) return known;
    const path = join(dirname(this.file), 'blobs', basename(name));
    if (!existsSync(path))
      throw new SkepError({ code: 'exam', where: this.file, message: `there is no ${path}` });
    const bytes = new Uint8Array(readFileSync(path));
    this.#blobs.set(name, bytes);
    return bytes;
  }

  /** The BTF of the kernel that recorded, where it lies beside the records. */
  kernelBtf(): Uint8Array | undefined {
    const folder = dirname(this.file);
    const name = readdirSync(folder).find((entry) => /^vmlinux.*\.btf\.gz$/.test(entry));
    if (name === undefined) return undefined;
    const known = this.#blobs.get(name);
    if (known !== undefined) return known;
    const bytes = new Uint8Array(gunzipSync(readFileSync(join(folder, name))));
    this.#blobs.set(name, bytes);
    return bytes;
  }
}

/** Files as they are given; of a folder, those that hold records of programs. */
export async function examFiles(paths: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    if (!existsSync(path))
      throw new SkepError({ code: 'exam', where: path, message: 'there is no such file' });
    if (!statSync(path).isDirectory()) files.push(path);
    else {
      const inside = readdirSync(path).filter((name) => name.endsWith('.jsonl.gz'));
      for (const name of inside.sort())
        if (await holdsRecords(join(path, name))) files.push(join(path, name));
    }
  }
  return files;
}

async function holdsRecords(file: string): Promise<boolean> {
  try {
    for await (const _ of new ExamSet(file).records()) return true;
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
  }
  return false;
}

const isHex = (value: unknown): boolean =>
  typeof value === 'string' && value.length % 2 === 0 && !/[^0-9a-f]/i.test(value);
const isVerdict = (value: unknown): boolean => value === 'accept' || value === 'reject';

/** Of a value that was JSON, what must be there. */
function checked(value: unknown): ExamRecord {
  const record = (typeof value === 'object' && value !== null ? value : {}) as Partial<ExamRecord>;
  const fail = (field: string): never => {
    throw new SkepError({ code: 'record', message: `no ${field} in it` });
  };
  if (typeof record.id !== 'string') fail('id');
  if (typeof record.prog_type !== 'number') fail('prog_type');
  if (!isHex(record.insns)) fail('insns in hex');
  if (!Array.isArray(record.maps)) fail('list of maps');
  if (!isVerdict(record.linux?.verdict)) fail('verdict of Linux');
  return { expected_attach_type: 0, prog_flags: 0, license: '', name: '', ...record } as ExamRecord;
}
