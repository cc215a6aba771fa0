/**
 * What kind of value a register holds: a base type in the low byte and modifier flags from bit 8 up, in
 * one number so that a register's TYPE is one word of its state. Bases and flags are the kernel's
 * (`enum bpf_reg_type`, `enum bpf_type_flag`), in its order; the printed names are those of its log
 * (`reg_type_str`).
 */

/** The base types. */
export const regTypes = {
  notInit: 0,
  scalar: 1,
  ctx: 2,
  constMapPtr: 3,
  mapValue: 4,
  mapKey: 5,
  stack: 6,
  packetMeta: 7,
  packet: 8,
  packetEnd: 9,
  flowKeys: 10,
  socket: 11,
  sockCommon: 12,
  tcpSock: 13,
  tpBuffer: 14,
  xdpSock: 15,
  btfId: 16,
  mem: 17,
  arena: 18,
  buf: 19,
  func: 20,
  constDynptr: 21,
} as const;
/** A base type or a base type with flags. */
export type RegType = number;

/** The name of each base type in the log; a BTF pointer's is followed by the name of its struct. */
const baseNames: readonly string[] = [
  '?',
  'scalar',
  'ctx',
  'map_ptr',
  'map_value',
  'map_key',
  'fp',
  'pkt_meta',
  'pkt',
  'pkt_end',
  'flow_keys',
  'sock',
  'sock_common',
  'tcp_sock',
  'tp_buffer',
  'xdp_sock',
  'ptr_',
  'mem',
  'arena',
  'buf',
  'func',
  'dynptr_ptr',
];

const BASE_BITS = 8;
const flag = (bit: number): number => 1 << (BASE_BITS + bit);

/** Modifiers of a type: of registers, and of helper arguments and return values too. */
export const typeFlags = {
  maybeNull: flag(0),
  rdonly: flag(1),
  ringbuf: flag(2),
  user: flag(3),
  percpu: flag(4),
  release: flag(5),
  untrusted: flag(6),
  uninit: flag(7),
  dynptrLocal: flag(8),
  dynptrRingbuf: flag(9),
  fixedSize: flag(10),
  alloc: flag(11),
  trusted: flag(12),
  rcu: flag(13),
  nonOwnRef: flag(14),
  dynptrSkb: flag(15),
  dynptrXdp: flag(16),
  aligned: flag(17),
  write: flag(18),
  dynptrSkbMeta: flag(19),
} as const;

/** The flags that the log shows before a name, in its order. */
const prefixes: readonly (readonly [flag: number, text: string])[] = [
  [typeFlags.rdonly, 'rdonly_'],
  [typeFlags.ringbuf, 'ringbuf_'],
  [typeFlags.user, 'user_'],
  [typeFlags.percpu, 'percpu_'],
  [typeFlags.rcu, 'rcu_'],
  [typeFlags.untrusted, 'untrusted_'],
  [typeFlags.trusted, 'trusted_'],
];

export function baseType(type: RegType): number {
  return type & 0xff;
}

export function typeFlagsOf(type: RegType): number {
  return type & ~0xff;
}

export function mayBeNull(type: RegType): boolean {
  return (type & typeFlags.maybeNull) !== 0;
}

/** The name of a type as the log prints it, e.g. `map_value_or_null`, `rdonly_mem`, `trusted_ptr_or_null_`. */
export function regTypeName(type: RegType): string {
  const base = baseType(type);
  let name = baseNames[base] ?? '?';
  if (mayBeNull(type)) name += base === regTypes.btfId ? 'or_null_' : '_or_null';
  let prefix = '';
  for (const [bit, text] of prefixes) if (type & bit) prefix += text;
  return prefix + name;
}
