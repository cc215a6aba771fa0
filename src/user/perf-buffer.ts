/**
 * Reading a perf buffer: a perf event a CPU in a BPF_MAP_TYPE_PERF_EVENT_ARRAY, each with mapped pages that
 * bpf_perf_event_output() writes into (perf_event_open(2), "MMAP layout"). In: the map. Out: records with their
 * CPU, in the order of each CPU, and how many samples found no room. Leaves out order between CPUs: there is none.
 *
 *      struct perf_event_mmap_page: … 1024 data_head │ 1032 data_tail │ … then 2^n pages of data
 *      record: u32 type │ u16 misc │ u16 size │ …; a sample: u32 length │ bytes; one of losses: u64 id │ u64 lost
 */
import { BpfError } from '../uapi/errno.ts';
import type { Mapping, System, Watch } from '../uapi/seam.ts';
import { closeAll, closeWhenForgotten, type Handle } from './handle.ts';
import { breathe, closedError, type DecodeRecord, type WaitOptions, waitUntil } from './reading.ts';

const PERF_TYPE_SOFTWARE = 1;
const PERF_COUNT_SW_BPF_OUTPUT = 10n;
const PERF_SAMPLE_RAW = 1n << 10n;
const PERF_RECORD_LOST = 2;
const PERF_RECORD_SAMPLE = 9;
const DATA_HEAD = 1024;
const DATA_TAIL = 1032;
/** Bytes of struct perf_event_header. */
const HEADER = 8;

/** After how many records a loop lets timers and other readers have their turn. */
const TURNS = 1024;

export interface PerfRecord<T> {
  readonly cpu: number;
  readonly data: T;
}

export interface PerfSource<T> {
  readonly system: System;
  /** The perf event array, and how many CPUs have a place in it. */
  readonly map: Handle;
  readonly entries: number;
  /** Pages of data a CPU: a power of two. */
  readonly pages: number;
  /** Told of samples that found no room. */
  readonly onLost: ((cpu: number, count: number) => void) | undefined;
  readonly decode: DecodeRecord<T>;
}

/** The buffer of one CPU. */
class CpuBuffer {
  readonly cpu: number;
  readonly event: number;
  readonly #system: System;
  readonly #mapping: Mapping;
  readonly #head: Int32Array;
  readonly #tail: Int32Array;
  readonly #wholeTail: BigInt64Array;
  readonly #data: Uint8Array;
  readonly #view: DataView;
  /** A record that crosses the end, put together. */
  #joined = new Uint8Array(256);

  constructor(system: System, cpu: number, pages: number) {
    this.#system = system;
    this.cpu = cpu;
    this.event = system.perfEventOpen({
      type: PERF_TYPE_SOFTWARE,
      config: PERF_COUNT_SW_BPF_OUTPUT,
      sampleType: PERF_SAMPLE_RAW,
      samplePeriod: 1n,
      wakeupEvents: 1,
      pid: -1,
      cpu,
    });
    const page = system.pageSize();
    try {
      const length = page * (1 + pages);
      this.#mapping = system.mmap(this.event, { length, offset: 0, writable: true });
    } catch (error) {
      system.close(this.event);
      throw error;
    }
    const { buffer, byteOffset } = this.#mapping.bytes;
    this.#head = new Int32Array(buffer, byteOffset + DATA_HEAD, 2);
    this.#tail = new Int32Array(buffer, byteOffset + DATA_TAIL, 2);
    this.#wholeTail = new BigInt64Array(buffer, byteOffset + DATA_TAIL, 1);
    this.#data = new Uint8Array(buffer, byteOffset + page, page * pages);
    this.#view = new DataView(buffer, byteOffset + page, page * pages);
  }

