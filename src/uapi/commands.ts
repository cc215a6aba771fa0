/**
 * The one table of bpf(2): every command of Linux 6.18 with the fields of its part of `union bpf_attr`
 * (offset, kind). The types of the seam are derived from it here; a marshaller for a real `bpf_attr` walks
 * the same rows. Fields that share an offset are a union in C; a caller sets the one that its attach type
 * wants.
 */
import type { Info } from './info.ts';
import type { Labelled } from './label.ts';

/**
 * u32, s32, u64: scalars. name: char[16] in place. str: pointer to a NUL-terminated string. in, out:
 * pointer to bytes that the kernel reads, or writes. info: pointer to one of the info records
 * (info.ts). Every pointer is 8 bytes.
 */
export type FieldKind = 'u32' | 's32' | 'u64' | 'name' | 'str' | 'in' | 'out' | 'info';

export interface Field {
  readonly at: number;
  readonly kind: FieldKind;
  /** Written by the kernel. */
  readonly result?: true;
}

interface Command extends Labelled {
  readonly nr: number;
  /** As the kernel spells it, without BPF_. */
  readonly name: string;
  /** What the return value is. */
  readonly returns: 'fd' | 'zero' | 'count';
  readonly fields: Record<string, Field>;
}

const u32 = (at: number) => ({ at, kind: 'u32' }) as const;
const s32 = (at: number) => ({ at, kind: 's32' }) as const;
const u64 = (at: number) => ({ at, kind: 'u64' }) as const;
const name = (at: number) => ({ at, kind: 'name' }) as const;
const str = (at: number) => ({ at, kind: 'str' }) as const;
const input = (at: number) => ({ at, kind: 'in' }) as const;
const output = (at: number) => ({ at, kind: 'out' }) as const;
const result32 = (at: number) => ({ at, kind: 'u32', result: true }) as const;
const result64 = (at: number) => ({ at, kind: 'u64', result: true }) as const;

const element = { mapFd: u32(0), key: input(8), flags: u64(24) } as const;
const batch = {
  inBatch: input(0),
  outBatch: output(8),
  keys: output(16),
  values: output(24),
  /** In: room for; out: how many were processed. */
  count: { at: 32, kind: 'u32', result: true },
  mapFd: u32(36),
  elemFlags: u64(40),
  flags: u64(48),
} as const;
const batchIn = { ...batch, keys: input(16), values: input(24) } as const;
const nextId = { startId: u32(0), nextId: result32(4), openFlags: u32(8) } as const;
const attach = {
  targetFd: u32(0),
  targetIfindex: u32(0),
  attachBpfFd: u32(4),
  attachType: u32(8),
  attachFlags: u32(12),
  replaceBpfFd: u32(16),
  relativeFd: u32(20),
  relativeId: u32(20),
  expectedRevision: u64(24),
} as const;

