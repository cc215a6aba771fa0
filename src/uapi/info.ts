/**
 * The info records of OBJ_GET_INFO_BY_FD (struct bpf_prog_info, bpf_map_info, bpf_btf_info, bpf_link_info).
 * Scalars are results. An `out` field is a buffer that the caller gives and the kernel fills; the count or
 * length beside it goes in as the room and comes back as what there is.
 */

export type InfoFieldKind = 'u32' | 's32' | 'u64' | 'name' | 'tag' | 'out';

interface InfoField {
  readonly at: number;
  readonly kind: InfoFieldKind;
}

const u32 = (at: number) => ({ at, kind: 'u32' }) as const;
const u64 = (at: number) => ({ at, kind: 'u64' }) as const;
const name = (at: number) => ({ at, kind: 'name' }) as const;
const out = (at: number) => ({ at, kind: 'out' }) as const;

export const infoRecords = {
  prog: {
    type: u32(0),
    id: u32(4),
    /** Eight bytes: the start of the SHA-256 (SHA-1 before 6.18) of the instructions. */
    tag: { at: 8, kind: 'tag' },
    jitedProgLen: u32(16),
    xlatedProgLen: u32(20),
    jitedProgInsns: out(24),
    xlatedProgInsns: out(32),
    loadTime: u64(40),
    createdByUid: u32(48),
    nrMapIds: u32(52),
    mapIds: out(56),
    name: name(64),
    ifindex: u32(80),
    /** Bit 0: gpl_compatible. */
    bits: u32(84),
    netnsDev: u64(88),
    netnsIno: u64(96),
    nrJitedKsyms: u32(104),
    jitedKsyms: out(112),
    btfId: u32(128),
    funcInfoRecSize: u32(132),
    funcInfo: out(136),
    nrFuncInfo: u32(144),
    nrLineInfo: u32(148),
    lineInfo: out(152),
    lineInfoRecSize: u32(172),
    runTimeNs: u64(192),
    runCnt: u64(200),
    recursionMisses: u64(208),
    verifiedInsns: u32(216),
    attachBtfObjId: u32(220),
    attachBtfId: u32(224),
  },
  map: {
    type: u32(0),
    id: u32(4),
    keySize: u32(8),
    valueSize: u32(12),
    maxEntries: u32(16),
    mapFlags: u32(20),
    name: name(24),
    ifindex: u32(40),
    btfVmlinuxValueTypeId: u32(44),
    netnsDev: u64(48),
    netnsIno: u64(56),
    btfId: u32(64),
    btfKeyTypeId: u32(68),
    btfValueTypeId: u32(72),
    btfVmlinuxId: u32(76),
    mapExtra: u64(80),
  },
  btf: {
    btf: out(0),
    btfSize: u32(8),
    id: u32(12),
    name: out(16),
    nameLen: u32(24),
    kernelBtf: u32(28),
  },
  link: {
    type: u32(0),
    id: u32(4),
    progId: u32(8),
    // raw_tracepoint
    tpName: out(16),
    tpNameLen: u32(24),
    // xdp, tcx, netkit
    ifindex: u32(16),
    tcxAttachType: u32(20),
    // perf_event: the kind of event and its name
    perfEventType: u32(16),
    perfEventName: out(24),
    perfEventNameLen: u32(32),
  },
} as const satisfies Record<string, Record<string, InfoField>>;

export type InfoKind = keyof typeof infoRecords;

type InfoValue<K extends InfoFieldKind> = K extends 'u64'
  ? bigint
  : K extends 'u32' | 's32'
    ? number
    : K extends 'name'
      ? string
      : Uint8Array;

/** One record. The caller sets `kind` (EINVAL where the fd is of another kind) and its buffers. */
export type InfoOf<K extends InfoKind> = { readonly kind: K } & {
  -readonly [F in keyof (typeof infoRecords)[K]]?: (typeof infoRecords)[K][F] extends {
    readonly kind: infer V extends InfoFieldKind;
  }
    ? InfoValue<V> | undefined
    : never;
};

export type Info = { [K in InfoKind]: InfoOf<K> }[InfoKind];
