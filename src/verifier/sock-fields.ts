/** What may be read through socket pointers: struct bpf_sock and its relatives. */
import { ctxField, SOCK_SIZE, sockFields } from '../uapi/contexts.ts';
import { type RegType, regTypes } from './state/reg-types.ts';

/** struct bpf_tcp_sock: words, and two 64-bit counters among them. */
const TCP_SOCK_SIZE = 112;
const TCP_SOCK_LONGS = [80, 88];

/** Whether `size` bytes at `off` of a socket of this type are a field. */
export function sockAllows(type: RegType, off: number, size: number): boolean {
  if (type === regTypes.tcpSock) {
    if (off < 0 || off >= TCP_SOCK_SIZE || off % size !== 0) return false;
    return TCP_SOCK_LONGS.includes(off) ? size === 8 : size === 4;
  }
  if (type === regTypes.xdpSock) return off === 0 && size === 4;
  if (type === regTypes.sockCommon && !commonField(off)) return false;
  const access = { off, size, write: false, signed: false, attachType: 0 };
  return ctxField({ size: SOCK_SIZE, fields: sockFields }, access) !== undefined;
}

/** A sock_common has no type, protocol, mark or priority (bpf_sock_common_is_valid_access). */
function commonField(off: number): boolean {
  return off < 8 || off >= 24;
}

/**
 * Whether a load is of the second half of a 64-bit field of a TCP socket: Linux lets it through, and then finds
 * that it cannot rewrite it.
 */
export function isHalfField(type: RegType, off: number, size: number): boolean {
  return type === regTypes.tcpSock && size === 4 && TCP_SOCK_LONGS.includes(off - 4);
}