export const commands = {
  mapCreate: {
    nr: 0,
    name: 'MAP_CREATE',
    label: 'real',
    returns: 'fd',
    fields: {
      mapType: u32(0),
      keySize: u32(4),
      valueSize: u32(8),
      maxEntries: u32(12),
      mapFlags: u32(16),
      innerMapFd: u32(20),
      numaNode: u32(24),
      mapName: name(28),
      mapIfindex: u32(44),
      btfFd: u32(48),
      btfKeyTypeId: u32(52),
      btfValueTypeId: u32(56),
      btfVmlinuxValueTypeId: u32(60),
      mapExtra: u64(64),
      valueTypeBtfObjFd: s32(72),
      mapTokenFd: s32(76),
      exclProgHash: input(80),
      exclProgHashSize: u32(88),
    },
  },
  mapLookupElem: {
    nr: 1,
    name: 'MAP_LOOKUP_ELEM',
    label: 'real',
    returns: 'zero',
    fields: { ...element, value: output(16) },
  },
  mapUpdateElem: {
    nr: 2,
    name: 'MAP_UPDATE_ELEM',
    label: 'real',
    returns: 'zero',
    fields: { ...element, value: input(16) },
  },
  mapDeleteElem: { nr: 3, name: 'MAP_DELETE_ELEM', label: 'real', returns: 'zero', fields: element },
  mapGetNextKey: {
    nr: 4,
    name: 'MAP_GET_NEXT_KEY',
    label: 'real',
    returns: 'zero',
    fields: { mapFd: u32(0), key: input(8), nextKey: output(16) },
  },
  progLoad: {
    nr: 5,
    name: 'PROG_LOAD',
    label: 'real',
    returns: 'fd',
    fields: {
      progType: u32(0),
      insnCnt: u32(4),
      insns: input(8),
      license: str(16),
      logLevel: u32(24),
      logSize: u32(28),
      logBuf: output(32),
      kernVersion: u32(40),
      progFlags: u32(44),
      progName: name(48),
      progIfindex: u32(64),
      expectedAttachType: u32(68),
      progBtfFd: u32(72),
      funcInfoRecSize: u32(76),
      funcInfo: input(80),
      funcInfoCnt: u32(88),
      lineInfoRecSize: u32(92),
      lineInfo: input(96),
      lineInfoCnt: u32(104),
      attachBtfId: u32(108),
      attachProgFd: u32(112),
      attachBtfObjFd: u32(112),
      coreReloCnt: u32(116),
      fdArray: input(120),
      coreRelos: input(128),
      coreReloRecSize: u32(136),
      logTrueSize: result32(140),
      progTokenFd: s32(144),
      fdArrayCnt: u32(148),
      signature: input(152),
      signatureSize: u32(160),
      keyringId: s32(164),
    },
  },
  objPin: {
    nr: 6,
    name: 'OBJ_PIN',
    label: 'real',
    returns: 'zero',
    fields: { pathname: str(0), bpfFd: u32(8), fileFlags: u32(12), pathFd: s32(16) },
  },
  objGet: {
    nr: 7,
    name: 'OBJ_GET',
    label: 'real',
    returns: 'fd',
    fields: { pathname: str(0), bpfFd: u32(8), fileFlags: u32(12), pathFd: s32(16) },
  },
  progAttach: { nr: 8, name: 'PROG_ATTACH', label: 'absent', returns: 'zero', fields: attach },
  progDetach: { nr: 9, name: 'PROG_DETACH', label: 'absent', returns: 'zero', fields: attach },
  progTestRun: {
    nr: 10,
    name: 'PROG_TEST_RUN',
    label: 'real',
    returns: 'zero',
    fields: {
      progFd: u32(0),
      retval: result32(4),
      dataSizeIn: u32(8),
      /** In: room in dataOut; out: bytes of the packet after the run. */
      dataSizeOut: { at: 12, kind: 'u32', result: true },
      dataIn: input(16),
      dataOut: output(24),
      repeat: u32(32),
      /** Average nanoseconds a run. */
      duration: result32(36),
      ctxSizeIn: u32(40),
      ctxSizeOut: { at: 44, kind: 'u32', result: true },
      ctxIn: input(48),
      ctxOut: output(56),
      flags: u32(64),
      cpu: u32(68),
      batchSize: u32(72),
    },
  },
  progGetNextId: { nr: 11, name: 'PROG_GET_NEXT_ID', label: 'real', returns: 'zero', fields: nextId },
  mapGetNextId: { nr: 12, name: 'MAP_GET_NEXT_ID', label: 'real', returns: 'zero', fields: nextId },
  progGetFdById: {
    nr: 13,
    name: 'PROG_GET_FD_BY_ID',
    label: 'real',
    returns: 'fd',
    fields: { progId: u32(0), openFlags: u32(8), fdByIdTokenFd: s32(12) },
  },
  mapGetFdById: {
    nr: 14,
    name: 'MAP_GET_FD_BY_ID',
    label: 'real',
    returns: 'fd',
    fields: { mapId: u32(0), openFlags: u32(8), fdByIdTokenFd: s32(12) },
  },
  objGetInfoByFd: {
    nr: 15,
    name: 'OBJ_GET_INFO_BY_FD',
    label: 'real',
    returns: 'zero',
    note: 'instructions are shown as they were loaded, with map ids for fds',
    fields: {
      bpfFd: u32(0),
      /** In: bytes of the record that are wanted, all where it is left out; out: how many were filled. */
      infoLen: { at: 4, kind: 'u32', result: true },
      info: { at: 8, kind: 'info' },
    },
  },
  progQuery: {
    nr: 16,
    name: 'PROG_QUERY',
    label: 'real',
    note: 'of the chains of tcx; this kernel has no other targets',
    returns: 'zero',
    fields: {
      targetFd: u32(0),
      targetIfindex: u32(0),
      attachType: u32(4),
      queryFlags: u32(8),
      attachFlags: result32(12),
      progIds: output(16),
      count: { at: 24, kind: 'u32', result: true },
      progAttachFlags: output(32),
      linkIds: output(40),
      linkAttachFlags: output(48),
      revision: result64(56),
    },
  },
  rawTracepointOpen: {
    nr: 17,
    name: 'RAW_TRACEPOINT_OPEN',
    label: 'real',
    returns: 'fd',
    fields: { name: str(0), progFd: u32(8), cookie: u64(16) },
  },
  btfLoad: {
    nr: 18,
    name: 'BTF_LOAD',
    label: 'real',
    note: 'what its log says of bad BTF is not in the words of Linux',
    returns: 'fd',
    fields: {
      btf: input(0),
      btfLogBuf: output(8),
      btfSize: u32(16),
      btfLogSize: u32(20),
      btfLogLevel: u32(24),
      btfLogTrueSize: result32(28),
      btfFlags: u32(32),
      btfTokenFd: s32(36),
    },
  },
  btfGetFdById: {
    nr: 19,
    name: 'BTF_GET_FD_BY_ID',
    label: 'real',
    returns: 'fd',
    fields: { btfId: u32(0), openFlags: u32(8), fdByIdTokenFd: s32(12) },
  },
  taskFdQuery: {
    nr: 20,
    name: 'TASK_FD_QUERY',
    label: 'absent',
    returns: 'zero',
    fields: {
      pid: u32(0),
      fd: u32(4),
      flags: u32(8),
      bufLen: { at: 12, kind: 'u32', result: true },
      buf: output(16),
      progId: result32(24),
      fdType: result32(28),
      probeOffset: result64(32),
      probeAddr: result64(40),
    },
  },
  mapLookupAndDeleteElem: {
    nr: 21,
    name: 'MAP_LOOKUP_AND_DELETE_ELEM',
    label: 'real',
    returns: 'zero',
    fields: { ...element, value: output(16) },
  },
  mapFreeze: { nr: 22, name: 'MAP_FREEZE', label: 'real', returns: 'zero', fields: { mapFd: u32(0) } },
  btfGetNextId: { nr: 23, name: 'BTF_GET_NEXT_ID', label: 'real', returns: 'zero', fields: nextId },
  mapLookupBatch: { nr: 24, name: 'MAP_LOOKUP_BATCH', label: 'real', returns: 'zero', fields: batch },
  mapLookupAndDeleteBatch: {
    nr: 25,
    name: 'MAP_LOOKUP_AND_DELETE_BATCH',
    label: 'real',
    returns: 'zero',
    fields: batch,
  },
  mapUpdateBatch: { nr: 26, name: 'MAP_UPDATE_BATCH', label: 'real', returns: 'zero', fields: batchIn },
  mapDeleteBatch: { nr: 27, name: 'MAP_DELETE_BATCH', label: 'real', returns: 'zero', fields: batchIn },
  linkCreate: {
    nr: 28,
    name: 'LINK_CREATE',
    label: 'real',
    returns: 'fd',
    fields: {
      progFd: u32(0),
      mapFd: u32(0),
      targetFd: u32(4),
      targetIfindex: u32(4),
      attachType: u32(8),
      flags: u32(12),
      // Iterators and BTF tracing targets.
      targetBtfId: u32(16),
      iterInfo: input(16),
      iterInfoLen: u32(24),
      tracingCookie: u64(24),
      // Perf events: tracepoints, kprobes and uprobes opened as events.
      bpfCookie: u64(16),
      // kprobe_multi
      kprobeMultiFlags: u32(16),
      kprobeMultiCnt: u32(20),
      kprobeMultiSyms: input(24),
      kprobeMultiAddrs: input(32),
      kprobeMultiCookies: input(40),
      // netfilter
      netfilterPf: u32(16),
      netfilterHooknum: u32(20),
      netfilterPriority: s32(24),
      netfilterFlags: u32(28),
      // tcx, netkit, cgroup: a place in the chain
      relativeFd: u32(16),
      relativeId: u32(16),
      expectedRevision: u64(24),
      // uprobe_multi
      uprobeMultiPath: str(16),
      uprobeMultiOffsets: input(24),
      uprobeMultiRefCtrOffsets: input(32),
      uprobeMultiCookies: input(40),
      uprobeMultiCnt: u32(48),
      uprobeMultiFlags: u32(52),
      uprobeMultiPid: u32(56),
    },
  },
  linkUpdate: {
    nr: 29,
    name: 'LINK_UPDATE',
    label: 'real',
    returns: 'zero',
    fields: {
      linkFd: u32(0),
      newProgFd: u32(4),
      newMapFd: u32(4),
      flags: u32(8),
      oldProgFd: u32(12),
      oldMapFd: u32(12),
    },
  },
  linkGetFdById: {
    nr: 30,
    name: 'LINK_GET_FD_BY_ID',
    label: 'real',
    returns: 'fd',
    fields: { linkId: u32(0), openFlags: u32(8), fdByIdTokenFd: s32(12) },
  },
  linkGetNextId: { nr: 31, name: 'LINK_GET_NEXT_ID', label: 'real', returns: 'zero', fields: nextId },
  enableStats: { nr: 32, name: 'ENABLE_STATS', label: 'absent', returns: 'fd', fields: { type: u32(0) } },
  iterCreate: {
    nr: 33,
    name: 'ITER_CREATE',
    label: 'absent',
    returns: 'fd',
    fields: { linkFd: u32(0), flags: u32(4) },
  },
  linkDetach: { nr: 34, name: 'LINK_DETACH', label: 'real', returns: 'zero', fields: { linkFd: u32(0) } },
  progBindMap: {
    nr: 35,
    name: 'PROG_BIND_MAP',
    label: 'real',
    returns: 'zero',
    fields: { progFd: u32(0), mapFd: u32(4), flags: u32(8) },
  },
  tokenCreate: {
    nr: 36,
    name: 'TOKEN_CREATE',
    label: 'absent',
    returns: 'fd',
    fields: { flags: u32(0), bpffsFd: u32(4) },
  },
  progStreamReadByFd: {
    nr: 37,
    name: 'PROG_STREAM_READ_BY_FD',
    label: 'absent',
    returns: 'count',
    fields: { streamBuf: output(0), streamBufLen: u32(8), streamId: u32(12), progFd: u32(16) },
  },
} as const satisfies Record<string, Command>;

export type Cmd = keyof typeof commands;

type FieldValue<K extends FieldKind> = K extends 'u64'
  ? bigint
  : K extends 'u32' | 's32'
    ? number
    : K extends 'name' | 'str'
      ? string
      : K extends 'info'
        ? Info
        : Uint8Array;

/**
 * The attributes of one command. A field that is left out is zero, or a null pointer. Fields that the
 * kernel writes are written here.
 */
export type BpfAttr<C extends Cmd> = {
  -readonly [F in keyof (typeof commands)[C]['fields']]?: (typeof commands)[C]['fields'][F] extends {
    readonly kind: infer K extends FieldKind;
  }
    ? FieldValue<K> | undefined
    : never;
};
