/**
 * A program as it is put together: functions one after the other, each a copy of its section's bytes that is changed
 * in place. What goes where, code.ts decides.
 */
import type { ElfSection } from '../elf/elf.ts';
import type { SpecReference, SymbolReference } from './spec.ts';

/** Bytes of an instruction slot. */
export const slotSize = 8;

/** A function: bytes `start` to `end` of its section. */
export interface ElfFunction {
  readonly name: string;
  readonly section: ElfSection;
  readonly start: number;
  readonly end: number;
  readonly binding: number;
}

/** A function's place in a program: its first slot, and its code, a copy. */
export interface Part {
  readonly of: ElfFunction;
  readonly base: number;
  readonly code: Uint8Array;
  /** The same. */
  readonly view: DataView;
}

/** A program as it grows. */
export class Assembly {
  readonly parts: Part[] = [];
  readonly placed = new Map<ElfFunction, number>();
  readonly references: SpecReference[] = [];
  readonly symbols: SymbolReference[] = [];
  private slots = 0;

  append(of: ElfFunction): Part {
    const code = new Uint8Array(of.section.data.subarray(of.start, of.end));
    const part = { of, base: this.slots, code, view: new DataView(code.buffer) };
    this.parts.push(part);
    this.placed.set(of, part.base);
    this.slots += part.code.length / slotSize;
    return part;
  }
}

/** One instruction slot in a part: the fields that linking looks at. */
export class CodeSlot {
  readonly part: Part;
  readonly slot: number;
  /** In the part's code. */
  private readonly at: number;

  constructor(part: Part, slot: number) {
    this.part = part;
    this.slot = slot;
    this.at = slot * slotSize;
  }

  get opcode(): number {
    return this.part.code[this.at]!;
  }

  get src(): number {
    return this.part.code[this.at + 1]! >> 4;
  }

  set src(value: number) {
    const { code } = this.part;
    code[this.at + 1] = (code[this.at + 1]! & 0xf) | (value << 4);
  }

  get imm(): number {
    return this.part.view.getInt32(this.at + 4, true);
  }

  set imm(value: number) {
    this.part.view.setInt32(this.at + 4, value, true);
  }

  set secondImm(value: number) {
    this.part.view.setInt32(this.at + slotSize + 4, value, true);
  }

  /** In its section. */
  get offset(): number {
    return this.part.of.start + this.at;
  }

  /** For messages. */
  get place(): string {
    return `section '${this.part.of.section.name}', function '${this.part.of.name}', instruction ${this.slot}`;
  }
}
