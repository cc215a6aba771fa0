/**
 * Compiled objects on both kernels, through the same loader: each program by itself, with the maps of its object.
 * A program that Linux was never asked about (the loader stopped before, or this kernel forbids its kind) is set
 * apart with the reason.
 */

import { SkepError } from '../../src/base/index.ts';
import type { LinuxKernel } from '../../src/linux-kernel.ts';
import type { CollectionSpec, MapSpec } from '../../src/object/index.ts';
import { BpfError, errnos } from '../../src/uapi/errno.ts';
import { mapTypeName } from '../../src/uapi/map-types.ts';
import { type Kernel, type KernelHandle, LoadError } from '../../src/user/index.ts';
import { masked, processedIn, verificationMs } from './compare.ts';
import { median, type Tally } from './tally.ts';
import { compareLog2, compareVerdicts, crashed, note, type Verdict } from './verdict.ts';

export interface Kernels {
  readonly embedded: Kernel;
  readonly linux: LinuxKernel;
  readonly kernelBtf: Uint8Array | undefined;
}

export interface ObjectGrading extends Kernels {
  readonly tally: Tally;
  /** Programs that Linux was not asked about, and why. */
  readonly unasked: string[];
  /** Prints both logs at a level. */
  readonly show?: 1 | 2 | undefined;
}

const LOADS = 5;
const STATISTICS = 4;
const SLOW_MS = 10_000;
/** Logs of more instructions are not compared at level 2. */
const LOG2_PROCESSED_MAX = 100_000;
/** Bytes that a map may take up: verdicts do not depend on how many elements it has room for. */
const MAP_MAX = 8 << 20;

type Loaded = Verdict | { readonly unasked: string };

/** Loads one program of an object on both kernels, and compares. */
export function gradeProgram(spec: CollectionSpec, name: string, title: string, at: ObjectGrading): void {
  const { tally, linux, embedded, kernelBtf } = at;
  const alone = aloneIn(spec, name);
  const load = (kernel: KernelHandle, logLevel: number): Loaded =>
    loadOnce(kernel, alone, { logLevel, name, kernelBtf });
  const theirs = load(linux, 1);
  if ('unasked' in theirs || isForbidden(theirs)) {
    at.unasked.push(`${title}: ${'unasked' in theirs ? theirs.unasked : 'EPERM: this kernel forbids it'}`);
    return;
  }
  tally.programs++;
  try {
    const started = performance.now();
    const ours = load(embedded, 1);
    const ms = performance.now() - started;
    if (ms > SLOW_MS) note(tally, 'slow', `${title}: ${(ms / 1000).toFixed(1)} s`);
    if (at.show !== undefined) show(load(embedded, at.show), load(linux, at.show));
    if ('unasked' in ours) {
      note(tally, 'stricter', `${title}: cannot be set up: ${ours.unasked}`);
      return;
    }
    const sameLog = masked(ours.log) === masked(theirs.log);
    if (!compareVerdicts(tally, { title, ours, linux: theirs, sameLog })) return;
    if (theirs.processed <= LOG2_PROCESSED_MAX) {
      compareLog2(tally, { title, ours: logOf(load(embedded, 2)), linux: logOf(load(linux, 2)) });
    }
    const times = (kernel: KernelHandle): number =>
      median(Array.from({ length: LOADS }, () => verificationMs(logOf(load(kernel, STATISTICS))) ?? 0));
    tally.times.push({ title, ours: times(embedded), linux: times(linux) });
  } catch (error) {
    crashed(tally, title, error);
  }
}

const logOf = (loaded: Loaded): string => ('unasked' in loaded ? '' : loaded.log);

/** What a kernel that is locked down says of fentry, LSM and others, whatever the program. */
const isForbidden = ({ accepted, errno, log }: Verdict): boolean =>
  !accepted && errno === errnos.EPERM && log === '';

function loadOnce(
  kernel: KernelHandle,
  spec: CollectionSpec,
  { logLevel, name, kernelBtf }: { logLevel: number; name: string; kernelBtf: Uint8Array | undefined },
): Loaded {
  try {
    const collection = kernel.load(spec, { logLevel, kernelBtf });
    try {
      const { log } = collection.program(name);
      return { accepted: true, errno: 0, log, processed: processedIn(log) };
    } finally {
      collection.close();
    }
  } catch (error) {
    if (error instanceof LoadError) {
      const { errno, log } = error;
      return { accepted: false, errno: errnos[errno], log, processed: processedIn(log) };
    }
    if (error instanceof BpfError || error instanceof SkepError) return { unasked: error.line };
    throw error;
  }
}

/** A spec with one of its programs; its maps have room for something, and hold no programs. */
function aloneIn(spec: CollectionSpec, name: string): CollectionSpec {
  const program = spec.programs[name];
  if (program === undefined)
    throw new SkepError({ code: 'program', message: `there is no program '${name}'` });
  const maps = Object.entries(spec.maps).map(([mapName, map]) => {
    const contents = map.contents.filter(({ value }) => !('program' in value));
    return [mapName, { ...sized(map), pinning: 'none' as const, contents }] as const;
  });
  return { ...spec, programs: { [name]: { ...program, autoload: true } }, maps: Object.fromEntries(maps) };
}

/** Kinds that keep elements elsewhere: they are made with no entries, or the loader sets them. */
const withoutEntries = ['perf_event_array', 'sk_storage', 'inode_storage', 'task_storage', 'cgrp_storage'];
const alsoWithout = [
  'cgroup_storage',
  'percpu_cgroup_storage',
  'struct_ops',
  'ringbuf',
  'user_ringbuf',
  'arena',
];
/** What programs that come with a loader of their own set before they load. */
const SOME_ENTRIES = 16;
const STACK_BYTES = 127 * 8;

/** A map with room for some elements, but not for very many. */
function sized(map: MapSpec): MapSpec {
  const kind = mapTypeName(map.type) ?? '';
  if (withoutEntries.includes(kind) || alsoWithout.includes(kind)) return map;
  const valueSize = kind === 'stack_trace' && map.valueSize === 0 ? STACK_BYTES : map.valueSize;
  const most = 2 ** Math.floor(Math.log2(MAP_MAX / (map.keySize + valueSize + 64)));
  const maxEntries = Math.min(map.maxEntries || SOME_ENTRIES, Math.max(most, 1));
  return { ...map, valueSize, maxEntries };
}

function show(ours: Loaded, theirs: Loaded): void {
  const text = (loaded: Loaded): string => ('unasked' in loaded ? loaded.unasked : loaded.log);
  console.log(`--- ours\n${text(ours)}\n--- Linux\n${text(theirs)}`);
}
