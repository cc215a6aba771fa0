/** Calls of a program's own functions: by an instruction, and by bpf_loop() for each of its rounds. */
import { errnos } from '../../../uapi/errno.ts';
import { MAX_FRAMES, MAX_LOOPS, STACK_BYTES } from '../../run.ts';
import type { ValueType } from '../wasm/index.ts';
import type { Shared } from './calls.ts';
import type { Frame } from './frame.ts';
import type { Fuel } from './fuel.ts';
import { stops } from './layout.ts';

export interface Caller {
  readonly frame: Frame;
  readonly shared: Shared;
  readonly fuel: Fuel | undefined;
  /** Whether a call has to look how deep it is. */
  readonly checksDepth: boolean;
}

/** Where a call goes, and the slot that it is at. */
export interface Call {
  readonly target: number;
  readonly slot: number;
}

/** Ends the run. */
export function writeStop(
  { frame, shared }: Pick<Caller, 'frame' | 'shared'>,
  reason: keyof typeof stops,
  slot: number,
): void {
  const { code } = frame;
  code.i32(stops[reason]);
  code.i32(slot);
  code.call(shared.imported('stop'));
  code.op('unreachable');
}

/** bpf_loop(r1 rounds, callback, r3 context, r4 flags): the callback is known. */
export function writeLoop(caller: Caller, call: Call): void {
  const { frame, shared } = caller;
  const { code } = frame;
  const rounds = frame.temporary('rounds', 'i32');
  const round = frame.temporary('round', 'i32');
  const context = frame.temporary('context', 'i64');
  const result = (value: number): void => {
    code.i64(value);
    frame.set(0);
  };
  frame.get(4);
  code.i64(0n);
  code.op('i64.ne');
  code.if();
  result(-errnos.EINVAL);
  code.else();
  frame.get32(1);
  code.tee(rounds);
  code.i32(MAX_LOOPS);
  code.op('i32.gt_u');
  code.if();
  result(-errnos.E2BIG);
  code.else();
  frame.get(3);
  code.set(context);
  code.i32(0);
  code.set(round);
  const done = code.block();
  const again = code.loop();
  code.get(round);
  code.get(rounds);
  code.op('i32.ge_u');
  code.brIf(done);
  writeCall(caller, call, {
    cost: shared.entryCost(call.target),
    push: (register, type) => {
      if (register === 1) {
        code.get(round);
        if (type === 'i64') code.op('i64.extend_i32_u');
      } else if (register === 2) {
        code.get(context);
        if (type === 'i32') code.op('i32.wrap_i64');
      } else if (type === 'i64') {
        code.i64(0n);
      } else {
        code.i32(0);
      }
    },
  });
  code.get(round);
  code.i32(1);
  code.op('i32.add');
  code.set(round);
  code.op('i64.eqz');
  code.brIf(again);
  code.end();
  code.end();
  code.get(round);
  code.op('i64.extend_i32_u');
  frame.set(0);
  code.end();
  code.end();
}

/** A call by an instruction, with its result in r0. */
export function writeSubprog(caller: Caller, call: Call): void {
  const { frame } = caller;
  writeCall(caller, call, {
    cost: 1,
    push: (register, type) => {
      if (type === 'i64') frame.get(register);
      else frame.get32(register);
    },
  });
  frame.set(0);
}

/** Calls a function of the program, which leaves its result on the stack; `push` puts an argument there. */
function writeCall(
  caller: Caller,
  { target, slot }: Call,
  how: { readonly cost: number; readonly push: (register: number, type: ValueType) => void },
): void {
  const { checksDepth, frame, fuel, shared } = caller;
  const { code } = frame;
  if (checksDepth) {
    // The block of all frames is aligned to its size: the last frame is at its start.
    code.get(frame.stack);
    code.i32(MAX_FRAMES * STACK_BYTES - 1);
    code.op('i32.and');
    code.op('i32.eqz');
    code.if();
    writeStop(caller, 'frames', slot);
    code.end();
  }
  fuel?.burn(how.cost, target);
  const sharesFuel = shared.usesFuel(target);
  if (sharesFuel) fuel?.save();
  shared.signature(target).forEach((type, i) => {
    if (type !== undefined) how.push(i + 1, type);
  });
  code.get(frame.stack);
  code.i32(STACK_BYTES);
  code.op('i32.sub');
  code.call(shared.subprog(target));
  if (sharesFuel) fuel?.restore();
}
