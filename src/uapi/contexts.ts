/**
 * The context that a program of each type gets in r1: which bytes it may read and write, in accesses of
 * which sizes, and what comes out of the fields that are pointers. Offsets are those of the UAPI structs
 * (linux/bpf.h, asm/ptrace.h); which accesses are let through is what Linux 6.18 was seen to let through.
 *
 * A row covers bytes [off, end). `read` and `write` are sets of sizes, added up: 1 + 2 + 4 means that bytes,
 * half words and words may be read. An access is allowed where some row of its struct holds it whole. Types
 * whose context is typed by BTF (tracing, lsm, struct_ops, netfilter) are not here.
 */
import type { ProgTypeName } from './prog-types.ts';

/** What a field yields besides a number. */
export type CtxPointer =
  | 'packet'
  | 'packetMeta'
  | 'packetEnd'
  | 'flowKeys'
  | 'socket'
  | 'socketOrNull'
  | 'sockCommonOrNull'
  | 'tpBuffer';

export interface CtxField {
  readonly name: string;
  readonly off: number;
  readonly end: number;
  /** Sum of the sizes that may be read; 0 is none. */
  readonly read: number;
  readonly write: number;
  readonly pointer?: CtxPointer;
  /** Sign-extending loads are refused. */
  readonly unsignedOnly?: boolean;
  /** Accesses begin where the field does. */
  readonly fromStart?: boolean;
  /** Readable, writable only in programs with one of these expected attach types. */
  readonly readAttach?: readonly number[];
  readonly writeAttach?: readonly number[];
}

export interface CtxLayout {
  /** Bytes of the context; an offset outside is refused whatever the rows say. */
  readonly size: number;
  readonly fields: readonly CtxField[];
}

const NARROW = 1 + 2 + 4;
const WORD = 4;
const LONG = 8;
const ANY = 1 + 2 + 4 + 8;

type Extra = Partial<Pick<CtxField, 'pointer' | 'unsignedOnly' | 'fromStart' | 'readAttach' | 'writeAttach'>>;

function field(
  name: string,
  range: readonly [number, number],
  sizes: readonly [number, number],
  extra: Extra = {},
): CtxField {
  return { name, off: range[0], end: range[1], read: sizes[0], write: sizes[1], ...extra };
}

/** Every field of __sk_buff as the most privileged of its users sees it: reads, and the size of a write. */
const skb = {
  len: field('len', [0, 4], [NARROW, WORD]),
  pkt_type: field('pkt_type', [4, 8], [NARROW, WORD]),
  mark: field('mark', [8, 12], [NARROW, WORD]),
  queue_mapping: field('queue_mapping', [12, 16], [NARROW, WORD]),
  protocol: field('protocol', [16, 20], [NARROW, WORD]),
  vlan_present: field('vlan_present', [20, 24], [NARROW, WORD]),
  vlan_tci: field('vlan_tci', [24, 28], [NARROW, WORD]),
  vlan_proto: field('vlan_proto', [28, 32], [NARROW, WORD]),
  priority: field('priority', [32, 36], [NARROW, WORD]),
  ingress_ifindex: field('ingress_ifindex', [36, 40], [NARROW, WORD]),
  ifindex: field('ifindex', [40, 44], [NARROW, WORD]),
  tc_index: field('tc_index', [44, 48], [NARROW, WORD]),
  cb: field('cb', [48, 68], [ANY, ANY]),
  hash: field('hash', [68, 72], [NARROW, WORD]),
  tc_classid: field('tc_classid', [72, 76], [NARROW, WORD]),
  data: field('data', [76, 80], [WORD, 0], { pointer: 'packet', unsignedOnly: true }),
  data_end: field('data_end', [80, 84], [WORD, 0], { pointer: 'packetEnd', unsignedOnly: true }),
  napi_id: field('napi_id', [84, 88], [NARROW, WORD]),
  family: field('family', [88, 92], [NARROW, WORD]),
  remote_ip4: field('remote_ip4', [92, 96], [WORD, WORD]),
  local_ip4: field('local_ip4', [96, 100], [WORD, WORD]),
  remote_ip6: field('remote_ip6', [100, 116], [WORD, WORD]),
  local_ip6: field('local_ip6', [116, 132], [WORD, WORD]),
  remote_port: field('remote_port', [132, 136], [NARROW, WORD]),
  local_port: field('local_port', [136, 140], [NARROW, WORD]),
  data_meta: field('data_meta', [140, 144], [WORD, 0], { pointer: 'packetMeta', unsignedOnly: true }),
  flow_keys: field('flow_keys', [144, 152], [LONG, 0], { pointer: 'flowKeys' }),
  tstamp: field('tstamp', [152, 160], [LONG, LONG]),
  wire_len: field('wire_len', [160, 164], [NARROW, WORD]),
  gso_segs: field('gso_segs', [164, 168], [NARROW, WORD]),
  sk: field('sk', [168, 176], [LONG, 0], { pointer: 'sockCommonOrNull' }),
  gso_size: field('gso_size', [176, 180], [NARROW, WORD]),
  tstamp_type: field('tstamp_type', [180, 181], [1, 0]),
  hwtstamp: field('hwtstamp', [184, 192], [LONG, 0]),
} as const;
type SkbField = keyof typeof skb;

