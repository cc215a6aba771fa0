/**
 * PROG_LOAD: checks in the order of Linux's bpf_prog_load(), then the verifier, then an engine's executable.
 */

import { SkepError } from '../../base/errors.ts';
import type { BpfMap } from '../../maps/types.ts';
import { sourceLines } from '../../object/listing.ts';
import { attachTypeName, attachTypes } from '../../uapi/attach-types.ts';
import type { BpfAttr } from '../../uapi/commands.ts';
import { expectedAttachTypes, impliedAttachTypes, withoutAttachType } from '../../uapi/expected-attach.ts';
import { mapTypeName } from '../../uapi/map-types.ts';
import {
  networkTypes,
  type ProgTypeName,
  progTypeName,
  progTypes,
  tracingTypes,
} from '../../uapi/prog-types.ts';
import { verify } from '../../verifier/index.ts';
import type { Accepted, MapFacts, VerifierInput } from '../../verifier/types.ts';
import type { Executable, ProgramFacts, RunnableProgram } from '../../vm/types.ts';
import { F_TOKEN_FD, PROG_FLAGS } from '../flags.ts';
import type { BtfObject } from '../objects/btf.ts';
import { F_RDONLY_PROG, MapObject } from '../objects/map.ts';
import { ProgObject } from '../objects/program.ts';
import type { KernelState } from '../state.ts';
import { type Call, checkName } from './call.ts';
import { checkLog, type LogRequest, writeLog } from './log-buffer.ts';
import { joinProgArray } from './map-elements.ts';
import { programTag, xlatedInsns } from './prog-image.ts';

const INSN_BYTES = 8;
/** BPF_COMPLEXITY_LIMIT_INSNS */
const INSNS_MAX = 1_000_000;
/** The kernel reads at most this much of a licence, its NUL included. */
const LICENSE_SIZE = 128;

/** license_is_gpl_compatible() */
const gplLicenses = new Set([
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
]);

const features = {
  progIfindex: 'offload to devices',
  attachProgFd: 'attachment to programs',
  attachBtfObjFd: 'types of modules',
  coreReloCnt: 'CO-RE relocation in the kernel',
  progTokenFd: 'BPF tokens',
  signature: 'signed programs',
  signatureSize: 'signed programs',
};

/** Types that name what they attach to when they are loaded (bpf_prog_load_check_attach). */
const attachedByBtf: readonly (ProgTypeName | undefined)[] = ['tracing', 'lsm', 'struct_ops', 'ext'];

export function progLoad(call: Call, attr: BpfAttr<'progLoad'>): number {
  const program = checked(call, attr);
  const log: LogRequest = { level: attr.logLevel ?? 0, size: attr.logSize ?? 0, buffer: attr.logBuf };
  checkLog(call, log);
  const typed = typeInfo(call, attr);
  const bound = boundMaps(call, attr);
  const mapsBySlotFd = new Map<number, MapObject>();
  const result = verify(verifierInput(call, attr, { ...program, ...typed, mapsBySlotFd }));
  const { trueSize, failure } = writeLog(result.log, log, result.logMaxLength);
  attr.logTrueSize = trueSize;
  if (failure !== undefined) {
    throw call.fail(
      failure,
      failure === 'ENOSPC' ? `the whole log has ${trueSize} bytes` : 'the log buffer is too short',
    );
  }
  if (!result.ok) throw call.fail(result.errno, result.message);
  return call.fds.install(
    makeProgram(call, attr, { ...program, ...typed, mapsBySlotFd, bound, accepted: result }),
  );
}

interface CheckedProgram {
  readonly type: ProgTypeName;
  readonly insns: Uint8Array;
  readonly name: string;
  readonly gplCompatible: boolean;
}

