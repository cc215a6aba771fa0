/**
 * One request of route netlink (netlink(7), rtnetlink(7)) and its answer, over a socket that is opened for it.
 * What messages mean is the caller's business; here are their frame and the acknowledgement.
 */
import { BpfError, errnoName } from '../uapi/errno.ts';
import { checked, type Libc } from './libc.ts';

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 0x80003;
const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;

/** struct nlmsghdr */
const header = { size: 16, length: 0, type: 4, flags: 6 } as const;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;
/** Attribute of an acknowledgement: what the kernel says in words. */
const NLMSGERR_ATTR_MSG = 1;

/** As much as the kernel puts into one datagram. */
const DATAGRAM = 1 << 16;

/**
 * Sends a request, which must ask for an acknowledgement (NLM_F_ACK), and returns the messages before that.
 * @throws {BpfError} with the errno of the acknowledgement
 */
export function routeNetlink(libc: Libc, request: Uint8Array): Uint8Array[] {
  const fd = checked(libc, libc.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_ROUTE), 'netlink socket');
  try {
    // Kernels before 4.12 have neither, and their acknowledgements are read all the same.
    for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK]) {
      libc.setsockopt(fd, SOL_NETLINK, option, Uint8Array.of(1, 0, 0, 0), 4);
    }
    checked(libc, libc.send(fd, request, request.length, 0), 'netlink request');
    const answers: Uint8Array[] = [];
    const datagram = new Uint8Array(DATAGRAM);
    for (;;) {
      const length = checked(libc, libc.recv(fd, datagram, datagram.length, 0), 'netlink answer');
      if (takeMessages(datagram.subarray(0, length), answers)) return answers;
    }
  } finally {
    libc.close(fd);
  }
}

/** Adds the messages of a datagram to `answers`; true once the acknowledgement was among them. */
export function takeMessages(datagram: Uint8Array, answers: Uint8Array[]): boolean {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.length);
  let at = 0;
  while (at + header.size <= datagram.length) {
    const length = view.getUint32(at + header.length, true);
    if (length < header.size || at + length > datagram.length) break;
    const message = datagram.slice(at, at + length);
    const type = view.getUint16(at + header.type, true);
    if (type === NLMSG_ERROR) {
      throwError(message);
      return true;
    }
    if (type === NLMSG_DONE) return true;
    answers.push(message);
    at += (length + 3) & ~3;
  }
  if (datagram.length === 0) throw new BpfError('EPIPE', 'netlink', 'the kernel sent nothing');
  return false;
}

/** struct nlmsgerr: an errno, the header of the request, and attributes. */
function throwError(message: Uint8Array): void {
  if (message.length < header.size + 4) throw new BpfError('EBADMSG', 'netlink');
  const view = new DataView(message.buffer);
  const errno = -view.getInt32(header.size, true);
  if (errno === 0) return;
  throw new BpfError(errnoName(errno), 'netlink', extendedMessage(message, view));
}

function extendedMessage(message: Uint8Array, view: DataView): string | undefined {
  const flags = view.getUint16(header.flags, true);
  if ((flags & NLM_F_ACK_TLVS) === 0) return undefined;
  const payload = header.size + 4;
  const skipped = (flags & NLM_F_CAPPED) !== 0 ? header.size : view.getUint32(payload, true);
  for (let at = payload + ((skipped + 3) & ~3); at + 4 <= message.length; ) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > message.length) return undefined;
    if (view.getUint16(at + 2, true) === NLMSGERR_ATTR_MSG) {
      return new TextDecoder().decode(message.subarray(at + 4, at + length)).replace(/\0.*$/s, '');
    }
    at += (length + 3) & ~3;
  }
  return undefined;
}