const xdp = {
  data: field('data', [0, 4], [WORD, 0], { pointer: 'packet', unsignedOnly: true }),
  data_end: field('data_end', [4, 8], [WORD, 0], { pointer: 'packetEnd', unsignedOnly: true }),
  data_meta: field('data_meta', [8, 12], [WORD, 0], { pointer: 'packetMeta', unsignedOnly: true }),
  ingress_ifindex: field('ingress_ifindex', [12, 16], [WORD, 0]),
  rx_queue_index: field('rx_queue_index', [16, 20], [WORD, 0]),
  egress_ifindex: field('egress_ifindex', [20, 24], [WORD, 0], { readAttach: [33] }),
} as const;

/** A struct of the UAPI as a runtime lays it out: bytes in all, and the offset of each member. */
export type StructOffsets<N extends string> = { readonly size: number } & { readonly [M in N]: number };

function offsets<N extends string>(size: number, fields: Record<N, CtxField>): StructOffsets<N> {
  const members = Object.values<CtxField>(fields).map(({ name, off }) => [name, off]);
  return { size, ...(Object.fromEntries(members) as { [M in N]: number }) };
}

/** struct __sk_buff and struct xdp_md. */
export const skBuff = offsets(192, skb);
export const xdpMd = offsets(24, xdp);

/** The members of a packet's context that say where it starts and ends; addresses of 32 bits. */
export type PacketOffsets = StructOffsets<'data' | 'data_end' | 'data_meta'>;

/** The struct that a program type's packet context is; undefined where it has no packet. */
export function packetContext(type: ProgTypeName | undefined): PacketOffsets | undefined {
  switch (type) {
    case 'xdp':
      return xdpMd;
    case 'socket_filter':
    case 'sched_cls':
    case 'sched_act':
    case 'cgroup_skb':
      return skBuff;
    default:
      return undefined;
  }
}

const plain: readonly SkbField[] = [
  'len',
  'pkt_type',
  'mark',
  'queue_mapping',
  'protocol',
  'vlan_present',
  'vlan_tci',
  'vlan_proto',
  'priority',
  'ingress_ifindex',
  'ifindex',
  'tc_index',
  'cb',
  'hash',
  'napi_id',
  'gso_segs',
  'sk',
  'gso_size',
];
const sockets: readonly SkbField[] = [
  'family',
  'remote_ip4',
  'local_ip4',
  'remote_ip6',
  'local_ip6',
  'remote_port',
  'local_port',
];