/** Everything that Linux checks before it looks at the log and the instructions. */
function checked(call: Call, attr: BpfAttr<'progLoad'>): CheckedProgram {
  const flags = attr.progFlags ?? 0;
  if ((flags & ~PROG_FLAGS) !== 0)
    throw call.fail('EINVAL', `prog_flags 0x${flags.toString(16)} has unknown bits`);
  if ((flags & F_TOKEN_FD) !== 0) throw call.fail('EINVAL', 'this kernel has no BPF tokens');
  if (!call.can.bpf) throw call.fail('EPERM', 'loading programs needs CAP_BPF');
  const count = attr.insnCnt ?? 0;
  if (count === 0 || count > INSNS_MAX)
    throw call.fail('E2BIG', `a program has 1 to ${INSNS_MAX} instructions`);
  const license = attr.license;
  if (license === undefined) throw call.fail('EFAULT', 'the licence is missing');
  const type = progTypeName(attr.progType ?? 0);
  if (networkTypes.includes(type) && !call.can.netAdmin) {
    throw call.fail('EPERM', `${type} programs need CAP_NET_ADMIN`);
  }
  if (tracingTypes.includes(type) && !call.can.perfmon) {
    throw call.fail('EPERM', `${type} programs need CAP_PERFMON`);
  }
  call.refuse(attr, features);
  if ((attr.attachBtfId ?? 0) !== 0 && !attachedByBtf.includes(type)) {
    throw call.fail('EINVAL', 'programs of this type are attached to no type of the kernel');
  }
  checkAttachType(call, type, attr.expectedAttachType ?? 0);
  const insns = call.buffer(attr.insns, count * INSN_BYTES, 'the program');
  if (type === undefined) throw call.fail('EINVAL', `there is no program type ${attr.progType ?? 0}`);
  if (progTypes[type].label === 'absent')
    throw call.fail('EINVAL', `this kernel has no programs of type ${type}`);
  const name = attr.progName ?? '';
  checkName(call, name);
  return {
    type,
    insns: insns.slice(),
    name,
    gplCompatible: gplLicenses.has(license.slice(0, LICENSE_SIZE - 1)),
  };
}

/** bpf_prog_load_check_attach() */
function checkAttachType(call: Call, type: ProgTypeName | undefined, expected: number): void {
  if (type === undefined) return;
  const implied = expected === 0 ? impliedAttachTypes[type] : undefined;
  const name = implied ?? attachTypeName(expected);
  const allowed = expectedAttachTypes[type];
  const fits = allowed === undefined || (name !== undefined && allowed.includes(name));
  if (fits && (expected === 0 || !withoutAttachType.includes(type))) return;
  throw call.fail('EINVAL', `programs of type ${type} are not for attach type ${name ?? expected}`);
}

interface TypeInfo {
  readonly btf: BtfObject | undefined;
  readonly funcInfo: Uint8Array | undefined;
  readonly lineInfo: Uint8Array | undefined;
}

const FUNC_INFO_SIZE = 8;
const LINE_INFO_SIZE = 16;
/** MAX_FUNCINFO_REC_SIZE and MAX_LINEINFO_REC_SIZE */
const INFO_SIZE_MAX = 252;

/** The BTF that describes the program; without func_info and line_info, Linux does not look at it. */
function typeInfo(call: Call, attr: BpfAttr<'progLoad'>): TypeInfo {
  const funcs = attr.funcInfoCnt ?? 0;
  const lines = attr.lineInfoCnt ?? 0;
  if (funcs === 0 && lines === 0) return { btf: undefined, funcInfo: undefined, lineInfo: undefined };
  const btf = call.object(attr.progBtfFd, 'btf');
  const funcInfo = records(call, attr.funcInfo, {
    count: funcs,
    size: attr.funcInfoRecSize ?? 0,
    keep: FUNC_INFO_SIZE,
    what: 'func_info',
  });
  const lineInfo = records(call, attr.lineInfo, {
    count: lines,
    size: attr.lineInfoRecSize ?? 0,
    keep: LINE_INFO_SIZE,
    what: 'line_info',
  });
  return { btf, funcInfo, lineInfo };
}

interface RecordArray {
  readonly count: number;
  /** Bytes of a record as given, and those that this kernel knows. */
  readonly size: number;
  readonly keep: number;
  readonly what: string;
}

/** Records cut to the size that this kernel knows; the rest of each must be zero. */
function records(call: Call, bytes: Uint8Array | undefined, array: RecordArray): Uint8Array | undefined {
  const { count, size, keep, what } = array;
  if (count === 0) return undefined;
  if (size < keep || size > INFO_SIZE_MAX || size % 4 !== 0) {
    throw call.fail('EINVAL', `${what} records of ${size} bytes`);
  }
  const given = call.buffer(bytes, count * size, what);
  const kept = new Uint8Array(count * keep);
  for (let i = 0; i < count; i++) {
    const record = given.subarray(i * size, (i + 1) * size);
    if (record.subarray(keep).some((byte) => byte !== 0)) {
      throw call.fail('E2BIG', `${what} records have more in them than this kernel knows`);
    }
    kept.set(record.subarray(0, keep), i * keep);
  }
  return kept;
}

