/**
 * mmap(2) of BPF objects: arrays made with BPF_F_MMAPABLE, ring buffers, perf events. A view that someone
 * kept after `unmap` must not reach memory that is someone else's by then, so the pages are not given back
 * but replaced by empty ones, for as long as there is a view.
 */
import { BpfError } from '../uapi/errno.ts';
import type { Mapping } from '../uapi/seam.ts';
import { type Libc, lastError } from './libc.ts';

const PROT_READ = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FIXED_NOREPLACE = 0x100000;
const MAP_PRIVATE_FIXED_ANONYMOUS = 0x32;

interface Range {
  readonly libc: Libc;
  readonly address: number;
  readonly length: number;
}

const lastViews = new FinalizationRegistry<Range>(({ libc, address, length }) => {
  libc.munmap(address, length);
});

/**
 * Maps `length` bytes of what `fd` refers to. Writing to a mapping that is not writable kills the process
 * (SIGSEGV), as it does in C.
 * @throws {BpfError} as mmap(2)
 */
export function mapFd(
  libc: Libc,
  fd: number,
  {
    length,
    offset,
    writable,
    address: wanted = 0,
  }: { length: number; offset: number; writable: boolean; address?: number | undefined },
): Mapping {
  if (!Number.isSafeInteger(length) || length < 0)
    throw new BpfError('EINVAL', 'mmap', `a length of ${length}`);
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw new BpfError('EINVAL', 'mmap', `an offset of ${offset}`);
  const prot = writable ? PROT_READ_WRITE : PROT_READ;
  const flags = MAP_SHARED | (wanted === 0 ? 0 : MAP_FIXED_NOREPLACE);
  const address = libc.mmap(wanted, length, prot, flags, fd, offset);
  if (address === -1) throw lastError(libc, 'mmap');
  const buffer = libc.view(address, length);
  lastViews.register(buffer, { libc, address, length });
  let bytes = new Uint8Array(buffer);
  return {
    get bytes() {
      return bytes;
    },
    unmap() {
      if (bytes.length === 0) return;
      bytes = new Uint8Array();
      libc.mmap(address, length, PROT_READ_WRITE, MAP_PRIVATE_FIXED_ANONYMOUS, -1, 0);
    },
  };
}
