/**
 * The body of one function: instructions by name, locals by name, labels as values. A label knows the depth
 * at which it was opened; the relative depth that the format wants is counted here.
 */
import { Bug } from '../../../base/errors.ts';
import { ByteWriter } from './bytes.ts';
import {
  type AccessOp,
  type BulkOp,
  bulk,
  NO_RESULT,
  opcodes,
  type PlainOp,
  type ValueType,
  valueTypes,
} from './opcodes.ts';

export interface FunctionType {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** An open block or loop. */
export interface Label {
  /** How many were open when it was opened. */
  readonly level: number;
}

export interface Local {
  readonly index: number;
  readonly type: ValueType;
  readonly name: string;
}

/** A function of the module, imported or defined. */
export interface FunctionRef {
  readonly index: number;
  readonly name: string;
}

export class Code {
  readonly name: string;
  readonly type: FunctionType;
  readonly locals: Local[] = [];
  private readonly out = new ByteWriter();
  private open = 0;

  /** `params` are names, one for each parameter of the type. */
  constructor(name: string, type: FunctionType, params: readonly string[]) {
    if (params.length !== type.params.length) throw new Bug(`${name}: a parameter without a name`);
    this.name = name;
    this.type = type;
    type.params.forEach((valueType, i) => {
      this.local(params[i]!, valueType);
    });
  }

  /** A new local, zero at first; the first ones are the parameters. */
  local(name: string, type: ValueType): Local {
    const local = { index: this.locals.length, type, name };
    this.locals.push(local);
    return local;
  }

  /** Bytes so far. */
  get size(): number {
    return this.out.length;
  }

  op(name: PlainOp): void {
    this.out.byte(opcodes[name][0]);
  }

  i32(value: number): void {
    this.out.byte(opcodes['i32.const'][0]);
    this.out.i32(value);
  }

  /** A whole number, or 64 bits. */
  i64(value: bigint | number): void {
    this.out.byte(opcodes['i64.const'][0]);
    if (typeof value === 'number' && value === (value | 0)) this.out.i32(value);
    else this.out.i64(BigInt(value));
  }

  get(local: Local): void {
    this.out.byte(opcodes['local.get'][0]);
    this.out.u32(local.index);
  }

  set(local: Local): void {
    this.out.byte(opcodes['local.set'][0]);
    this.out.u32(local.index);
  }

  tee(local: Local): void {
    this.out.byte(opcodes['local.tee'][0]);
    this.out.u32(local.index);
  }

  /**
   * A load or store at the address on the stack plus `offset`. No alignment is promised: what is emitted is
   * a hint, and 0 is right for all.
   */
  access(name: AccessOp, offset = 0): void {
    this.out.byte(opcodes[name][0]);
    this.out.u32(0);
    this.out.u32(offset);
  }

  call(target: FunctionRef): void {
    this.out.byte(opcodes.call[0]);
    this.out.u32(target.index);
  }

  /** memory.fill(address, byte, size) and memory.copy(to, from, size), all three on the stack. */
  bulk(name: BulkOp): void {
    const { subcode, memories } = bulk[name];
    this.out.byte(opcodes[name][0]);
    this.out.u32(subcode);
    for (let i = 0; i < memories; i++) this.out.byte(0);
  }

  /** Calls the function of a type whose index in the module's table is on the stack; or goes on there for good. */
  callIndirect(name: 'call_indirect' | 'return_call_indirect', typeIndex: number): void {
    this.out.byte(opcodes[name][0]);
    this.out.u32(typeIndex);
    this.out.byte(0);
  }

  private enter(name: 'block' | 'loop' | 'if', result?: ValueType): Label {
    this.out.byte(opcodes[name][0]);
    this.out.byte(result === undefined ? NO_RESULT : valueTypes[result]);
    return { level: this.open++ };
  }

  block(): Label {
    return this.enter('block');
  }

  loop(): Label {
    return this.enter('loop');
  }

  if(result?: ValueType): Label {
    return this.enter('if', result);
  }

  else(): void {
    this.out.byte(opcodes.else[0]);
  }

  end(): void {
    if (this.open-- === 0) throw new Bug(`${this.name}: end without a block`);
    this.out.byte(opcodes.end[0]);
  }

  private depthOf(label: Label): number {
    if (label.level >= this.open) throw new Bug(`${this.name}: branch to a block that is closed`);
    return this.open - 1 - label.level;
  }

  br(label: Label): void {
    this.out.byte(opcodes.br[0]);
    this.out.u32(this.depthOf(label));
  }

  brIf(label: Label): void {
    this.out.byte(opcodes.br_if[0]);
    this.out.u32(this.depthOf(label));
  }

  brTable(labels: readonly Label[], otherwise: Label): void {
    this.out.byte(opcodes.br_table[0]);
    this.out.u32(labels.length);
    for (const label of labels) this.out.u32(this.depthOf(label));
    this.out.u32(this.depthOf(otherwise));
  }

  /** The instructions, without the end of the function; good until the next instruction. */
  instructions(): Uint8Array {
    if (this.open !== 0) throw new Bug(`${this.name}: ${this.open} blocks are still open`);
    return this.out.peek();
  }

  /** As the code section has it: groups of locals, instructions, end. And where the instructions start. */
  body(): { readonly bytes: Uint8Array; readonly start: number } {
    const body = new ByteWriter();
    const groups: { type: ValueType; count: number }[] = [];
    for (const { type } of this.locals.slice(this.type.params.length)) {
      const last = groups.at(-1);
      if (last?.type === type) last.count++;
      else groups.push({ type, count: 1 });
    }
    body.u32(groups.length);
    for (const { type, count } of groups) {
      body.u32(count);
      body.byte(valueTypes[type]);
    }
    const start = body.length;
    body.bytes(this.instructions());
    body.byte(opcodes.end[0]);
    return { bytes: body.take(), start };
  }
}
