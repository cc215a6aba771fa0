/**
 * A record set up on a kernel, through the seam: its maps with what they hold, the programs that they hold, its
 * BTF; and then what PROG_LOAD is asked. The same for the embedded kernel and for Linux.
 */
import { fromHex, SkepError } from '../../src/base/index.ts';
import type { BpfAttr } from '../../src/uapi/commands.ts';
import { BpfError } from '../../src/uapi/errno.ts';
import { mapTypes } from '../../src/uapi/map-types.ts';
import type { Mapping, System } from '../../src/uapi/seam.ts';
import type { ExamRecord, ExamSet, RecordedMap, RecordedRun } from './record.ts';

export interface SetUp {
  readonly mapFds: readonly number[];
  readonly attr: BpfAttr<'progLoad'>;
  close(): void;
}

const LD_IMM64 = 0x18;
const MAP_FD = 1;
const MAP_VALUE = 2;
const PAGE = 4096;
const PERCPU_TYPES = [5, 6, 10, 21];

/** @throws {BpfError} what refused the setup */
export function setUp(system: System, record: ExamRecord, set: ExamSet): SetUp {
  const fds: number[] = [];
  const mappings: Mapping[] = [];
  const own = (fd: number): number => {
    fds.push(fd);
    return fd;
  };
  const close = (): void => {
    for (const mapping of mappings.splice(0)) mapping.unmap();
    for (const fd of fds.splice(0)) system.close(fd);
  };
  try {
    const btfFds = new Map<string, number>();
    const btf = (name: string): number => {
      const bytes = set.blob(name);
      const fd = btfFds.get(name) ?? own(system.bpf('btfLoad', { btf: bytes, btfSize: bytes.length }));
      btfFds.set(name, fd);
      return fd;
    };
    const make = (map: RecordedMap): number => {
      const inner = map.inner === undefined ? undefined : make(map.inner);
      return own(system.bpf('mapCreate', mapAttr(map, { inner, btf })));
    };
    const mapFds = record.maps.map(make);
    for (const [index, map] of record.maps.entries()) {
      if (map.type !== mapTypes.arena.id || map.map_extra !== undefined) continue;
      mappings.push(...mapArena(system, { fd: mapFds[index]!, pages: map.max_entries }));
    }
    const programFds = (record.programs ?? []).map((program) => {
      const insns = fromHex(program.insns);
      const refs = new Map(program.map_refs);
      patchMaps(insns, (slot) => mapFds[refs.get(slot) ?? -1]);
      const { prog_type: progType } = program;
      return own(system.bpf('progLoad', { progType, insns, insnCnt: insns.length / 8, license: 'GPL' }));
    });
    for (const [index, map] of record.maps.entries()) {
      fill(system, map, { fd: mapFds[index] as number, mapFds, programFds });
    }
    const insns = fromHex(record.insns);
    patchMaps(insns, (_slot, imm) => mapFds[imm] ?? (fds.includes(imm) ? NO_FD : undefined));
    return { mapFds, attr: loadAttr(record, { insns, btf }), close };
  } catch (error) {
    close();
    throw error;
  }
}

/** As libbpf does before it loads programs: that settles where user space sees it, also where there is no memory. */
function mapArena(system: System, { fd, pages }: { fd: number; pages: number }): Mapping[] {
  try {
    return [system.mmap(fd, { length: pages * PAGE, offset: 0, writable: true })];
  } catch (error) {
    if (!(error instanceof BpfError) || error.errno !== 'ENOTSUPP') throw error;
    return [];
  }
}

/** Where a record means an fd that is not open, and this one would be. */
const NO_FD = 9999;

interface Parts {
  readonly inner: number | undefined;
  readonly btf: (name: string) => number;
}

function mapAttr(map: RecordedMap, { inner, btf }: Parts): BpfAttr<'mapCreate'> {
  return {
    mapType: map.type,
    keySize: map.key_size,
    valueSize: map.value_size,
    maxEntries: map.max_entries,
    mapFlags: map.flags,
    mapName: map.name ?? '',
    ...(map.map_extra === undefined ? {} : { mapExtra: BigInt(map.map_extra) }),
    ...(inner === undefined ? {} : { innerMapFd: inner }),
    ...(map.btf === undefined
      ? {}
      : {
          btfFd: btf(map.btf),
          btfKeyTypeId: map.btf_key_type_id ?? 0,
          btfValueTypeId: map.btf_value_type_id ?? 0,
        }),
  };
}

