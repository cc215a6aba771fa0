/**
 * Subprograms: where they start (add_subprog_and_kfunc), that no jump leaves one and none runs into the next
 * (check_subprogs), and what their stacks need together (check_max_stack_depth).
 */
import { helpers } from '../uapi/helpers.ts';
import type { Env, Subprog } from './env.ts';
import { exceptionCallback } from './exceptions.ts';
import { findKfunc } from './kfuncs.ts';
import { MAX_STACK } from './state/frame.ts';

const CALL = 0x85;
const WIDE_LOAD = 0x18;
/** A function's address as a number. */
const SRC_FUNC = 4;
const EXIT = 0x95;
const JA = 0x05;
const JA_WIDE = 0x06;
const CLASS_JMP = 5;
const CLASS_JMP32 = 6;
const OP_MASK = 0xf0;
const OP_CALL = 0x80;
const OP_EXIT = 0x90;
const SRC_SUBPROG = 1;
const SRC_KFUNC = 2;
/** Frames on the abstract call stack (MAX_CALL_FRAMES). */
export const MAX_FRAMES = 8;
/** Linux's JIT rounds each frame up to this. */
const STACK_ROUND = 16;
const TAIL_CALL_STACK = 256;
/** Frames of at least this size have a stack of their own (BPF_PRIV_STACK_MIN_SIZE) … */
const PRIVATE_STACK_MIN = 64;
/** … in programs of these types, which do not nest in themselves (bpf_enable_priv_stack). */
const privateStacks: readonly (string | undefined)[] = [
  'kprobe',
  'tracepoint',
  'perf_event',
  'raw_tracepoint',
];

export function findSubprogs(env: Env): void {
  const starts = new Set([0]);
  for (let slot = 0; slot < env.count; slot++) {
    const opcode = env.opcode(slot);
    if (opcode !== WIDE_LOAD && opcode !== CALL) continue;
    const raw = env.raw(slot);
    const isFunc = opcode === WIDE_LOAD && raw.src === SRC_FUNC;
    if (!isFunc && (opcode !== CALL || raw.src === 0 || raw.src > SRC_KFUNC)) continue;
    if (!env.input.capabilities.bpf) {
      env.reject(
        'EPERM',
        'loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN',
      );
    }
    if (!isFunc && raw.src === SRC_KFUNC) {
      nameKfunc(env, raw);
      continue;
    }
    const start = slot + raw.imm + 1;
    if (start < 0 || start >= env.count) env.reject('EINVAL', 'call to invalid destination');
    starts.add(start);
    if (starts.size > env.rules.subprogs) env.reject('E2BIG', 'too many subprograms');
  }
  const callback = exceptionCallback(env);
  if (callback !== undefined) starts.add(callback);
  const sorted = [...starts].sort((a, b) => a - b);
  env.subprogs = sorted.map((start, i) => newSubprog(start, sorted[i + 1] ?? env.count));
  if (callback !== undefined) env.exceptionCallback = sorted.indexOf(callback);
  if (!env.log.verbose) return;
  for (const [i, subprog] of env.subprogs.entries()) env.write(`func#${i} @${subprog.start}\n`);
}

const NEGATIVE_OFFSET = 'negative offset disallowed for kernel module function call';
const NO_FD_ARRAY = 'kfunc offset > 0 without fd_array is invalid';

/** What a call of the kernel names (add_kfunc_call). */
function nameKfunc(env: Env, call: { readonly imm: number; readonly off: number }): void {
  if (!env.input.gplCompatible) {
    env.reject('EINVAL', 'cannot call kernel function from non-GPL compatible program');
  }
  // A call of nothing is let through here and refused at the end if it is still reachable.
  if (call.imm === 0 && call.off === 0) return;
  if (env.types.kernel === undefined) {
    env.reject('EINVAL', 'calling kernel functions needs the types of a kernel, and none were given');
  }
  if (call.off !== 0) {
    // Of a module; there are none here.
    env.write(`${call.off < 0 ? NEGATIVE_OFFSET : NO_FD_ARRAY}\n`);
    env.reject(call.off < 0 ? 'EINVAL' : 'EPROTO', 'failed to find BTF for kernel function');
  }
  const kfunc = findKfunc(env, call.imm);
  if (kfunc === undefined) env.reject('EINVAL', `kernel btf_id ${call.imm} is not a function`);
  if (kfunc.name.startsWith('bpf_xdp_metadata_')) {
    env.reject('EINVAL', 'metadata kfuncs require device-bound program');
  }
}

function newSubprog(start: number, end: number): Subprog {
  return {
    name: undefined,
    start,
    end,
    stackDepth: 0,
    hasTailCall: false,
    tailCallReachable: false,
    postorder: new Int32Array(),
    hasLdAbs: false,
    changesPacket: false,
    isGlobal: false,
    isCallback: false,
    isAsync: false,
    mightSleep: false,
    unreliable: false,
    btfId: 0,
    args: undefined,
  };
}

export function checkSubprogs(env: Env): void {
  for (const subprog of env.subprogs) {
    for (let slot = subprog.start; slot < subprog.end; slot++) checkBounds(env, subprog, slot);
  }
}

