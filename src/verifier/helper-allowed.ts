/** Which helpers a program may call at all: by its type, where it attaches, and what its loader may do. */
import { helperAllowed } from '../uapi/helper-access.ts';
import { type HelperProto, helperProto } from '../uapi/helper-protos.ts';
import type { HelperName } from '../uapi/helpers.ts';
import type { Env } from './env.ts';

/** Their loaders have CAP_PERFMON, or had it when the program was checked. */
const tracing: ReadonlySet<string> = new Set([
  'kprobe',
  'tracepoint',
  'perf_event',
  'raw_tracepoint',
  'raw_tracepoint_writable',
]);

/** The prototype of a helper that the program may call; undefined where it may not (get_helper_proto). */
export function allowedProto(env: Env, name: HelperName): HelperProto | undefined {
  const proto = helperProto(name, env.progType);
  if (proto === undefined) return undefined;
  if (!helperAllowed(name, { type: env.progType, attachType: env.attachType })) return undefined;
  if (proto.perfmon !== true) return proto;
  const { bpf, perfmon } = env.input.capabilities;
  return bpf && (perfmon || tracing.has(env.progType ?? '')) ? proto : undefined;
}
