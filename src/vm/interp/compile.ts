/**
 * From instructions to the flat form that the interpreter steps through: four words a slot (operation, d, s,
 * x; see operations.ts), immediates turned into constants, jumps into slots. What this runtime cannot do is
 * refused first (runnable.ts).
 */
import { Bug, unreachable } from '../../base/errors.ts';
import type { AtomicOp, Insn, Operand } from '../../isa/insn.ts';
import { helperCode } from '../helpers/table.ts';
import { TAIL_CALL } from '../run.ts';
import { checkRunnable } from '../runnable.ts';
import type { RunnableProgram } from '../types.ts';
import { type OperationName, operations } from './operations.ts';
import { FIRST_CONSTANT, type Plan, WORDS } from './plan.ts';

const names = Object.keys(operations) as OperationName[];
const codes = new Map(names.map((name, code) => [name, code]));
/** Operations by the number that stands in the code. */
export const operationByCode = names.map((name) => operations[name]);

type Row = readonly [operation: OperationName, d?: number, s?: number, x?: number];

const title = <T extends string>(word: T) => `${word[0]!.toUpperCase()}${word.slice(1)}` as Capitalize<T>;

/** `atomicAdd4`, `fetchAdd4`: xchg and cmpxchg always fetch. */
function atomicName(op: AtomicOp, fetch: boolean, size: 4 | 8): OperationName {
  if (op === 'xchg' || op === 'cmpxchg') return `fetch${title(op)}${size}`;
  return `${fetch ? 'fetch' : 'atomic'}${title(op)}${size}`;
}

class Compiler {
  readonly constants: bigint[] = [];
  private readonly indices = new Map<bigint, number>();
  private readonly program: RunnableProgram;

  constructor(program: RunnableProgram) {
    this.program = program;
  }

  /** The read-only register that holds `value`. */
  private constant(value: bigint): number {
    let index = this.indices.get(value);
    if (index === undefined) {
      index = FIRST_CONSTANT + this.constants.length;
      this.constants.push(value);
      this.indices.set(value, index);
    }
    return index;
  }

  private operand(operand: Operand): number {
    return 'reg' in operand ? operand.reg : this.constant(BigInt(operand.imm));
  }

  /** The slot that a jump at `slot` by `off` goes to; one outside the program becomes the slot past the end. */
  private target(slot: number, off: number): number {
    const to = slot + 1 + off;
    const { length } = this.program.insns;
    return to >= 0 && to < length ? to : length;
  }

  row(insn: Insn, slot: number): Row {
    switch (insn.op) {
      case 'alu':
        return [`${insn.alu}${insn.bits}`, insn.dst, this.operand(insn.src)];
      case 'neg':
        return [`neg${insn.bits}`, insn.dst];
      case 'movsx':
        // A 32-bit move of 32 bits extends nothing.
        if (insn.bits === 32 && insn.from === 32) return ['mov32', insn.dst, insn.src];
        return insn.bits === 64
          ? [`movsx64From${insn.from}`, insn.dst, insn.src]
          : [insn.from === 8 ? 'movsx32From8' : 'movsx32From16', insn.dst, insn.src];
      case 'swap':
        return [`${insn.kind === 'le' ? 'truncate' : 'swap'}${insn.width}`, insn.dst];
      case 'load':
        if (insn.signed && insn.size !== 8) return [`loadSigned${insn.size}`, insn.dst, insn.src, insn.off];
        return [`load${insn.size}`, insn.dst, insn.src, insn.off];
      case 'loadAcquire':
        return [`load${insn.size}`, insn.dst, insn.src, insn.off];
      case 'store':
        return [`store${insn.size}`, insn.dst, this.operand(insn.src), insn.off];
      case 'storeRelease':
        return [`store${insn.size}`, insn.dst, insn.src, insn.off];
      case 'atomic':
        return [atomicName(insn.atomic, insn.fetch, insn.size), insn.dst, insn.src, insn.off];
      case 'ldimm64': {
        // The address of a function is its slot.
        if (insn.pseudo === 'func') {
          return ['ldimm64', insn.dst, this.constant(BigInt(this.target(slot, insn.lo)))];
        }
        const value = (BigInt(insn.hi) << 32n) | BigInt(insn.lo >>> 0);
        return ['ldimm64', insn.dst, this.constant(value)];
      }
      case 'ldPacket':
        return [`packet${insn.size}`, 0, insn.src ?? this.constant(0n), insn.imm];
      case 'ja':
        return ['ja', 0, 0, this.target(slot, insn.off)];
      case 'mayGoto':
        return ['mayGoto', 0, 0, this.target(slot, insn.off)];
      case 'jmp':
        return [`${insn.cond}${insn.bits}`, insn.dst, this.operand(insn.src), this.target(slot, insn.off)];
      case 'call':
        return this.call(insn, slot);
      case 'exit':
        return ['exit'];
      case 'addrSpaceCast':
        throw new Bug('addr_space_cast was not refused');
      default:
        return unreachable(insn);
    }
  }

  private call(insn: Extract<Insn, { op: 'call' }>, slot: number): Row {
    if (insn.kind === 'subprog') return ['call', 0, 0, this.target(slot, insn.imm)];
    if (insn.imm === TAIL_CALL) return ['tailCall'];
    const code = insn.kind === 'helper' ? helperCode(insn.imm) : undefined;
    if (code === undefined) throw new Bug(`a call of ${insn.kind} ${insn.imm} was not refused`);
    return ['helper', 0, 0, code];
  }
}

/** @throws {SkepError} code `not-runnable` */
export function compile(program: RunnableProgram): Plan {
  checkRunnable(program);
  const compiler = new Compiler(program);
  // Two slots past the end lead nowhere: a two-slot load that is cut off goes on at the second.
  const slots = program.insns.length + 2;
  const code = new Int32Array(WORDS * slots);
  for (let slot = 0; slot < slots; slot++) {
    const insn = program.insns[slot];
    const [operation, d = 0, s = 0, x = 0] =
      insn === undefined ? (['nowhere'] as const) : compiler.row(insn, slot);
    code.set([codes.get(operation)!, d, s, x], WORDS * slot);
  }
  return { program, code, constants: BigInt64Array.from(compiler.constants) };
}
