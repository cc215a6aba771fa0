/** Helpers that say when, where and for whom the program runs. */
import { errnos } from '../../uapi/errno.ts';
import { type Helper, returnInt, returnU32 } from './types.ts';

/** TASK_COMM_LEN less the NUL. */
const COMM_MAX = 15;

const encoder = new TextEncoder();

export const ktimeGetNs: Helper = (call) => {
  call.u64[0] = call.runtime.ktimeNs();
};

export const getPrandomU32: Helper = (call) => returnU32(call, call.runtime.random());

export const getSmpProcessorId: Helper = (call) => returnU32(call, call.runtime.cpu());

/** tgid in the upper half, pid (the thread) in the lower. */
export const getCurrentPidTgid: Helper = (call) => {
  const { tgid, pid } = call.runtime.task();
  call.u32[0] = pid;
  call.u32[1] = tgid;
};

/** The address of the current task's struct task_struct, as a number or a pointer to read through. */
export const getCurrentTask: Helper = (call) => {
  call.u64[0] = BigInt(call.runtime.taskAddress?.() ?? 0);
};

/** gid in the upper half, uid in the lower. */
export const getCurrentUidGid: Helper = (call) => {
  const { gid, uid } = call.runtime.task();
  call.u32[0] = uid;
  call.u32[1] = gid;
};

/** (buf, size): the name, cut to fit with its NUL, and zeros after it. */
export const getCurrentComm: Helper = (call) => {
  const size = call.u32[4]!;
  if (size === 0) return returnInt(call, -errnos.EINVAL);
  const to = call.argument(1, size);
  const comm = encoder.encode(call.runtime.task().comm).subarray(0, Math.min(COMM_MAX, size - 1));
  const { u8 } = call.runtime.memory;
  u8.fill(0, to, to + size);
  u8.set(comm, to);
  returnInt(call, 0);
};

/** There is one node. */
export const getNumaNodeId: Helper = (call) => returnInt(call, 0);
