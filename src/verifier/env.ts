/**
 * What the parts of the verifier share about one program: its instructions, the maps that it names, its
 * subprograms, what the static passes found out, where the exploration stands, the log, and the way out of a
 * bad program (`reject`).
 */

import { SkepError } from '../base/index.ts';
import type { Btf } from '../btf/index.ts';
import {
  decodeLenient,
  type Insn,
  type InvalidInsn,
  type RawInsn,
  slotBytes,
  wordsOf,
} from '../isa/index.ts';
import { attachTypes } from '../uapi/attach-types.ts';
import { type CtxLayout, contexts } from '../uapi/contexts.ts';
import type { Errno } from '../uapi/errno.ts';
import { impliedAttachTypes } from '../uapi/expected-attach.ts';
import type { HelperProto } from '../uapi/helper-protos.ts';
import type { HelperName } from '../uapi/helpers.ts';
import { type ProgTypeName, progTypeName } from '../uapi/prog-types.ts';
import type { AttachTarget } from './attach-target.ts';
import { BtfObjects, readOnce } from './btf-objects.ts';
import { FactsBuilder } from './facts.ts';
import type { BadArgs, GlobalArg } from './global-args.ts';
import { type KernelRules, rulesOf } from './kernels.ts';
import { Log, SourceLines } from './log/index.ts';
import { Loops } from './loops.ts';
import { StackLiveness } from './stack-liveness.ts';
import { Frame, MAX_STACK } from './state/frame.ts';
import type { RegType } from './state/reg-types.ts';
import { type HistoryEntry, State } from './state/state.ts';
import type { MapFacts, VerifierInput } from './types.ts';

/** BPF_F_STRICT_ALIGNMENT, BPF_F_ANY_ALIGNMENT, BPF_F_TEST_STATE_FREQ, BPF_F_SLEEPABLE. */
export const progFlags = { strictAlignment: 1, anyAlignment: 2, testStateFreq: 8, sleepable: 16 } as const;

/** Thrown inside the verifier alone: the program is refused, the message is in the log. */
export class Rejection {
  readonly errno: Errno;
  constructor(errno: Errno) {
    this.errno = errno;
  }
}

export interface Subprog {
  name: string | undefined;
  readonly start: number;
  end: number;
  stackDepth: number;
  /** Its slots (postorder.ts). */
  postorder: Int32Array;
  hasTailCall: boolean;
  tailCallReachable: boolean;
  hasLdAbs: boolean;
  changesPacket: boolean;
  /** From BTF: verified by itself, its callers assume nothing of it. */
  isGlobal: boolean;
  /** Called by helpers; by timers and the like. */
  isCallback: boolean;
  isAsync: boolean;
  mightSleep: boolean;
  /** Its BTF does not say what it is called with. */
  unreliable: boolean;
  /** Its function in the program's BTF, or 0; and its arguments, once somebody asked. */
  btfId: number;
  args: readonly GlobalArg[] | BadArgs | undefined;
}

const EXIT = 0x95;

/** Linux does not look at the offset of an exit. */
function asLinuxReads(insn: Insn | InvalidInsn | undefined): Insn | InvalidInsn | undefined {
  if (insn?.op !== 'invalid' || insn.raw.opcode !== EXIT) return insn;
  const { dst, src, imm } = insn.raw;
  return dst === 0 && src === 0 && imm === 0 ? { op: 'exit' } : insn;
}

/** What a two-slot load puts into its register. */
export type WideLoad =
  | { readonly kind: 'map'; readonly map: number }
  | { readonly kind: 'value'; readonly map: number; readonly offset: number }
  | { readonly kind: 'func'; readonly subprog: number }
  /** A variable of the kernel: memory of a size, or a pointer to a type. */
  | { readonly kind: 'variable'; readonly type: RegType; readonly typeId: number; readonly size: number };

/** A branch that is still to be explored. */
export interface Pending {
  readonly state: State;
  readonly insn: number;
  readonly prevInsn: number;
  readonly logLength: number;
}

/** A remembered state at a prune point. */
export interface Checkpoint {
  readonly state: State;
  hits: number;
  misses: number;
  dropped: boolean;
  cleaned: boolean;
}

/** A helper that the program may call. */
export interface CalledHelper {
  readonly name: HelperName;
  readonly proto: HelperProto;
}