/** With fd_array_cnt, every map of fd_array belongs to the program, used or not. */
function boundMaps(call: Call, attr: BpfAttr<'progLoad'>): MapObject[] {
  const count = attr.fdArrayCnt ?? 0;
  if (count === 0) return [];
  const maps: MapObject[] = [];
  for (const fd of fdArray(call.buffer(attr.fdArray, count * 4, 'fd_array'))) {
    const { object } = call.file(fd);
    if (object.kind === 'map') maps.push(object);
    else if (object.kind !== 'btf') throw call.fail('EINVAL', `fd ${fd} of fd_array is no map`);
  }
  return maps;
}

function fdArray(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength >> 2 }, (_, i) => view.getInt32(4 * i, true));
}

interface Loading extends CheckedProgram, TypeInfo {
  /** Filled while the verifier resolves fds. */
  readonly mapsBySlotFd: Map<number, MapObject>;
}

function verifierInput(call: Call, attr: BpfAttr<'progLoad'>, program: Loading): VerifierInput {
  return {
    insns: program.insns,
    progType: progTypes[program.type].id,
    expectedAttachType: attr.expectedAttachType ?? 0,
    progFlags: attr.progFlags ?? 0,
    gplCompatible: program.gplCompatible,
    capabilities: call.can,
    resolveMap: (fd) => {
      const map = call.fds.lookup(fd, 'map');
      if (typeof map === 'string') return map;
      program.mapsBySlotFd.set(fd, map);
      return mapFacts(call, map);
    },
    fdArray: attr.fdArray === undefined ? undefined : fdArray(attr.fdArray),
    btf: program.btf?.bytes,
    funcInfo: program.funcInfo,
    lineInfo: program.lineInfo,
    attachBtfId: attr.attachBtfId,
    // Read where a program asks for types of the kernel.
    get kernelBtf() {
      return call.kernel.types.bytes;
    },
    logLevel: attr.logLevel ?? 0,
    cpus: call.kernel.cpus,
    now: () => Number(call.kernel.now()) / 1e6,
  };
}

function mapFacts(call: Call, object: MapObject): MapFacts {
  const { map } = object;
  const { def } = map;
  const { valueAddress } = map;
  const constant = constantValue(object);
  return {
    handle: object,
    id: object.id,
    name: def.name,
    type: def.type,
    keySize: def.keySize,
    valueSize: def.valueSize,
    maxEntries: def.maxEntries,
    flags: def.flags,
    frozen: object.frozen,
    innerMap: object.inner === undefined ? undefined : innerFacts(call, object.inner),
    btf: object.btf?.btf,
    btfKeyTypeId: object.btfKeyTypeId,
    btfValueTypeId: object.btfValueTypeId,
    address: map.address,
    valueAddress,
    hasUserAddress: object.hasUserAddress,
    readConstant:
      constant === undefined
        ? undefined
        : (offset, size) =>
            offset < 0 || offset + size > def.valueSize
              ? undefined
              : call.kernel.memory.u8.slice(constant + offset, constant + offset + size),
  };
}

/** The address of a value that nothing writes any more (bpf_map_is_rdonly()); undefined where it may change. */
function constantValue({ frozen, map }: MapObject): number | undefined {
  return frozen && (map.def.flags & F_RDONLY_PROG) !== 0 ? map.valueAddress : undefined;
}

/** What the verifier knows of a map inside another: not which one it is, nor what it is called. */
function innerFacts(call: Call, object: MapObject): MapFacts {
  const facts = mapFacts(call, object);
  return { ...facts, name: '', frozen: false, valueAddress: undefined, readConstant: undefined };
}

interface Verified extends Loading {
  readonly bound: readonly MapObject[];
  readonly accepted: Accepted;
}

