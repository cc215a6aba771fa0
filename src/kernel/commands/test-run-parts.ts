/** What the test runs of packet programs share (bpf_ctx_init, bpf_test_run, bpf_test_finish). */
import { concatBytes } from '../../base/bytes.ts';
import type { BpfAttr } from '../../uapi/commands.ts';
import type { Task } from '../../vm/types.ts';
import type { ProgObject } from '../objects/program.ts';
import type { PacketBuffer } from '../packet-buffer.ts';
import type { Call } from './call.ts';

export const PAGE = 4096;

export interface Run {
  readonly call: Call;
  readonly attr: BpfAttr<'progTestRun'>;
  readonly program: ProgObject;
}

/** The task that a test run counts as: the caller. */
export function testTask(call: Call): Task {
  return call.caller.task;
}

/**
 * The context struct of `size` bytes to run with: the caller's, cut or filled with zeros; undefined where the
 * caller neither gives nor wants one. E2BIG where it gives more than there is a meaning for.
 */
export function readContext(call: Call, attr: BpfAttr<'progTestRun'>, size: number): DataView | undefined {
  const given = attr.ctxSizeIn ?? 0;
  if (attr.ctxIn === undefined && attr.ctxOut === undefined) return undefined;
  const ctx = new Uint8Array(size);
  if (attr.ctxIn !== undefined) {
    const bytes = call.buffer(attr.ctxIn, given, 'ctx_in');
    if (bytes.subarray(size).some((byte) => byte !== 0)) {
      throw call.fail('E2BIG', `the context has ${size} bytes, and what follows is not zero`);
    }
    ctx.set(bytes.subarray(0, size));
  }
  return new DataView(ctx.buffer);
}

export interface RunResult {
  readonly retval: number;
  /** Average nanoseconds a run. */
  readonly duration: number;
}

const U32_MAX = 0xffffffff;

/** Runs the program `repeat` times on the same packet, which is not set up anew in between. */
export function repeatRun({ call, attr, program }: Run, buffer: PacketBuffer): RunResult {
  const { runtime, now } = call.kernel;
  const repeat = attr.repeat || 1;
  const place = { task: testTask(call), cpu: 0, flags: 'network' as const };
  const context = { ctx: buffer.ctx, packet: buffer, repeat };
  const start = now();
  const r0 = runtime.run(program, context, place);
  const average = Number((now() - start) / BigInt(repeat));
  return { retval: Number(BigInt.asUintN(32, r0)), duration: Math.min(average, U32_MAX) };
}

export interface Finished extends RunResult {
  /** The packet as the program left it, in pieces. */
  readonly data: readonly Uint8Array[];
  readonly ctx: DataView | undefined;
}

/**
 * Writes the results. A buffer that is too short gets the first part, and the call fails with ENOSPC once
 * all else is written; a packet is copied whole where the caller gives no size for it.
 */
export function finish({ call, attr }: Run, result: Finished): void {
  const data = concatBytes(result.data);
  const room = attr.dataSizeOut || data.length;
  let short: string | undefined;
  if (data.length > room) short = `data_out has room for ${room} bytes of ${data.length}`;
  if (attr.dataOut !== undefined) {
    const size = Math.min(room, data.length);
    call.buffer(attr.dataOut, size, 'data_out').set(data.subarray(0, size));
  }
  attr.dataSizeOut = data.length;
  attr.retval = result.retval;
  attr.duration = result.duration;
  const contextShort = finishContext(call, attr, result.ctx);
  const problem = contextShort ?? short;
  if (problem !== undefined) throw call.fail('ENOSPC', problem);
}

/** bpf_ctx_finish(); says what is wrong where the buffer is too short. */
function finishContext(
  call: Call,
  attr: BpfAttr<'progTestRun'>,
  ctx: DataView | undefined,
): string | undefined {
  if (attr.ctxOut === undefined || ctx === undefined) return undefined;
  const bytes = new Uint8Array(ctx.buffer);
  const room = attr.ctxSizeOut ?? 0;
  const size = Math.min(room, bytes.length);
  call.buffer(attr.ctxOut, size, 'ctx_out').set(bytes.subarray(0, size));
  attr.ctxSizeOut = bytes.length;
  return room < bytes.length ? `ctx_out has room for ${room} bytes of ${bytes.length}` : undefined;
}
