/**
 * What a program did that a verified program cannot do: either the verifier let it through, or the runtime
 * broke a promise. The reference interpreter checks and says where; these are bugs of ours, not of the user.
 */
import { Bug } from '../base/errors.ts';

export class ProgramFault extends Bug {
  override readonly name: string = 'ProgramFault';
  /** The slot of the instruction. */
  readonly slot: number;

  constructor(slot: number, message: string) {
    super(`instruction ${slot}: ${message}`);
    this.slot = slot;
  }
}

export class MemoryFault extends ProgramFault {
  override readonly name = 'MemoryFault';
  /** As computed, unsigned 64 bits. */
  readonly address: bigint;
  readonly size: number;

  constructor(slot: number, address: bigint, size: number) {
    super(slot, `access of ${size} bytes at 0x${address.toString(16)}, which the program may not reach`);
    this.address = address;
    this.size = size;
  }
}