function checkBounds(env: Env, subprog: Subprog, slot: number): void {
  const opcode = env.opcode(slot);
  const cls = opcode & 7;
  if (opcode === CALL && env.src(slot) === 0 && env.imm(slot) === helpers.tail_call.id) {
    subprog.hasTailCall = true;
    subprog.tailCallReachable = true;
  }
  if (cls === 0 && ((opcode & 0xe0) === 0x20 || (opcode & 0xe0) === 0x40)) subprog.hasLdAbs = true;
  const op = opcode & OP_MASK;
  if ((cls === CLASS_JMP || cls === CLASS_JMP32) && op !== OP_CALL && op !== OP_EXIT) {
    const target = slot + (opcode === JA_WIDE ? env.imm(slot) : env.off(slot)) + 1;
    if (target < subprog.start || target >= subprog.end) {
      env.reject('EINVAL', `jump out of range from insn ${slot} to ${target}`);
    }
  }
  if (slot !== subprog.end - 1) return;
  if (opcode !== EXIT && opcode !== JA && opcode !== JA_WIDE) {
    env.reject('EINVAL', 'last insn is not an exit or jmp');
  }
}

interface Call {
  readonly slot: number;
  readonly callee: number;
  /** By an instruction, and not by a helper that is given its address. */
  readonly direct: boolean;
}

/** The subprograms that a subprogram calls, by slot of the call. */
function callsOf(env: Env): (readonly Call[])[] {
  return env.subprogs.map((subprog) => {
    const calls: Call[] = [];
    for (let slot = subprog.start; slot < subprog.end; slot++) {
      const opcode = env.opcode(slot);
      const isFunc = opcode === WIDE_LOAD && env.src(slot) === SRC_FUNC;
      if (!isFunc && (opcode !== CALL || env.src(slot) !== SRC_SUBPROG)) continue;
      calls.push({ slot, callee: env.subprogStarting(slot + env.imm(slot) + 1), direct: !isFunc });
    }
    return calls;
  });
}

const rounded = (depth: number): number => Math.ceil(depth / STACK_ROUND) * STACK_ROUND;

/** What is below a subprogram: the deepest stack, the longest chain, whether a tail call may happen. */
interface Below {
  readonly depth: number;
  readonly frames: number;
  readonly tailCall: boolean;
}

/**
 * Every chain of calls fits the stack. Walks each call as Linux does, so that the first chain that does not
 * fit is the one reported; a callee that is known to fit where it is called is not walked again.
 */
export function checkStackDepth(env: Env): void {
  const calls = callsOf(env);
  const known: (Below | undefined)[] = env.subprogs.map(() => undefined);
  const isPrivate =
    privateStacks.includes(env.progType) && !env.subprogs.some((subprog) => subprog.hasTailCall);
  const walk = (index: number, depth: number, frame: number): Below => {
    const subprog = env.subprogs[index] as Subprog;
    if (index > 0 && subprog.hasTailCall && depth >= TAIL_CALL_STACK) {
      env.reject(
        'EACCES',
        `tail_calls are not allowed when call stack of previous frames is ${depth} bytes. Too large`,
      );
    }
    const size = rounded(subprog.stackDepth);
    const own = isPrivate && size >= PRIVATE_STACK_MIN ? 0 : size;
    if (depth + own > MAX_STACK) {
      env.reject('EACCES', `combined stack size of ${frame + 1} calls is ${depth + own}. Too large`);
    }
    const memo = known[index];
    if (memo !== undefined && fits(memo, depth, frame)) return memo;
    let below: Below = { depth: own, frames: 1, tailCall: subprog.hasTailCall };
    for (const { slot, callee, direct } of calls[index] as readonly Call[]) {
      if (direct && callee === env.exceptionCallback) {
        // Linux ends this line with the next one's text.
        env.write(`insn ${slot} cannot call exception cb directly`);
        env.fail('EINVAL');
      }
      // What a timer calls runs on a stack of its own.
      if (!direct && env.subprogs[callee]?.isAsync === true) continue;
      const next = frame + 1;
      if (next >= MAX_FRAMES) env.reject('E2BIG', `the call stack of ${next} frames is too deep !`);
      const under = walk(callee, depth + own, next);
      below = {
        depth: Math.max(below.depth, own + under.depth),
        frames: Math.max(below.frames, 1 + under.frames),
        tailCall: below.tailCall || under.tailCall,
      };
    }
    if (below.tailCall) subprog.tailCallReachable = true;
    known[index] = below;
    return below;
  };
  checkThrows(env, calls);
  env.subprogs.forEach((subprog, index) => {
    if (index === 0 || subprog.isGlobal || subprog.isAsync) walk(index, 0, 0);
  });
}

/** Nothing that a helper calls back may throw: the helper would be left in the middle. */
function checkThrows(env: Env, calls: readonly (readonly Call[])[]): void {
  const inCallback = new Set<number>();
  const add = (index: number): void => {
    if (inCallback.has(index)) return;
    inCallback.add(index);
    for (const { callee } of calls[index] ?? []) add(callee);
  };
  env.subprogs.forEach((subprog, index) => {
    if (subprog.isCallback) add(index);
  });
  for (const index of inCallback) {
    const { start, end } = env.subprogs[index] as Subprog;
    for (let slot = start; slot < end; slot++) {
      const raw = env.raw(slot);
      if (raw.opcode !== CALL || raw.src !== SRC_KFUNC || findKfunc(env, raw.imm)?.name !== 'bpf_throw')
        continue;
      env.reject('EINVAL', `bpf_throw kfunc (insn ${slot}) cannot be called from callback subprog ${index}`);
    }
  }
}

function fits(below: Below, depth: number, frame: number): boolean {
  if (depth + below.depth > MAX_STACK || frame + below.frames > MAX_FRAMES) return false;
  return !below.tailCall || depth + below.depth < TAIL_CALL_STACK;
}
