/**
 * The few members of kernel structs that programs may write: a connection's mark, and what TCP congestion control
 * keeps of a socket (btf_struct_access of the program types).
 */
import { type Btf, findMember, sizeOf } from '../btf/index.ts';
import { KERNEL } from './btf-objects.ts';
import type { Env } from './env.ts';
import { typeOf, word } from './regs.ts';
import { regAt } from './state/frame.ts';
import { AUX0, AUX1 } from './state/layout.ts';
import { typeFlags } from './state/reg-types.ts';

/** Members that congestion control writes, by where they begin; the path leads through embedded structs. */
const tcpMembers: readonly (readonly string[])[] = [
  ['inet_conn', 'icsk_inet', 'sk', 'sk_pacing_rate'],
  ['inet_conn', 'icsk_inet', 'sk', 'sk_pacing_status'],
  ['inet_conn', 'icsk_ca_priv'],
  ['inet_conn', 'icsk_ack', 'pending'],
  ['snd_cwnd'],
  ['snd_cwnd_cnt'],
  ['snd_cwnd_stamp'],
  ['snd_ssthresh'],
  ['ecn_flags'],
  ['app_limited'],
];

interface Write {
  readonly reg: number;
  readonly off: number;
  readonly size: number;
}

/** Whether the program's type has a say in writes at all; what it refuses is refused. */
export function kernelWrite(env: Env, write: Write): boolean {
  const r = regAt(write.reg);
  if ((typeOf(env.frame, r) & typeFlags.alloc) !== 0 || word(env.frame, r, AUX1) !== KERNEL) return false;
  const name = env.types.name({ object: KERNEL, id: word(env.frame, r, AUX0) });
  const btf = env.types.kernel;
  if (btf === undefined) return false;
  if (env.target?.structOps === 'tcp_congestion_ops') return tcpWrite(env, { ...write, btf, name });
  if (env.target?.structOps === 'bpf_dummy_ops') return dummyWrite(env, { ...write, btf, name });
  if (env.progType === 'xdp' || env.progType === 'sched_cls' || env.progType === 'sched_act') {
    return connectionWrite(env, { ...write, btf, name });
  }
  return false;
}

type NamedWrite = Write & { readonly btf: Btf; readonly name: string };

function tcpWrite(env: Env, write: NamedWrite): boolean {
  const { btf, name, off, size } = write;
  const tcpSock = env.types.kernelStruct('tcp_sock');
  if (name !== 'tcp_sock' || tcpSock === 0) env.reject('EACCES', 'only read is supported');
  for (const path of tcpMembers) {
    const place = placeOf(btf, tcpSock, path);
    if (place === undefined || place.off > off || off >= place.off + place.size) continue;
    const end = place.off + place.size;
    if (off + size <= end) return true;
    env.reject(
      'EACCES',
      `write access at off ${off} with size ${size} beyond the member of tcp_sock ended at ${end}`,
    );
  }
  return env.reject('EACCES', `no write support to tcp_sock at off ${off}`);
}

/** Programs over packets may mark connections. */
function connectionWrite(env: Env, write: NamedWrite): boolean {
  const { btf, name, off, size } = write;
  if (name !== 'nf_conn' && name !== 'nf_conn___init') env.reject('EACCES', 'only read is supported');
  const mark = placeOf(btf, env.types.kernelStruct('nf_conn'), ['mark']);
  if (mark === undefined || mark.off !== off)
    env.reject('EACCES', `no write support to nf_conn at off ${off}`);
  const end = mark.off + mark.size;
  if (off + size > end) {
    env.reject(
      'EACCES',
      `write access at off ${off} with size ${size} beyond the member of nf_conn ended at ${end}`,
    );
  }
  return true;
}

function placeOf(btf: Btf, id: number, path: readonly string[]): { off: number; size: number } | undefined {
  let at = id;
  let off = 0;
  for (const name of path) {
    const member = findMember(btf, at, name);
    if (member === undefined) return undefined;
    off += member.bitOffset >> 3;
    at = member.type;
  }
  return { off, size: sizeOf(btf, at) };
}

function dummyWrite(env: Env, write: NamedWrite): boolean {
  const { btf, name, off, size } = write;
  if (name !== 'bpf_dummy_ops_state') env.reject('EACCES', 'only read is supported');
  const end = sizeOf(btf, env.types.kernelStruct(name));
  if (off + size > end)
    env.reject('EACCES', `write access for struct bpf_dummy_ops_state at off ${off} size ${size}`);
  return true;
}
