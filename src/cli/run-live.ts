/**
 * `skep run --kernel linux`: an object attached for real, until Ctrl-C or for as long as a command runs. What its
 * programs write into ring buffers, perf buffers and the trace pipe is printed as it comes; nothing stays behind.
 */
import { once } from 'node:events';
import { SkepError } from '../base/errors.ts';
import type { Value } from '../btf/index.ts';
import { decodeLenient } from '../isa/index.ts';
import type { CollectionSpec } from '../object/index.ts';
import { helpers } from '../uapi/helpers.ts';
import {
  type AttachOptions,
  type Map as BpfMap,
  type Collection,
  type KernelHandle,
  type Link,
  setVariables,
} from '../user/index.ts';
import { usageError } from './args.ts';
import { calledPrograms, hookOf, parseHook } from './attach.ts';
import type { Invocation } from './invocation.ts';
import { openKernel } from './kernel.ts';
import { mapContents, printMaps } from './maps.ts';
import { inFile, openFile } from './open.ts';
import { loadWithSettings } from './session.ts';
import { untilInterrupted } from './signals.ts';
import { formatValue } from './values.ts';
import { type WaitingCommand, waitingCommand } from './waiting-command.ts';

/** Records and lines that a JSON report holds. */
const MOST = 65536;

/** By name: what each program is attached to; undefined where it is not. */
type Attached = Map<string, string | undefined>;

interface Live {
  readonly invocation: Invocation;
  readonly kernel: KernelHandle;
  readonly spec: CollectionSpec;
  readonly collection: Collection;
}

/** What came while it ran. */
interface Seen {
  readonly records: { map: string; record: Value }[];
  readonly trace: string[];
  omitted: number;
}

export async function runLive(invocation: Invocation): Promise<number> {
  const unfit = ['pcap', 'strace', 'engine', 'interp'].find((option) => invocation.has(option));
  if (unfit !== undefined) {
    throw usageError(`'--${unfit}' with --kernel linux`, 'programs there run on what happens: leave it out');
  }
  const { file } = invocation;
  const spec = openFile(file);
  const kernel = await openKernel(invocation);
  const command = invocation.trailing === undefined ? undefined : waitingCommand(invocation);
  try {
    return await runWith(invocation, { spec, kernel, command });
  } finally {
    command?.end();
  }
}

interface Parts {
  readonly spec: CollectionSpec;
  readonly kernel: KernelHandle;
  readonly command: WaitingCommand | undefined;
}

async function runWith(invocation: Invocation, { spec, kernel, command }: Parts): Promise<number> {
  const { file } = invocation;
  const pid = invocation.integer('pid', 1);
  // A constant of that name is how programs of tracepoints are told whom to look at.
  const target = pid ?? command?.pid;
  if (target !== undefined && Object.hasOwn(spec.variables, 'target_pid'))
    setVariables(spec, { target_pid: target });
  const collection = inFile(file, () => loadWithSettings(kernel, spec, invocation));
  const live: Live = { invocation, kernel, spec, collection };
  const links: Link[] = [];
  try {
    const readers = readersOf(live);
    const attached = inFile(file, () => attachAll(live, pid, links));
    if (!invocation.json) {
      for (const [name, place] of attached)
        invocation.note(
          place === undefined ? `program '${name}' is loaded, not attached` : `${name} → ${place}`,
        );
    }
    const seen: Seen = { records: [], trace: [], omitted: 0 };
    const code = await watch(live, { readers, command }, seen);
    for (const link of links.splice(0)) link.close();
    report(live, attached, seen);
    return code;
  } finally {
    for (const link of links) link.close();
    collection.close();
  }
}

/**
 * Attaches every program but those that others call, by section or as `--attach` says.
 * @throws {SkepError} where none can be attached
 */
function attachAll({ invocation, spec, collection }: Live, pid: number | undefined, links: Link[]): Attached {
  const hooks = invocation.values('attach').map(parseHook);
  for (const { program } of hooks) if (program !== undefined) collection.program(program);
  const called = calledPrograms(spec);
  const options: AttachOptions = {
    device: invocation.value('device'),
    cgroup: invocation.value('cgroup'),
    pid,
  };
  const attached: Attached = new Map();
  let reason: SkepError | undefined;
  for (const [name, program] of Object.entries(collection.programs)) {
    attached.set(name, undefined);
    const hook = hookOf(hooks, name, program);
    if (hook === undefined && called.has(name)) continue;
    try {
      links.push(
        program.attach(hook?.target === undefined ? options : { ...options, tracepoint: hook.target }),
      );
      const place = hook?.target ?? program.attachTo ?? options.device ?? options.cgroup;
      attached.set(name, place === undefined ? 'attached' : String(place));
    } catch (error) {
      if (!(error instanceof SkepError) || error.code !== 'attach') throw error;
      reason ??= error;
    }
  }
  if (links.length === 0 && reason !== undefined) throw reason;
  if (reason !== undefined) invocation.note(reason.line);
  return attached;
}

