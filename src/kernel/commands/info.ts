/**
 * OBJ_GET_INFO_BY_FD: fills the caller's record. A buffer in it gets as much as fits the room that the
 * caller gave beside it; the count comes back as what there is.
 */
import { unreachable } from '../../base/errors.ts';
import type { BpfAttr } from '../../uapi/commands.ts';
import { type Info, type InfoKind, type InfoOf, infoRecords } from '../../uapi/info.ts';
import { linkTypes } from '../../uapi/link-types.ts';
import { PAGE } from '../mapping.ts';
import type { BtfObject } from '../objects/btf.ts';
import type { LinkObject } from '../objects/links.ts';
import type { MapObject } from '../objects/map.ts';
import type { ProgObject } from '../objects/program.ts';
import type { Call } from './call.ts';
import { ACCESS_MASK } from './file-mode.ts';

/** sizeof of the C structs in 6.18. */
const structSizes: Record<InfoKind, number> = { prog: 232, map: 104, btf: 32, link: 48 };

export function objGetInfoByFd(call: Call, attr: BpfAttr<'objGetInfoByFd'>): number {
  const file = call.fds.find(attr.bpfFd ?? 0);
  if (file === undefined) throw call.fail('EBADFD', `${attr.bpfFd ?? 0} is not an open fd`);
  const { object } = file;
  if (object.kind === 'perf_event') throw call.fail('EINVAL', 'a perf event has no BPF info');
  const { info } = attr;
  if (info === undefined) throw call.fail('EFAULT', 'the info record is missing');
  if (info.kind !== object.kind) throw call.fail('EINVAL', `fd ${attr.bpfFd} is no ${info.kind}`);
  // bpf_check_uarg_tail_zero(): what lies behind the record is zeros, as far as a page goes.
  if ((attr.infoLen ?? 0) > PAGE) throw call.fail('E2BIG', `an info record ends within ${PAGE} bytes`);
  const size = structSizes[object.kind];
  const room = Math.min(attr.infoLen ?? size, size);
  // The results go into a record of their own first: what lies beyond infoLen is not written.
  const filled = { ...info };
  switch (filled.kind) {
    case 'prog':
      fillProg(call, filled, object as ProgObject);
      break;
    case 'map':
      fillMap(filled, object as MapObject);
      break;
    case 'btf':
      fillBtf(call, filled, object as BtfObject);
      break;
    case 'link':
      fillLink(call, filled, object as LinkObject);
      break;
    default:
      return unreachable(filled);
  }
  copyFields(filled, info, room);
  attr.infoLen = room;
  return 0;
}

function copyFields(from: Info, to: Info, room: number): void {
  for (const [name, field] of Object.entries(infoRecords[from.kind])) {
    if (field.at >= room) continue;
    const value = (from as unknown as Record<string, unknown>)[name];
    if (field.kind !== 'out' && value !== undefined) (to as unknown as Record<string, unknown>)[name] = value;
  }
}

/** Copies what fits `room`; EFAULT where there is room but no buffer of that size. */
function fillBuffer(
  call: Call,
  buffer: Uint8Array | undefined,
  from: { bytes: Uint8Array; room: number },
): void {
  const size = Math.min(from.bytes.length, from.room);
  if (size > 0) call.buffer(buffer, size, 'a buffer of the info record').set(from.bytes.subarray(0, size));
}