function skbLayout(readable: readonly SkbField[], writable: readonly SkbField[]): CtxLayout {
  return {
    size: skBuff.size,
    fields: readable.map((name) => (writable.includes(name) ? skb[name] : { ...skb[name], write: 0 })),
  };
}

/** bpf_sock: the context of cgroup_sock programs, and what a `sock` pointer shows. */
export const sockFields: readonly CtxField[] = [
  field('bound_dev_if', [0, 4], [WORD, WORD]),
  field('family', [4, 8], [NARROW, 0], { fromStart: true }),
  field('type', [8, 12], [NARROW, 0], { fromStart: true }),
  field('protocol', [12, 16], [NARROW, 0], { fromStart: true }),
  field('mark', [16, 20], [WORD, WORD]),
  field('priority', [20, 24], [WORD, WORD]),
  field('src_ip4', [24, 28], [NARROW, 0]),
  field('src_ip6', [28, 44], [NARROW, 0]),
  field('src_port', [44, 48], [NARROW, 0], { fromStart: true }),
  field('dst_port', [48, 50], [1 + 2, 0]),
  field('dst_port', [48, 52], [WORD, 0]),
  field('dst_ip4', [52, 56], [NARROW, 0]),
  field('dst_ip6', [56, 72], [NARROW, 0]),
  field('state', [72, 76], [NARROW, 0], { fromStart: true }),
  field('rx_queue_mapping', [76, 80], [NARROW, 0], { fromStart: true }),
];
export const SOCK_SIZE = 80;

/** Attach types by which cgroup_sock fields are opened: creation and release; binding. */
const CREATE_OR_RELEASE = [2, 34];
const POST_BIND4 = [12];
const POST_BIND6 = [13];

const cgroupSockAttach: Readonly<Record<string, readonly number[]>> = {
  bound_dev_if: CREATE_OR_RELEASE,
  mark: CREATE_OR_RELEASE,
  priority: CREATE_OR_RELEASE,
  src_ip4: POST_BIND4,
  src_ip6: POST_BIND6,
  src_port: [...POST_BIND4, ...POST_BIND6],
};

/** Attach types of cgroup_sock_addr: those with IPv4 addresses, those with IPv6 ones. */
const ADDR4 = [8, 10, 29, 31, 14, 19];
const ADDR6 = [9, 11, 30, 32, 15, 20];

const raw = (size: number): CtxLayout => ({ size, fields: [field('args', [0, size], [ANY, 0])] });