type Reader = (onRecord: (record: Value) => void, signal: AbortSignal) => Promise<void>;

/** A reader for each buffer of the object; `--type [MAP=]TYPE` says what its records are. */
function readersOf({ invocation, collection }: Live): Map<string, Reader> {
  const types = invocation.values('type').map((text) => {
    const [, map, type = ''] = /^(?:([^=]+)=)?(.*)$/.exec(text) ?? [];
    if (map !== undefined) collection.map(map);
    return { map, type };
  });
  const readers = new Map<string, Reader>();
  for (const [name, map] of Object.entries(collection.maps)) {
    const type = types.find((each) => (each.map ?? name) === name)?.type;
    const reader = readerOf(invocation, { name, map, type });
    if (reader !== undefined) readers.set(name, reader);
  }
  return readers;
}

function readerOf(
  invocation: Invocation,
  { name, map, type }: { name: string; map: BpfMap; type: string | undefined },
): Reader | undefined {
  if (map.typeName === 'ringbuf') {
    const ring = map.ringBuffer<Value>({ type });
    return async (onRecord, signal) => {
      for await (const record of ring.records({ signal })) onRecord(record);
      ring.drain(onRecord);
      ring.close();
    };
  }
  // Stacks of maps of that kind may be something else's; only an array of 4-byte values has events.
  if (map.typeName !== 'perf_event_array') return undefined;
  const onLost = (cpu: number, count: number): void =>
    invocation.note(`${name}: ${count} records lost on CPU ${cpu}`);
  const perf = map.perfBuffer<Value>({ type, onLost });
  return async (onRecord, signal) => {
    for await (const { data } of perf.records({ signal })) onRecord(data);
    perf.drain(({ data }) => onRecord(data));
    perf.close();
  };
}

/** bpf_trace_printk and bpf_trace_vprintk write to a pipe that is one for the machine: it is read for them only. */
const printers: readonly number[] = [helpers.trace_printk.id, helpers.trace_vprintk.id];

function prints(spec: CollectionSpec): boolean {
  return Object.values(spec.programs).some(({ insns }) =>
    decodeLenient(insns).some(
      (insn) => insn?.op === 'call' && insn.kind === 'helper' && printers.includes(insn.imm),
    ),
  );
}

/** Prints what comes until Ctrl-C, or until the command after -- has ended; the exit code. */
async function watch(
  { invocation, kernel, spec }: Live,
  { readers, command }: { readers: ReadonlyMap<string, Reader>; command: WaitingCommand | undefined },
  seen: Seen,
): Promise<number> {
  const show = (list: unknown[], entry: unknown, line: () => string): void => {
    if (!invocation.json) invocation.print(line());
    else if (list.length < MOST) list.push(entry);
    else seen.omitted++;
  };
  return untilInterrupted(async (interrupted) => {
    const done = new AbortController();
    interrupted.addEventListener('abort', () => done.abort(), { once: true });
    const reading = [...readers].map(([map, read]) =>
      read(
        (record) => show(seen.records, { map, record }, () => `${map}: ${formatValue(record)}`),
        done.signal,
      ),
    );
    if (prints(spec)) {
      reading.push(
        (async () => {
          for await (const line of kernel.tracePipe({ signal: done.signal }))
            show(seen.trace, line, () => line);
        })(),
      );
    }
    const code = command === undefined ? interruption(invocation, done.signal) : command.run(done.signal);
    await Promise.race([code, ...reading]);
    const result = await code;
    done.abort();
    await Promise.all(reading);
    return result;
  });
}

/** Resolves with the exit code 0 at Ctrl-C. */
async function interruption({ json, streams }: Invocation, signal: AbortSignal): Promise<number> {
  if (!json) streams.stderr.write('skep: attached; Ctrl-C ends it\n');
  if (signal.aborted) return 0;
  // Nothing else may keep the process alive.
  const alive = setInterval(() => {}, 1 << 30);
  await once(signal, 'abort');
  clearInterval(alive);
  return 0;
}

function report({ invocation, collection }: Live, attached: Attached, seen: Seen): void {
  const maps = invocation.has('dump-maps')
    ? Object.entries(collection.maps).filter(([, map]) => canList(map))
    : undefined;
  if (invocation.json) {
    invocation.printJson({
      programs: [...attached].map(([name, target]) => ({ name, attached: target ?? null })),
      records: seen.records,
      trace: seen.trace,
      traceOmitted: seen.omitted,
      maps: maps?.map(([name, map]) => mapContents(name, map)),
    });
  } else if (maps !== undefined) printMaps(invocation, maps);
}

const buffers: readonly string[] = [
  'ringbuf',
  'user_ringbuf',
  'perf_event_array',
  'queue',
  'stack',
  'bloom_filter',
  'arena',
];

function canList({ typeName }: BpfMap): boolean {
  return !buffers.includes(typeName);
}