export class Env {
  readonly input: VerifierInput;
  readonly rules: KernelRules;
  readonly log: Log;
  readonly insns: readonly (Insn | InvalidInsn | undefined)[];
  readonly count: number;
  /** The raw program, two words a slot; see `opcode` and the like. */
  private readonly words: Int32Array;
  /** Where control goes from a slot: two places each (successors.ts). */
  edges: Int32Array = new Int32Array();
  /** Whether any of them goes back. */
  goesBack = false;
  readonly progType: ProgTypeName | undefined;
  readonly context: CtxLayout | undefined;
  readonly attachType: number;
  readonly strictAlignment: boolean;
  readonly testStateFreq: boolean;
  /** CAP_PERFMON: pointers may leak, and nothing is done against speculation. */
  readonly allowLeaks: boolean;
  /** Loaded as a program that may sleep; what runs at the moment says `state.sleepable`. */
  readonly sleepable: boolean;
  btf: Btf | undefined;
  /** Every BTF that registers have types of. */
  readonly types: BtfObjects;
  /** Whether it names an arena: it can have one. */
  hasArena = false;
  /** Of programs that are typed by BTF. */
  target: AttachTarget | undefined;
  lines: SourceLines | undefined;
  readonly maps: MapFacts[] = [];
  private readonly innerMaps = new Map<MapFacts, MapFacts>();
  /** Those of `maps` that the program names; inner maps come after them. */
  namedMaps = 0;
  readonly wideLoads = new Map<number, WideLoad>();
  subprogs: Subprog[] = [];
  /** Slots where states are remembered and compared; where history is kept; where a state is forced. */
  readonly prunePoint: Uint8Array;
  readonly jumpPoint: Uint8Array;
  readonly forceCheckpoint: Uint8Array;
  /** Calls of helpers that call back. */
  readonly callsBack: Uint8Array;
  /** Where speculation stops: bit 0 before the instruction, bit 1 after it. */
  readonly fences: Uint8Array;
  /** Calls of the function that moves an iterator on. */
  readonly iteratorSteps: Uint8Array;
  /** Registers that are read before they are written, by slot: bit n is rn. */
  readonly liveRegs: Uint16Array;
  /** Kept by precision.ts: what makes an instruction of interest to it. */
  readonly backtracked: Uint16Array;
  /** The loop that a slot belongs to; 0 is none. */
  readonly scc: Uint32Array;
  /** What kind of pointer a memory instruction has been seen to use (0: none yet). */
  readonly pointerSeen: Int32Array;
  readonly seen: Uint8Array;
  readonly facts: FactsBuilder;

  readonly stackLiveness: StackLiveness = new StackLiveness(this);

  /** Where the exploration stands. */
  state = new State();
  insn = 0;
  prevInsn = 0;
  pending: Pending[] = [];
  checkpoints: (Checkpoint[] | undefined)[] = [];
  history: HistoryEntry | undefined = undefined;
  /** Set by an instruction that throws an exception. */
  threw = false;
  /** Set by an instruction that returns from its subprogram without an exit. */
  returnNow = false;
  /** By slot: what the addition there does to pointers, for loaders that must not speculate. */
  readonly sanitized = new Map<number, string>();
  /** Set once such an addition moves by an unknown number: then states are told apart by every scalar. */
  exploreAluLimits = false;
  /** By slot of a tail call: its map, or -1 where paths disagree. */
  readonly tailCallMaps = new Map<number, number>();
  /** By slot of a bpf_loop call: its callback, or -1 where it cannot be inlined. */
  readonly loopCallbacks = new Map<number, number>();
  /** By slot of a call that goes over a map: the map, or -1 where paths disagree. */
  readonly forEachMaps = new Map<number, number>();
  /** The end of the last byte of the context that the program touches. */
  maxCtxOffset = 0;
  /** Why the program is refused, where the log's last line does not say. */
  message: string | undefined;
  /** A load that passes and cannot be rewritten to one of the kernel's own structs. */
  unconvertible = false;
  /** The subprogram that an exception ends the program with, or -1. */
  exceptionCallback = -1;
  /** A reachable call of no kernel function. */
  missingKfunc = false;
  /** Helpers that are called, by number, once they have been found. */
  readonly calledHelpers = new Map<number, CalledHelper>();
  readonly calledGlobals = new Set<number>();
  readonly verifiedGlobals = new Set<number>();
  readonly loops: Loops = new Loops(this);
  /** Paths kept by `loops`. */
  backedges = 0;
  /** Checkpoints that are no longer compared with but still have open paths. */
  readonly droppedStates = new Set<State>();
  processed = 0;
  jumpsProcessed = 0;
  prevProcessed = 0;
  prevJumpsProcessed = 0;
  maxStatesPerInsn = 0;
  totalStates = 0;
  peakStates = 0;
  exploredStates = 0;
  freeStates = 0;
  idGen = 0;
  /** Registers and slots changed since they were last printed. */
  scratchedRegs = 0;
  scratchedLow = 0;
  scratchedHigh = 0;
  /** Scratch registers: an immediate as a register, operands of pointer arithmetic. */
  readonly fake: Frame = new Frame(0);