export const contexts: Partial<Record<ProgTypeName, CtxLayout>> = {
  socket_filter: skbLayout(plain, ['cb']),
  sched_cls: skbLayout(
    [
      ...plain,
      'tc_classid',
      'data',
      'data_end',
      'data_meta',
      'tstamp',
      'wire_len',
      'tstamp_type',
      'hwtstamp',
    ],
    ['mark', 'tc_index', 'priority', 'tc_classid', 'cb', 'tstamp', 'queue_mapping'],
  ),
  sched_act: skbLayout(
    [
      ...plain,
      'tc_classid',
      'data',
      'data_end',
      'data_meta',
      'tstamp',
      'wire_len',
      'tstamp_type',
      'hwtstamp',
    ],
    ['mark', 'tc_index', 'priority', 'tc_classid', 'cb', 'tstamp', 'queue_mapping'],
  ),
  cgroup_skb: skbLayout(
    [...plain, ...sockets, 'data', 'data_end', 'tstamp', 'hwtstamp'],
    ['mark', 'priority', 'cb', 'tstamp'],
  ),
  lwt_in: skbLayout([...plain, 'data', 'data_end'], ['mark', 'priority', 'cb']),
  lwt_out: skbLayout([...plain, 'data', 'data_end'], ['mark', 'priority', 'cb']),
  lwt_xmit: skbLayout([...plain, 'data', 'data_end'], ['mark', 'priority', 'cb']),
  lwt_seg6local: skbLayout([...plain, 'data', 'data_end'], ['mark', 'priority', 'cb']),
  sk_skb: skbLayout(
    [...plain.filter((name) => name !== 'mark'), ...sockets, 'data', 'data_end'],
    ['tc_index', 'priority'],
  ),
  flow_dissector: skbLayout(['data', 'data_end', 'flow_keys'], []),
  xdp: { size: xdpMd.size, fields: Object.values(xdp) },
  /** pt_regs of x86-64. */
  kprobe: raw(168),
  /** The bytes of the trace entry, the first eight being the tracer's own. */
  tracepoint: { size: 8192, fields: [field('args', [8, 8192], [ANY, 0])] },
  /** Twelve u64 arguments. */
  raw_tracepoint: raw(96),
  raw_tracepoint_writable: {
    size: 96,
    fields: [field('buffer', [0, 8], [LONG, 0], { pointer: 'tpBuffer' }), field('args', [1, 96], [ANY, 0])],
  },
  perf_event: {
    size: 184,
    fields: [
      field('regs', [0, 168], [LONG, 0]),
      field('sample_period', [168, 176], [ANY, 0]),
      field('addr', [176, 184], [ANY, 0]),
    ],
  },
  cgroup_sock: {
    size: SOCK_SIZE,
    fields: sockFields.map((row) => {
      const attach = cgroupSockAttach[row.name];
      return attach === undefined ? row : { ...row, readAttach: attach, writeAttach: attach };
    }),
  },
  cgroup_sock_addr: {
    size: 72,
    fields: [
      field('user_family', [0, 4], [WORD, 0]),
      field('user_ip4', [4, 8], [NARROW, WORD], { readAttach: ADDR4, writeAttach: ADDR4 }),
      field('user_ip6', [8, 24], [ANY, WORD + LONG], { readAttach: ADDR6, writeAttach: ADDR6 }),
      field('user_port', [24, 28], [NARROW, WORD]),
      field('family', [28, 32], [WORD, 0]),
      field('type', [32, 36], [WORD, 0]),
      field('protocol', [36, 40], [WORD, 0]),
      field('msg_src_ip4', [40, 44], [NARROW, WORD], { readAttach: [14], writeAttach: [14] }),
      field('msg_src_ip6', [44, 60], [NARROW, WORD], { readAttach: [15], writeAttach: [15] }),
      field('msg_src_ip6', [48, 56], [LONG, LONG], { readAttach: [15], writeAttach: [15] }),
      field('sk', [64, 72], [LONG, 0], { pointer: 'socket' }),
    ],
  },
  sock_ops: {
    size: 224,
    fields: [
      field('op', [0, 4], [WORD, 0]),
      field('reply', [4, 8], [WORD, WORD]),
      field('args', [8, 164], [WORD, 0]),
      field('sk_txhash', [164, 168], [WORD, WORD]),
      field('bytes_received', [168, 176], [LONG, 0]),
      field('bytes_acked', [176, 184], [LONG, 0]),
      field('sk', [184, 192], [LONG, 0], { pointer: 'socketOrNull' }),
      field('skb_data', [192, 200], [LONG, 0], { pointer: 'packet' }),
      field('skb_data_end', [200, 208], [LONG, 0], { pointer: 'packetEnd' }),
      field('skb_len', [208, 212], [WORD, 0]),
      field('skb_tcp_flags', [212, 216], [NARROW, 0], { fromStart: true }),
      field('skb_hwtstamp', [216, 224], [LONG, 0]),
    ],
  },
  cgroup_device: {
    size: 12,
    fields: [
      field('access_type', [0, 4], [NARROW, 0]),
      field('major', [4, 8], [WORD, 0]),
      field('minor', [8, 12], [WORD, 0]),
    ],
  },
  sk_msg: {
    size: 80,
    fields: [
      field('data', [0, 8], [LONG, 0], { pointer: 'packet' }),
      field('data_end', [8, 16], [LONG, 0], { pointer: 'packetEnd' }),
      field('addresses', [16, 72], [WORD, 0]),
      field('sk', [72, 80], [LONG, 0], { pointer: 'socket' }),
    ],
  },
  lirc_mode2: { size: 4, fields: [field('sample', [0, 4], [WORD, 0])] },
  sk_reuseport: {
    size: 56,
    fields: [
      field('data', [0, 8], [LONG, 0], { pointer: 'packet' }),
      field('data_end', [8, 16], [LONG, 0], { pointer: 'packetEnd' }),
      field('len', [16, 20], [NARROW, 0]),
      field('eth_protocol', [20, 24], [2 + 4, 0]),
      field('ip_protocol', [24, 28], [NARROW, 0]),
      field('bind_inany', [28, 32], [NARROW, 0]),
      field('hash', [32, 36], [WORD, 0]),
      field('sk', [40, 48], [LONG, 0], { pointer: 'socket' }),
      field('migrating_sk', [48, 56], [LONG, 0], { pointer: 'sockCommonOrNull' }),
    ],
  },
  sk_lookup: {
    size: 72,
    fields: [
      field('sk', [0, 8], [LONG, 0], { pointer: 'socketOrNull' }),
      field('family', [8, 12], [NARROW, 0]),
      field('protocol', [12, 16], [NARROW, 0]),
      field('remote_ip4', [16, 20], [NARROW, 0]),
      field('remote_ip6', [20, 36], [NARROW, 0]),
      field('remote_port', [36, 40], [WORD, 0]),
      field('remote_port', [36, 38], [1 + 2, 0]),
      field('padding', [38, 40], [1 + 2, 0]),
      field('local_ip4', [40, 44], [NARROW, 0]),
      field('local_ip6', [44, 60], [NARROW, 0]),
      field('local_port', [60, 64], [NARROW, 0]),
      field('ingress_ifindex', [64, 68], [NARROW, 0]),
    ],
  },
  cgroup_sysctl: {
    size: 8,
    fields: [field('write', [0, 4], [NARROW, 0]), field('file_pos', [4, 8], [NARROW, WORD])],
  },
  cgroup_sockopt: {
    size: 40,
    fields: [
      field('sk', [0, 8], [LONG, 0], { pointer: 'socket' }),
      field('optval', [8, 16], [LONG, 0], { pointer: 'packet' }),
      field('optval_end', [16, 24], [LONG, 0], { pointer: 'packetEnd' }),
      field('level', [24, 28], [WORD, WORD], { writeAttach: [22] }),
      field('optname', [28, 32], [WORD, WORD], { writeAttach: [22] }),
      field('optlen', [32, 36], [WORD, WORD]),
      field('retval', [36, 40], [WORD, WORD], { readAttach: [21], writeAttach: [21] }),
    ],
  },
  syscall: { size: 0xffff, fields: [field('args', [0, 0x10000], [ANY, ANY])] },
};

export interface CtxAccess {
  readonly off: number;
  readonly size: number;
  readonly write: boolean;
  readonly signed: boolean;
  readonly attachType: number;
}

/** The row that lets an access through, or undefined. */
export function ctxField(layout: CtxLayout, access: CtxAccess): CtxField | undefined {
  const { off, size } = access;
  if (off < 0 || off >= layout.size) return undefined;
  if (off % size !== 0) return undefined;
  return layout.fields.find((row) => rowAllows(row, access));
}

function rowAllows(row: CtxField, access: CtxAccess): boolean {
  if (access.off < row.off || access.off + access.size > row.end) return false;
  if (((access.write ? row.write : row.read) & access.size) === 0) return false;
  if (access.signed && row.unsignedOnly === true) return false;
  if (row.fromStart === true && access.off !== row.off) return false;
  const attach = access.write ? row.writeAttach : row.readAttach;
  return attach === undefined || attach.includes(access.attachType);
}
