/** The chains of tcx: LINK_CREATE into one (tcx_link_attach), and PROG_QUERY of what is in it (bpf_mprog_query). */
import { attachTypes } from '../../uapi/attach-types.ts';
import type { BpfAttr } from '../../uapi/commands.ts';
import type { Chain, ChainPlace } from '../objects/chain.ts';
import { TcxLink } from '../objects/links.ts';
import type { ProgObject } from '../objects/program.ts';
import type { Call } from './call.ts';

const F_REPLACE = 1 << 2;
const F_BEFORE = 1 << 3;
const F_AFTER = 1 << 4;
const F_ID = 1 << 5;
const F_LINK = 1 << 13;
const FLAGS = F_REPLACE | F_BEFORE | F_AFTER | F_ID | F_LINK;

interface Target {
  readonly targetIfindex?: number | undefined;
  readonly targetFd?: number | undefined;
  readonly attachType?: number | undefined;
}

function chainOf(call: Call, attr: Target): { chain: Chain; ifindex: number } {
  const ifindex = attr.targetIfindex ?? attr.targetFd ?? 0;
  const device = call.kernel.devices.byIndex(ifindex);
  if (device === undefined) throw call.fail('ENODEV', `there is no device ${ifindex}`);
  const { ingress, egress } = device.tcx;
  return { chain: attr.attachType === attachTypes.tcx_ingress.id ? ingress : egress, ifindex };
}

export function createTcxLink(call: Call, attr: BpfAttr<'linkCreate'>, program: ProgObject): number {
  const { chain, ifindex } = chainOf(call, attr);
  const flags = attr.flags ?? 0;
  if ((flags & ~FLAGS) !== 0) throw call.fail('EINVAL', `flags ${flags}: only those of places in a chain`);
  const revision = attr.expectedRevision ?? 0n;
  if (revision !== 0n && revision !== chain.revision) {
    throw call.fail('ESTALE', `the chain has revision ${chain.revision}`);
  }
  const at = chain.placeFor(program, placeOf(call, attr, flags));
  if (typeof at === 'string') throw call.fail(at);
  const hook = { ifindex, attachType: attr.attachType ?? 0, chain };
  return call.fds.install(new TcxLink(program, { hook, at }, call.kernel.links));
}

/** bpf_mprog_tuple_relative() */
function placeOf(call: Call, attr: BpfAttr<'linkCreate'>, flags: number): ChainPlace {
  const number = attr.relativeFd ?? attr.relativeId ?? 0;
  const relative =
    number === 0 && (flags & (F_ID | F_LINK)) === 0 ? undefined : neighbour(call, number, flags);
  if ((flags & F_REPLACE) !== 0)
    throw call.fail('ENOENT', 'what is held by a link is replaced by its update');
  const sides = flags & (F_BEFORE | F_AFTER);
  if (sides === (F_BEFORE | F_AFTER)) throw call.fail('ERANGE', 'one program has one place');
  if (relative !== undefined && sides === 0) throw call.fail('EINVAL', 'before or after the other one');
  return { side: sides === 0 ? undefined : sides === F_BEFORE ? 'before' : 'after', relative };
}

function neighbour(call: Call, number: number, flags: number): NonNullable<ChainPlace['relative']> {
  const { links, programs } = call.kernel;
  const isLink = (flags & F_LINK) !== 0;
  if ((flags & F_ID) === 0)
    return isLink ? asChained(call, call.object(number, 'link')) : call.object(number, 'prog');
  const found = isLink ? links.at(number) : programs.at(number);
  if (found === undefined) throw call.fail('ENOENT', `there is no ${isLink ? 'link' : 'program'} ${number}`);
  return found.kind === 'link' ? asChained(call, found) : found;
}

function asChained(call: Call, link: ReturnType<Call['kernel']['links']['at']>): TcxLink {
  if (link instanceof TcxLink) return link;
  throw call.fail('EINVAL', 'the other link is not of a chain');
}

export function progQuery(call: Call, attr: BpfAttr<'progQuery'>): number {
  const { attachType = 0 } = attr;
  if (attachType !== attachTypes.tcx_ingress.id && attachType !== attachTypes.tcx_egress.id) {
    throw call.fail('EINVAL', `this kernel has no chain of attach type ${attachType}`);
  }
  if (!call.can.netAdmin) throw call.fail('EPERM', 'queries need CAP_NET_ADMIN');
  if ((attr.queryFlags ?? 0) !== 0) throw call.fail('EINVAL', 'queries of tcx take no flags');
  const { chain } = chainOf(call, attr);
  const room = attr.count ?? 0;
  const { links } = chain;
  attr.count = links.length;
  attr.revision = chain.revision;
  attr.attachFlags = 0;
  const shown = links.slice(0, room);
  fill(
    call,
    attr.progIds,
    shown.map(({ program }) => program.id),
  );
  fill(
    call,
    attr.linkIds,
    shown.map(({ id }) => id),
  );
  // Flags of the single ones: none has any.
  for (const flags of [attr.progAttachFlags, attr.linkAttachFlags])
    fill(
      call,
      flags,
      shown.map(() => 0),
    );
  if (room !== 0 && room < links.length) throw call.fail('ENOSPC', `the chain has ${links.length} programs`);
  return 0;
}

function fill(call: Call, buffer: Uint8Array | undefined, numbers: readonly number[]): void {
  if (buffer === undefined || numbers.length === 0) return;
  call.buffer(buffer, 4 * numbers.length, 'the list');
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  for (const [i, number] of numbers.entries()) view.setUint32(4 * i, number, true);
}