  constructor(input: VerifierInput) {
    this.input = input;
    this.rules = rulesOf(input.kernel);
    this.log = new Log(input.logLevel);
    this.insns = decodeLenient(input.insns).map(asLinuxReads);
    this.words = wordsOf(input.insns);
    this.count = Math.floor(input.insns.length / slotBytes);
    this.progType = progTypeName(input.progType);
    this.context = this.progType === undefined ? undefined : contexts[this.progType];
    const implied = this.progType === undefined ? undefined : impliedAttachTypes[this.progType];
    this.attachType =
      implied !== undefined && input.expectedAttachType === 0
        ? attachTypes[implied].id
        : input.expectedAttachType;
    this.strictAlignment =
      (input.progFlags & progFlags.strictAlignment) !== 0 && (input.progFlags & progFlags.anyAlignment) === 0;
    this.sleepable = (input.progFlags & progFlags.sleepable) !== 0;
    this.testStateFreq = (input.progFlags & progFlags.testStateFreq) !== 0;
    this.allowLeaks = input.capabilities.perfmon;
    const { count } = this;
    // Views of one buffer: eleven of their own would take longer to make than a small program to verify.
    const buffer = new ArrayBuffer(19 * count);
    const bytes = (at: number): Uint8Array => new Uint8Array(buffer, at * count, count);
    this.scc = new Uint32Array(buffer, 0, count);
    this.pointerSeen = new Int32Array(buffer, 4 * count, count);
    this.liveRegs = new Uint16Array(buffer, 8 * count, count);
    this.backtracked = new Uint16Array(buffer, 10 * count, count);
    this.prunePoint = bytes(12);
    this.jumpPoint = bytes(13);
    this.forceCheckpoint = bytes(14);
    this.callsBack = bytes(15);
    this.iteratorSteps = bytes(16);
    this.fences = bytes(17);
    this.seen = bytes(18);
    this.facts = new FactsBuilder(count);
    this.types = new BtfObjects(input);
  }

  /** Read the program's BTF, if it has one; false where it is no BTF. */
  readBtf(): boolean {
    const { btf, lineInfo } = this.input;
    if (btf === undefined) return true;
    try {
      this.btf = readOnce(btf);
      if (lineInfo !== undefined) this.lines = new SourceLines(this.btf, lineInfo);
      return true;
    } catch (error) {
      if (error instanceof SkepError) return false;
      throw error;
    }
  }

  /** A raw instruction; its fields one by one, for what goes over all of a program. */
  raw(slot: number): RawInsn {
    const first = this.words[2 * slot] as number;
    return {
      opcode: first & 0xff,
      dst: (first >>> 8) & 0xf,
      src: (first >>> 12) & 0xf,
      off: first >> 16,
      imm: this.imm(slot),
    };
  }

  opcode(slot: number): number {
    return (this.words[2 * slot] as number) & 0xff;
  }

  src(slot: number): number {
    return ((this.words[2 * slot] as number) >>> 12) & 0xf;
  }

  off(slot: number): number {
    return (this.words[2 * slot] as number) >> 16;
  }

  imm(slot: number): number {
    return this.words[2 * slot + 1] as number;
  }

  get frame(): Frame {
    return this.state.frame;
  }

  write(text: string): void {
    this.log.write(text);
  }

  /** Log `message` as a line of its own and give up. */
  reject(errno: Errno, message: string): never {
    this.log.write(`${message}\n`);
    throw new Rejection(errno);
  }

  /** Give up; what is wrong is in the log already. */
  fail(errno: Errno): never {
    throw new Rejection(errno);
  }

  newId(): number {
    return ++this.idGen;
  }

  map(index: number): MapFacts {
    return this.maps[index] as MapFacts;
  }

  /** States kept, at most so far (update_peak_states). */
  notePeak(): void {
    this.peakStates = Math.max(this.peakStates, this.exploredStates + this.freeStates + this.backedges);
  }

  /** The index of the map that a map of maps holds. */
  innerMap(map: MapFacts): number {
    // What is found in a map of maps has no name of its own.
    let inner = this.innerMaps.get(map);
    if (inner === undefined) {
      inner = { ...(map.innerMap as MapFacts), name: '' };
      this.innerMaps.set(map, inner);
    }
    const known = this.maps.indexOf(inner);
    return known >= 0 ? known : this.maps.push(inner) - 1;
  }

  touchReg(reg: number): void {
    this.scratchedRegs |= 1 << reg;
  }

  touchSlot(slot: number): void {
    if (slot < 32) this.scratchedLow |= 1 << slot;
    else this.scratchedHigh |= 1 << (slot & 31);
  }

  touchAll(): void {
    this.scratchedRegs = this.scratchedLow = this.scratchedHigh = -1;
  }

  get scratched(): boolean {
    return (this.scratchedRegs | this.scratchedLow | this.scratchedHigh) !== 0;
  }

  /** A frame's stack reaches down to `-bytes`: there is room for it, and its subprogram needs it. */
  growStack(frame: Frame, bytes: number): void {
    const depth = Math.min(MAX_STACK, Math.ceil(bytes / 8) * 8);
    frame.growTo(depth / 8);
    const subprog = this.subprogs[frame.subprog] as Subprog;
    if (subprog.stackDepth < depth) subprog.stackDepth = depth;
  }

  /** The subprogram that holds a slot. */
  subprogAt(slot: number): number {
    let low = 0;
    let high = this.subprogs.length - 1;
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if ((this.subprogs[mid] as Subprog).start <= slot) low = mid;
      else high = mid - 1;
    }
    return low;
  }

  /** The subprogram that starts at a slot, or -1. */
  subprogStarting(slot: number): number {
    const index = this.subprogAt(slot);
    return (this.subprogs[index] as Subprog).start === slot ? index : -1;
  }
}
