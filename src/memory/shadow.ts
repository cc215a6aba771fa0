/**
 * Which bytes of the memory are allocated: one byte for each granule of eight, holding how many of its
 * first bytes are (0 … 8). At least one granule before each allocation is free, so that a run of allocated
 * granules is one allocation and an access never strays from one into the next.
 */

const GRANULE_LOG = 3;
const GRANULE = 1 << GRANULE_LOG;

export class Shadow {
  private bytes: Uint8Array;
  private limit: number;

  constructor(memoryBytes: number) {
    this.bytes = new Uint8Array(memoryBytes >>> GRANULE_LOG);
    this.limit = memoryBytes;
  }

  grow(memoryBytes: number): void {
    const bytes = new Uint8Array(memoryBytes / GRANULE);
    bytes.set(this.bytes);
    this.bytes = bytes;
    this.limit = memoryBytes;
  }

  /** `address` is a multiple of the granule. */
  mark(address: number, size: number): void {
    const first = address / GRANULE;
    const whole = Math.floor(size / GRANULE);
    this.bytes.fill(GRANULE, first, first + whole);
    if (size % GRANULE !== 0) this.bytes[first + whole] = size % GRANULE;
  }

  clear(address: number, size: number): void {
    this.bytes.fill(0, address / GRANULE, Math.ceil((address + size) / GRANULE));
  }

  /** Whether all of [address, address + size) is marked; the common access touches one or two granules. */
  covers(address: number, size: number): boolean {
    if (!(address >= 0 && size > 0 && address + size <= this.limit)) return false;
    const bytes = this.bytes;
    let granule = address >>> GRANULE_LOG;
    let end = (address & (GRANULE - 1)) + size;
    while (end > GRANULE) {
      if (bytes[granule] !== GRANULE) return false;
      granule++;
      end -= GRANULE;
    }
    return (bytes[granule] as number) >= end;
  }
}