interface Filled {
  readonly fd: number;
  readonly mapFds: readonly number[];
  readonly programFds: readonly number[];
}

function fill(system: System, map: RecordedMap, { fd, mapFds, programFds }: Filled): void {
  for (const { key, value, map: index, program } of map.init ?? []) {
    const inner = index === undefined ? undefined : mapFds[index];
    const handle = inner ?? (program === undefined ? undefined : programFds[program]);
    const bytes = handle === undefined ? fromHex(value ?? '') : new Uint8Array(Uint32Array.of(handle).buffer);
    const whole = PERCPU_TYPES.includes(map.type)
      ? perCpu(bytes, map.value_size, system.possibleCpus())
      : bytes;
    system.bpf('mapUpdateElem', { mapFd: fd, key: fromHex(key), value: whole });
  }
  if (map.frozen === true) system.bpf('mapFreeze', { mapFd: fd });
}

/** Recorded on a machine that may have had another number of CPUs. */
function perCpu(bytes: Uint8Array, valueSize: number, cpus: number): Uint8Array {
  const whole = new Uint8Array(cpus * ((valueSize + 7) & ~7));
  whole.set(bytes.subarray(0, whole.length));
  return whole;
}

/** Puts fds where two-slot loads name maps; undefined leaves what is there. */
function patchMaps(insns: Uint8Array, fdAt: (slot: number, imm: number) => number | undefined): void {
  const view = new DataView(insns.buffer, insns.byteOffset, insns.byteLength);
  for (let at = 0; at + 16 <= insns.length; at += 8) {
    if (insns[at] !== LD_IMM64) continue;
    const source = (insns[at + 1] as number) >> 4;
    const isMap = source === MAP_FD || source === MAP_VALUE;
    const fd = isMap ? fdAt(at / 8, view.getInt32(at + 4, true)) : undefined;
    if (fd !== undefined) view.setInt32(at + 4, fd, true);
    at += 8;
  }
}

function loadAttr(
  record: ExamRecord,
  { insns, btf }: { insns: Uint8Array; btf: (name: string) => number },
): BpfAttr<'progLoad'> {
  const funcInfo = record.func_info === undefined ? undefined : fromHex(record.func_info);
  const lineInfo = record.line_info === undefined ? undefined : fromHex(record.line_info);
  return {
    progType: record.prog_type,
    expectedAttachType: record.expected_attach_type,
    progFlags: record.prog_flags,
    license: record.license,
    insns,
    insnCnt: insns.length / 8,
    ...(record.attach_btf_id === undefined ? {} : { attachBtfId: record.attach_btf_id }),
    ...(record.btf === undefined ? {} : { progBtfFd: btf(record.btf) }),
    ...(funcInfo === undefined ? {} : { funcInfo, funcInfoRecSize: 8, funcInfoCnt: funcInfo.length / 8 }),
    ...(lineInfo === undefined ? {} : { lineInfo, lineInfoRecSize: 16, lineInfoCnt: lineInfo.length / 16 }),
  };
}

/** What a run came to, as text. */
/** The result of a run of what a kernel cannot run: a type of program, a map kind or a helper. */
export const NOT_RUN = 'not run';

export function runResult(system: System, progFd: number, run: RecordedRun): string {
  const dataIn = fromHex(run.data_in);
  const room = Math.max(run.data_out.length / 2, dataIn.length) + 512;
  const attr = {
    progFd,
    dataIn,
    dataSizeIn: dataIn.length,
    dataOut: new Uint8Array(room),
    dataSizeOut: room,
    repeat: run.repeat,
    retval: 0,
  };
  try {
    system.bpf('progTestRun', attr);
  } catch (error) {
    if (error instanceof BpfError) return error.errno === 'ENOTSUPP' ? NOT_RUN : error.errno;
    if (error instanceof SkepError) return error.code === 'not-runnable' ? NOT_RUN : error.line;
    throw error;
  }
  return resultText(attr.retval, attr.dataOut.subarray(0, attr.dataSizeOut));
}

export const resultText = (retval: number, data: Uint8Array): string =>
  `returned ${retval >>> 0}, packet ${Buffer.from(data).toString('hex')}`;

/** What Linux was recorded to come to. */
export const recordedResult = (run: RecordedRun): string => resultText(run.retval, fromHex(run.data_out));
