/** Plays recordings into a kernel: a capture into a device, system calls into tracepoints. */
import { SkepError } from '../base/errors.ts';
import type { Device } from '../kernel/devices.ts';
import type { Tracepoints } from '../kernel/tracepoints.ts';
import { type CapturedPacket, type Chunks, linkTypes, readCapture } from '../packet/index.ts';
import { parseStrace, type StraceOptions, type SyscallEvent } from './strace.ts';

/** What a capture is played into: an embedded kernel's device, or anything with such a method. */
export interface Receiver<R> {
  receive(packet: Uint8Array): R;
}

/** What the device did with a packet. */
export type Received = ReturnType<Device['receive']>;

/**
 * Plays a capture into a device, packet by packet; a packet that the capture cut is played as far as it is
 * there.
 *
 * @param chunks pcap or pcapng
 * @param onPacket called after each packet, with what the device said about it
 * @returns the number of packets
 * @throws {SkepError} as `readCapture`, and for packets that are not Ethernet
 */
export async function playCapture<R = Received>(
  chunks: Chunks,
  device: Receiver<R>,
  onPacket?: (packet: CapturedPacket, received: R) => void,
): Promise<number> {
  let count = 0;
  for await (const packet of readCapture(chunks)) {
    if (packet.linkType !== linkTypes.ethernet) {
      throw new SkepError({
        code: 'capture-link-type',
        message: `packet ${count + 1} is of link type ${packet.linkType}; a device takes Ethernet (1)`,
        hint: 'capture on one Ethernet interface, not on `any`',
      });
    }
    const received = device.receive(packet.data);
    count++;
    onPacket?.(packet, received);
  }
  return count;
}

/**
 * Plays system calls into `raw_syscalls`: sys_enter for each, and sys_exit where it returned.
 *
 * @param lines strace's output by line
 * @param tracepoints an embedded kernel's
 * @param onCall called after each call
 * @returns the number of calls
 * @throws {SkepError} as `parseStrace`
 */
export async function playStrace(
  lines: AsyncIterable<string> | Iterable<string>,
  tracepoints: Pick<Tracepoints, 'fire'>,
  options: StraceOptions & { readonly onCall?: (call: SyscallEvent) => void } = {},
): Promise<number> {
  let count = 0;
  for await (const call of parseStrace(lines, options)) {
    const { task, args, ret } = call;
    const id = BigInt(call.nr);
    tracepoints.fire('raw_syscalls:sys_enter', { task, id, args });
    if (ret !== undefined) tracepoints.fire('raw_syscalls:sys_exit', { task, id, ret, args });
    count++;
    options.onCall?.(call);
  }
  return count;
}
