/**
 * The registers of one function while it is written: r0 … r9 as 64-bit locals, r10 as the address of the
 * frame (nothing verified writes it). Reading and writing them in either width, and addresses made of them.
 */
import { STACK_BYTES } from '../../run.ts';
import type { Code, Local } from '../wasm/index.ts';

export class Frame {
  readonly code: Code;
  /** r0 … r9, and r10 where an instruction writes it. */
  private readonly registers: readonly Local[];
  /** The lowest address of this frame's stack. */
  readonly stack: Local;
  private readonly scratch = new Map<string, Local>();

  constructor(code: Code, registers: readonly Local[], stack: Local) {
    this.code = code;
    this.registers = registers;
    this.stack = stack;
  }

  get(register: number): void {
    const local = this.registers[register];
    if (local !== undefined) {
      this.code.get(local);
      return;
    }
    this.stackTop();
    this.code.op('i64.extend_i32_u');
  }

  private stackTop(): void {
    this.code.get(this.stack);
    this.code.i32(STACK_BYTES);
    this.code.op('i32.add');
  }

  get32(register: number): void {
    const local = this.registers[register];
    if (local === undefined) {
      this.stackTop();
      return;
    }
    this.code.get(local);
    this.code.op('i32.wrap_i64');
  }

  /** Sets it to the 64-bit value on the stack. */
  set(register: number): void {
    this.code.set(this.registers[register]!);
  }

  /** Sets it to the 32-bit value on the stack; the upper half becomes zero. */
  set32(register: number): void {
    this.code.op('i64.extend_i32_u');
    this.set(register);
  }

  /** Puts the address `register` + `off` on the stack, less the returned offset of the access. */
  address(register: number, off: number): number {
    if (this.registers[register] === undefined && off >= -STACK_BYTES) {
      this.code.get(this.stack);
      return STACK_BYTES + off;
    }
    this.get32(register);
    if (off >= 0) return off;
    this.code.i32(off);
    this.code.op('i32.add');
    return 0;
  }

  /** A local for a value in between; one for each name and type. */
  temporary(name: string, type: 'i32' | 'i64'): Local {
    let local = this.scratch.get(name);
    if (local === undefined) this.scratch.set(name, (local = this.code.local(name, type)));
    return local;
  }
}
