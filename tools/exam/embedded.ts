/**
 * A record on the embedded kernel: whether its maps can be made there, what the verifier says of its program, and what
 * its runs come to.
 */
import { fromHex } from '../../src/base/index.ts';
import { readBtf } from '../../src/btf/index.ts';
import { EmbeddedKernel } from '../../src/kernel/index.ts';
import { BpfError, type Errno } from '../../src/uapi/errno.ts';
import {
  type Capabilities,
  type MapFacts,
  type VerifierInput,
  type VerifierResult,
  verify,
} from '../../src/verifier/index.ts';
import type { ExamRecord, ExamSet, RecordedMap } from './record.ts';
import { runResult, type SetUp, setUp } from './setup.ts';

/** Of the machine that recorded. */
const RECORDED_CPUS = 2;
const STANDARD_STREAMS = 3;
const ARRAY = 2;

const gplLicences = [
  ...['GPL', 'GPL v2', 'GPL and additional rights'],
  ...['Dual BSD/GPL', 'Dual MIT/GPL', 'Dual MPL/GPL'],
];

const kernels = new Map<Uint8Array | undefined, EmbeddedKernel>();

/** The kernel that all records with one kernel's types are set up on, one after another. */
function kernelWith(btf: Uint8Array | undefined): EmbeddedKernel {
  const made =
    kernels.get(btf) ?? new EmbeddedKernel({ cpus: RECORDED_CPUS, ...(btf === undefined ? {} : { btf }) });
  kernels.set(btf, made);
  return made;
}

/** Sets the record up, hands it to `use`, and leaves nothing behind; what refuses the setup is handed back. */
export function onEmbedded<T>(
  record: ExamRecord,
  set: ExamSet,
  use: (process: ReturnType<EmbeddedKernel['spawn']>, made: SetUp) => T,
): T | { readonly refused: string } {
  const process = kernelWith(set.kernelBtf()).spawn();
  try {
    return use(process, setUp(process, record, set));
  } catch (error) {
    if (error instanceof BpfError) return { refused: error.line };
    throw error;
  } finally {
    process.end();
  }
}

export interface Asked {
  readonly logLevel: number;
  readonly kernelBtf: Uint8Array | undefined;
  readonly cpus?: number | undefined;
}

/** What the verifier says, with a log of the level. */
export function verifyRecord(record: ExamRecord, set: ExamSet, options: Asked): VerifierResult {
  return verify(inputOf(record, set, options));
}

/** What the verifier is asked: bytes and maps that a kernel has at hand before it verifies. */
export function inputOf(record: ExamRecord, set: ExamSet, options: Asked): VerifierInput {
  const maps = record.maps.map((map, index) => mapFacts(map, { index, set }));
  return {
    insns: fromHex(record.insns),
    progType: record.prog_type,
    expectedAttachType: record.expected_attach_type,
    progFlags: record.prog_flags,
    gplCompatible: gplLicences.includes(record.license),
    capabilities: capabilitiesOf(record),
    resolveMap: (fd): MapFacts | Errno => maps[fd] ?? (fd >= 0 && fd < STANDARD_STREAMS ? 'EINVAL' : 'EBADF'),
    btf: record.btf === undefined ? undefined : set.blob(record.btf),
    funcInfo: record.func_info === undefined ? undefined : fromHex(record.func_info),
    lineInfo: record.line_info === undefined ? undefined : fromHex(record.line_info),
    attachBtfId: record.attach_btf_id,
    kernelBtf: options.kernelBtf,
    logLevel: options.logLevel,
    cpus: options.cpus ?? RECORDED_CPUS,
  };
}

function mapFacts(map: RecordedMap, at: { index: number; set: ExamSet }): MapFacts {
  const address = 0x1000_0000 + at.index * 0x10_0000;
  const value = map.init?.[0]?.value;
  const bytes = value === undefined ? new Uint8Array(map.value_size) : fromHex(value);
  return {
    handle: map,
    id: at.index + 1,
    name: map.name ?? '',
    type: map.type,
    keySize: map.key_size,
    valueSize: map.value_size,
    maxEntries: map.max_entries,
    flags: map.flags,
    frozen: map.frozen === true,
    innerMap: map.inner === undefined ? undefined : mapFacts(map.inner, { ...at, index: at.index + 64 }),
    btf: map.btf === undefined ? undefined : readBtf(at.set.blob(map.btf)),
    btfKeyTypeId: map.btf_key_type_id,
    btfValueTypeId: map.btf_value_type_id,
    address,
    // Loaded by libbpf, which maps arenas first.
    hasUserAddress: true,
    valueAddress: map.type === ARRAY && map.max_entries === 1 ? address + 0x1000 : undefined,
    readConstant: (offset, size) =>
      offset >= 0 && offset + size <= bytes.length ? bytes.subarray(offset, offset + size) : undefined,
  };
}

function capabilitiesOf({ capabilities }: ExamRecord): Capabilities {
  if (capabilities === undefined) return { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true };
  const has = (name: string): boolean => capabilities.some((given) => given.toUpperCase() === `CAP_${name}`);
  return { bpf: has('BPF'), perfmon: has('PERFMON'), netAdmin: has('NET_ADMIN'), sysAdmin: has('SYS_ADMIN') };
}

/** What each run comes to. */
export function embeddedRuns(record: ExamRecord, set: ExamSet): string[] {
  const runs = record.runs ?? [];
  const results = onEmbedded(record, set, (process, { attr }) => {
    const fd = process.bpf('progLoad', attr);
    return runs.map((run) => runResult(process, fd, run));
  });
  return Array.isArray(results) ? results : runs.map(() => results.refused);
}
