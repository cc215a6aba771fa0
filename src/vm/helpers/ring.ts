/** Helpers on ring buffers and queues. */
import { QueueMap, RingBufMap, ringOf } from '../../maps/index.ts';
import { mapArgument } from './map.ts';
import { type Helper, type HelperCall, returnInt, returnU32 } from './types.ts';

/** The map in register 1 of a kind that the verifier has seen to. */
function ringArgument(call: HelperCall): RingBufMap {
  const map = mapArgument(call);
  return map instanceof RingBufMap ? map : call.fault('a helper of ring buffers with another map');
}

export const ringbufReserve: Helper = (call) => {
  const ring = ringArgument(call);
  // The only flags are none.
  returnU32(call, call.u64[3] === 0n ? ring.reserve(call.u64[2]!) : 0);
};

function commit(call: HelperCall, discard: boolean): void {
  const sample = call.argument(1, 1);
  const ring = call.runtime.mapAt(ringOf(call.runtime.memory.view, sample));
  if (!(ring instanceof RingBufMap)) call.fault('a record of no ring buffer');
  else ring.commit(sample, { discard, flags: call.u64[2]! });
}

export const ringbufSubmit: Helper = (call) => commit(call, false);
export const ringbufDiscard: Helper = (call) => commit(call, true);

export const ringbufOutput: Helper = (call) => {
  const ring = ringArgument(call);
  const size = call.u64[3]!;
  const from = size === 0n ? 0 : call.argument(2, Number(size));
  returnInt(call, ring.output(from, size, call.u64[4]!));
};

export const ringbufQuery: Helper = (call) => {
  call.u64[0] = ringArgument(call).query(call.u64[2]!);
};

function queueArgument(call: HelperCall): QueueMap {
  const map = mapArgument(call);
  return map instanceof QueueMap ? map : call.fault('a helper of queues with another map');
}

export const mapPushElem: Helper = (call) => {
  const queue = queueArgument(call);
  returnInt(call, queue.push(call.argument(2, queue.def.valueSize), call.u64[3]!));
};

const next =
  (remove: boolean): Helper =>
  (call) => {
    const queue = queueArgument(call);
    returnInt(call, queue.peek(call.argument(2, queue.def.valueSize), remove));
  };

export const mapPopElem: Helper = next(true);
export const mapPeekElem: Helper = next(false);