function makeProgram(call: Call, attr: BpfAttr<'progLoad'>, program: Verified): ProgObject {
  const { kernel } = call;
  const { accepted } = program;
  const maps = accepted.maps.filter((handle): handle is MapObject => handle instanceof MapObject);
  const kind = {
    type: progTypes[program.type].id,
    expectedAttachType: attr.expectedAttachType ?? 0,
    flags: attr.progFlags ?? 0,
  };
  // bpf_check_tail_call(): the arrays that it may jump through hold programs like it.
  for (const map of maps) {
    if (map.isProgArray && !joinProgArray(map, kind)) {
      throw call.fail('EINVAL', `the programs in ${map.map.def.name} differ in type from this one`);
    }
  }
  const executable =
    mapExcuse(program.name, maps) ??
    loadOrExcuse(kernel, {
      name: program.name,
      progType: kind.type,
      insns: accepted.insns,
      subprogs: accepted.subprogs,
      maps: maps.map((object): BpfMap => object.map),
      facts: programFacts(accepted.facts, maps),
      sourceAt: sourceFinder(program),
    });
  const mapId = (index: number, byIndex: boolean): number => {
    const fd = byIndex ? fdArray(attr.fdArray ?? new Uint8Array())[index] : index;
    return (fd === undefined ? undefined : program.mapsBySlotFd.get(fd))?.id ?? 0;
  };
  return new ProgObject(
    {
      ...kind,
      name: program.name,
      attachTo: tracepointOf(call, attr),
      gplCompatible: program.gplCompatible,
      tag: programTag(program.insns),
      xlated: xlatedInsns(program.insns, mapId),
      funcInfo: program.funcInfo,
      lineInfo: program.lineInfo,
      loadTime: kernel.now(),
      uid: call.caller.credentials.uid,
      verifiedInsns: accepted.stats.processed,
      maxCtxOffset: accepted.maxCtxOffset,
      executable,
    },
    { maps: [...new Set([...maps, ...program.bound])], btf: program.btf },
    kernel.programs,
  );
}

/** The raw tracepoint that attach_btf_id names: its type is called after it. */
function tracepointOf(
  { kernel }: Call,
  { attachBtfId, expectedAttachType }: BpfAttr<'progLoad'>,
): string | undefined {
  if (attachBtfId === undefined || expectedAttachType !== attachTypes.trace_raw_tp.id) return undefined;
  return kernel.types.type(attachBtfId).name.replace(/^btf_trace_/, '');
}

/** A program over maps that hold nothing is not run. */
function mapExcuse(name: string, maps: readonly MapObject[]): SkepError | undefined {
  const map = maps.find((object) => object.isVerifiedOnly);
  if (map === undefined) return undefined;
  const { def } = map.map;
  return new SkepError({
    code: 'not-runnable',
    message: `map '${def.name}' of type ${mapTypeName(def.type)} is verified-only: this kernel keeps no elements in it`,
    where: `program ${name}`,
    hint: 'docs/support.md lists what runs',
  });
}

/** Which line of C an instruction is of: the last that starts at it or before. Found out when it is asked for. */
function sourceFinder({ btf, insns, funcInfo, lineInfo }: Loading): RunnableProgram['sourceAt'] {
  if (btf === undefined || lineInfo === undefined) return undefined;
  return (slot) => {
    const lines = [...sourceLines({ insns, btf: btf.btf, funcInfo, lineInfo })];
    const found = lines.findLast(([start]) => start <= slot)?.[1];
    return found === undefined ? undefined : `${found.file}:${found.line}: ${found.text}`;
  };
}

/** What the verifier proved, with maps for the handles that it knows them by. */
function programFacts(
  { pointers, neverJumps, alwaysJumps, callMaps }: Accepted['facts'],
  programMaps: readonly MapObject[],
): ProgramFacts {
  const maps = [...callMaps].flatMap(([slot, handle]): [number, BpfMap][] =>
    handle instanceof MapObject ? [[slot, handle.map]] : [],
  );
  const constants = programMaps.flatMap((object) => {
    const from = constantValue(object);
    return from === undefined ? [] : [{ from, to: from + object.map.def.valueSize }];
  });
  return { pointers, neverJumps, alwaysJumps, callMaps: new Map(maps), constants };
}

/** What the verifier accepts is loaded; what this runtime cannot do is said when it is to run. */
function loadOrExcuse(kernel: KernelState, program: RunnableProgram): Executable | SkepError {
  try {
    return kernel.engine.load(program, kernel.runtime);
  } catch (error) {
    if (error instanceof SkepError && error.code === 'not-runnable') return error;
    throw error;
  }
}