/** bpf_prog_get_info_by_fd() */
function fillProg(call: Call, info: InfoOf<'prog'>, program: ProgObject): void {
  const { facts } = program;
  const nr = { maps: info.nrMapIds ?? 0, funcs: info.nrFuncInfo ?? 0, lines: info.nrLineInfo ?? 0 };
  const xlatedRoom = info.xlatedProgLen ?? 0;
  info.type = facts.type;
  info.id = program.id;
  info.tag = facts.tag.slice();
  info.loadTime = facts.loadTime;
  info.createdByUid = facts.uid;
  info.name = facts.name;
  info.ifindex = 0;
  info.bits = facts.gplCompatible ? 1 : 0;
  info.netnsDev = 0n;
  info.netnsIno = 0n;
  info.btfId = program.btf?.id ?? 0;
  info.runTimeNs = 0n;
  info.runCnt = 0n;
  info.recursionMisses = 0n;
  info.verifiedInsns = facts.verifiedInsns;
  info.attachBtfObjId = 0;
  info.attachBtfId = 0;
  info.jitedProgLen = 0;
  const ids = new Uint8Array(4 * program.maps.length);
  const view = new DataView(ids.buffer);
  program.maps.forEach((map, i) => {
    view.setUint32(4 * i, map.id, true);
  });
  fillBuffer(call, info.mapIds, { bytes: ids, room: 4 * nr.maps });
  info.nrMapIds = program.maps.length;
  info.funcInfoRecSize = 8;
  info.lineInfoRecSize = 16;
  info.xlatedProgLen = 0;
  info.nrFuncInfo = 0;
  info.nrLineInfo = 0;
  if (!call.can.bpf) return;
  fillBuffer(call, info.xlatedProgInsns, { bytes: facts.xlated, room: xlatedRoom });
  info.xlatedProgLen = facts.xlated.length;
  const funcs = facts.funcInfo ?? new Uint8Array();
  fillBuffer(call, info.funcInfo, { bytes: funcs, room: 8 * nr.funcs });
  info.nrFuncInfo = funcs.length / 8;
  const lines = facts.lineInfo ?? new Uint8Array();
  fillBuffer(call, info.lineInfo, { bytes: lines, room: 16 * nr.lines });
  info.nrLineInfo = lines.length / 16;
}

function fillMap(info: InfoOf<'map'>, object: MapObject): void {
  const { def } = object.map;
  info.type = def.type;
  info.id = object.id;
  info.keySize = def.keySize;
  info.valueSize = def.valueSize;
  info.maxEntries = def.maxEntries;
  // The rights of the first fd are no property of the map (bpf_map_flags_retain_permanent).
  info.mapFlags = def.flags & ~ACCESS_MASK;
  info.name = def.name;
  info.ifindex = 0;
  info.btfVmlinuxValueTypeId = 0;
  info.netnsDev = 0n;
  info.netnsIno = 0n;
  info.btfId = object.btf?.id ?? 0;
  info.btfKeyTypeId = object.btfKeyTypeId;
  info.btfValueTypeId = object.btfValueTypeId;
  info.btfVmlinuxId = 0;
  info.mapExtra = def.mapExtra;
}

/** btf_get_info_by_fd(); BTF from user space has no name. */
function fillBtf(call: Call, info: InfoOf<'btf'>, object: BtfObject): void {
  fillBuffer(call, info.btf, { bytes: object.bytes, room: info.btfSize ?? 0 });
  info.btfSize = object.bytes.length;
  info.id = object.id;
  info.nameLen = 0;
  info.kernelBtf = 0;
}

/** enum bpf_perf_event_type */
const PERF_EVENT_TRACEPOINT = 5;

function fillLink(call: Call, info: InfoOf<'link'>, link: LinkObject): void {
  info.type = link.type;
  info.id = link.id;
  info.progId = link.program.id;
  switch (link.type) {
    case linkTypes.xdp.id:
      info.ifindex = link.ifindex;
      break;
    case linkTypes.tcx.id:
      info.ifindex = link.ifindex;
      info.tcxAttachType = link.attachType;
      break;
    case linkTypes.raw_tracepoint.id:
      info.tpNameLen = fillName(call, link.tracepoint.rawName, {
        buffer: info.tpName,
        room: info.tpNameLen ?? 0,
      });
      break;
    case linkTypes.perf_event.id:
      info.perfEventType = PERF_EVENT_TRACEPOINT;
      info.perfEventNameLen = fillName(call, link.event.tracepoint.rawName, {
        buffer: info.perfEventName,
        room: info.perfEventNameLen ?? 0,
      });
      break;
    default:
      unreachable(link);
  }
}

/** A NUL-terminated name; returns its size with the NUL. ENOSPC where it was cut. */
function fillName(call: Call, name: string, to: { buffer: Uint8Array | undefined; room: number }): number {
  const bytes = new TextEncoder().encode(`${name}\0`);
  if ((to.buffer === undefined) !== (to.room === 0))
    throw call.fail('EINVAL', 'a name buffer and its size go together');
  if (to.buffer === undefined) return bytes.length;
  const buffer = call.buffer(to.buffer, to.room, 'the name buffer');
  if (bytes.length <= to.room) {
    buffer.set(bytes);
    return bytes.length;
  }
  buffer.set(bytes.subarray(0, to.room - 1));
  buffer[to.room - 1] = 0;
  throw call.fail('ENOSPC', `the name has ${bytes.length} bytes`);
}