  isEmpty(): boolean {
    return Atomics.load(this.#head, 0) === Atomics.load(this.#tail, 0);
  }

  /** Calls `visit` with the samples that are there, at most `limit`; how many there were. */
  drain(visit: (bytes: Uint8Array) => void, limit: number, onLost: (count: number) => void): number {
    const mask = this.#data.length - 1;
    const end = Atomics.load(this.#head, 0);
    const first = Atomics.load(this.#tail, 0);
    let position = first;
    let count = 0;
    try {
      while (position !== end && count < limit) {
        // Records are padded to 8, so a header never crosses the end.
        const at = position & mask;
        const type = this.#view.getUint32(at, true);
        const size = this.#view.getUint16(at + 6, true);
        if (size < HEADER) break;
        position = (position + size) | 0;
        if (type === PERF_RECORD_SAMPLE) {
          count++;
          const body = this.#bytes(at, size).subarray(HEADER);
          visit(body.subarray(4, 4 + new DataView(body.buffer, body.byteOffset, 4).getUint32(0, true)));
        } else if (type === PERF_RECORD_LOST) {
          const body = this.#bytes(at, size);
          onLost(Number(new DataView(body.buffer, body.byteOffset, size).getBigUint64(HEADER + 8, true)));
        }
      }
    } finally {
      const bytes = BigInt((position - first) >>> 0);
      if (bytes !== 0n && this.#mapping.bytes.length !== 0)
        Atomics.store(this.#wholeTail, 0, Atomics.load(this.#wholeTail, 0) + bytes);
    }
    return count;
  }

  close(): void {
    this.#mapping.unmap();
    this.#system.close(this.event);
  }

  #bytes(at: number, size: number): Uint8Array {
    const room = this.#data.length - at;
    if (size <= room) return this.#data.subarray(at, at + size);
    if (this.#joined.length < size) this.#joined = new Uint8Array(1 << 16);
    this.#joined.set(this.#data.subarray(at));
    this.#joined.set(this.#data.subarray(0, size - room), room);
    return this.#joined.subarray(0, size);
  }
}

/**
 * A reader of a perf buffer; one at a time. Made by `map.perfBuffer()`. A sample's bytes may have up to 7 more at
 * their end than the program gave: the kernel pads them.
 */
export class PerfBuffer<T = Uint8Array> implements AsyncIterable<PerfRecord<T>> {
  readonly #source: PerfSource<T>;
  readonly #cpus: CpuBuffer[] = [];
  readonly #watch: Watch;
  readonly #remember: () => void;
  #lost = 0;
  #closed = false;
  /** Which CPU is read next: none waits for long behind a busy one. */
  #turn = 0;

  /**
   * Opens an event on every CPU that is online and has a place in the map.
   * @throws {BpfError} EMFILE, ENOMEM, EACCES or EPERM (perf_event_paranoid, RLIMIT_MEMLOCK)
   */
  constructor(source: PerfSource<T>) {
    const { system, map } = source;
    this.#source = source;
    try {
      for (let cpu = 0; cpu < Math.min(source.entries, system.possibleCpus()); cpu++) {
        const buffer = openCpu(system, cpu, source.pages);
        if (buffer === undefined) continue;
        this.#cpus.push(buffer);
        system.bpf('mapUpdateElem', { mapFd: map.fd, key: u32(cpu), value: u32(buffer.event), flags: 0n });
      }
      this.#watch = system.watch(this.#cpus.map(({ event }) => event));
    } catch (error) {
      this.#unset();
      closeAll(this.#cpus);
      throw error;
    }
    const cpus = this.#cpus;
    this.#remember = closeWhenForgotten(this, `the perf buffer of ${map.what}`, () => closeAll(cpus));
  }

  /** Samples that found no room, as far as they are known: the kernel says so with the next one that does. */
  get lost(): number {
    return this.#lost;
  }

  /**
   * Calls `visit` with every sample that is there, CPU by CPU, at most `limit`; how many there were. What `visit`
   * throws comes through, and its sample counts as read.
   */
  drain(visit: (record: PerfRecord<T>) => void, limit = Number.POSITIVE_INFINITY): number {
    if (this.#closed) throw closedError(this.#source.map.what);
    const { decode, onLost } = this.#source;
    let count = 0;
    for (let i = 0; i < this.#cpus.length && count < limit && !this.#closed; i++) {
      const buffer = this.#cpus[(this.#turn + i) % this.#cpus.length] as CpuBuffer;
      const { cpu } = buffer;
      count += buffer.drain(
        (bytes) => visit({ cpu, data: decode(bytes, 0, bytes.length) }),
        limit - count,
        (lost) => {
          this.#lost += lost;
          onLost?.(cpu, lost);
        },
      );
    }
    this.#turn++;
    return count;
  }

  /** Resolves with true as soon as a record is there, with false at the timeout, the abort, or when it is closed. */
  wait(options: WaitOptions = {}): Promise<boolean> {
    const isReady = (): boolean => !this.#closed && this.#cpus.some((buffer) => !buffer.isEmpty());
    return waitUntil(isReady, this.#watch, options);
  }

  /** Every sample as it comes, until aborted or closed. One is taken when it is asked for. */
  async *records({ signal }: { signal?: AbortSignal | undefined } = {}): AsyncGenerator<PerfRecord<T>> {
    const taken: PerfRecord<T>[] = [];
    const take = (record: PerfRecord<T>): void => {
      taken.push(record);
    };
    for (let turns = 1; !this.#closed && !signal?.aborted; turns++) {
      if (this.drain(take, 1) === 0) {
        await this.wait({ signal });
        continue;
      }
      yield taken.pop() as PerfRecord<T>;
      if (turns % TURNS === 0) await breathe();
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<PerfRecord<T>> {
    return this.records();
  }

  /** Takes the events out of the map and closes them: programs write nowhere from then on. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#remember();
    this.#watch.close();
    this.#unset();
    closeAll(this.#cpus);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #unset(): void {
    const { system, map } = this.#source;
    if (map.closed) return;
    for (const { cpu } of this.#cpus) {
      try {
        system.bpf('mapDeleteElem', { mapFd: map.fd, key: u32(cpu) });
      } catch (error) {
        // Somebody else took it out, or the process has ended.
        if (!(error instanceof BpfError)) throw error;
      }
    }
  }
}

/** The buffer of a CPU; undefined for one that is not online. */
function openCpu(system: System, cpu: number, pages: number): CpuBuffer | undefined {
  try {
    return new CpuBuffer(system, cpu, pages);
  } catch (error) {
    if (error instanceof BpfError && error.errno === 'ENODEV') return undefined;
    throw error;
  }
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
