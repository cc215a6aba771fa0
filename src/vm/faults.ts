/**
 * What a program did that a verified program cannot do: either the verifier let it through, or the runtime
 * broke a promise. The reference interpreter checks and says where; these are bugs of ours, not of the user.
 */
import { Bug } from '../base/errors.ts';

export class ProgramFault extends Bug {
  override readonly name: string = 'ProgramFault';
  /** The slot of the instruction. */
  readonly slot: number;

  /** `source` is the line of C that the instruction is of, where that is known. */
  constructor(slot: number, message: string, source?: string) {
    super(`instruction ${slot}: ${message}${source === undefined ? '' : ` (${source})`}`);
    this.slot = slot;
  }
}

export class MemoryFault extends ProgramFault {
  override readonly name = 'MemoryFault';
  /** As computed, unsigned 64 bits. */
  readonly address: bigint;
  readonly size: number;

  constructor(slot: number, access: { readonly address: bigint; readonly size: number }, source?: string) {
    const { address, size } = access;
    const message = `access of ${size} bytes at 0x${address.toString(16)}, which the program may not reach`;
    super(slot, message, source);
    this.address = address;
    this.size = size;
  }
}
