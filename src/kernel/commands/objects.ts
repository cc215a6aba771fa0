/**
 * Commands about objects of any kind: BTF_LOAD, pinning, and finding objects by id.
 */
import { SkepError } from '../../base/errors.ts';
import { type Btf, readBtf } from '../../btf/index.ts';
import type { BpfAttr } from '../../uapi/commands.ts';
import { type AnyObject, readWrite } from '../fd-table.ts';
import { BtfObject } from '../objects/btf.ts';
import type { KernelObject, Registry } from '../objects/object.ts';
import type { Call } from './call.ts';
import { ACCESS_MASK, fileMode } from './file-mode.ts';
import { checkLog, type LogRequest, writeLog } from './log-buffer.ts';

/** BTF_MAX_SIZE */
const BTF_MAX = 16 << 20;

export function btfLoad(call: Call, attr: BpfAttr<'btfLoad'>): number {
  call.refuse(attr, { btfTokenFd: 'BPF tokens', btfFlags: 'BTF flags' });
  if (!call.can.bpf) throw call.fail('EPERM', 'loading BTF needs CAP_BPF');
  const size = attr.btfSize ?? 0;
  if (size > BTF_MAX) throw call.fail('E2BIG', `BTF has at most ${BTF_MAX} bytes`);
  const log: LogRequest = {
    level: attr.btfLogLevel ?? 0,
    size: attr.btfLogSize ?? 0,
    buffer: attr.btfLogBuf,
  };
  checkLog(call, log);
  if (size === 0) throw call.fail('EINVAL', 'no BTF');
  const bytes = call.buffer(attr.btf, size, 'the BTF').slice();
  const read = parse(bytes);
  const problem = read instanceof SkepError ? read : undefined;
  const { trueSize, failure } = writeLog(problem === undefined ? '' : `${problem.line}\n`, log);
  attr.btfLogTrueSize = trueSize;
  if (failure !== undefined) throw call.fail(failure, `the whole log has ${trueSize} bytes`);
  if (read instanceof SkepError) throw call.fail(read.code === 'btf-loop' ? 'EEXIST' : 'EINVAL', read.line);
  return call.fds.install(new BtfObject(bytes, read, call.kernel.btfs));
}

function parse(bytes: Uint8Array): Btf | SkepError {
  try {
    const btf = readBtf(bytes, { loadable: true });
    if (btf.byteOrder === 'little') return btf;
    return new SkepError({ code: 'btf', message: 'big-endian BTF; this is a little-endian kernel' });
  } catch (error) {
    if (error instanceof SkepError) return error;
    throw error;
  }
}

const F_PATH_FD = 1 << 14;

function checkPathFlags(call: Call, attr: BpfAttr<'objPin' | 'objGet'>, allowed: number): string {
  const flags = attr.fileFlags ?? 0;
  if ((flags & ~(allowed | F_PATH_FD)) !== 0) throw call.fail('EINVAL', `file_flags 0x${flags.toString(16)}`);
  if ((flags & F_PATH_FD) !== 0) throw call.fail('EBADF', 'there are no fds of directories here');
  if ((attr.pathFd ?? 0) !== 0) throw call.fail('EINVAL', 'path_fd goes with BPF_F_PATH_FD');
  if (attr.pathname === undefined) throw call.fail('EFAULT', 'the path is missing');
  return attr.pathname;
}

export function objPin(call: Call, attr: BpfAttr<'objPin'>): number {
  const path = checkPathFlags(call, attr, 0);
  // bpf_fd_probe_obj() says EINVAL for an fd that is not open, too.
  const object = call.fds.find(attr.bpfFd ?? 0)?.object;
  if (object === undefined || object.kind === 'btf' || object.kind === 'perf_event') {
    throw call.fail('EINVAL', `fd ${attr.bpfFd ?? 0} is no map, program or link`);
  }
  call.kernel.bpffs.pin(path, object, call.caller.credentials);
  return 0;
}

export function objGet(call: Call, attr: BpfAttr<'objGet'>): number {
  if ((attr.bpfFd ?? 0) !== 0) throw call.fail('EINVAL', 'bpf_fd must be 0');
  const path = checkPathFlags(call, attr, ACCESS_MASK);
  const mode = fileMode(call, attr.fileFlags ?? 0);
  const object = call.kernel.bpffs.open(path, call.caller.credentials);
  if (object.kind === 'link' && !(mode.read && mode.write)) {
    throw call.fail('EINVAL', 'a link is opened to read and write');
  }
  return call.fds.install(object.userGet(), object.kind === 'map' ? mode : readWrite);
}

const INT_MAX = 2 ** 31 - 1;

/** GET_NEXT_ID of one kind of object. */
export function nextId(registry: (call: Call) => Registry<KernelObject>) {
  return (call: Call, attr: BpfAttr<'progGetNextId'>): number => {
    const start = attr.startId ?? 0;
    if (start >= INT_MAX) throw call.fail('EINVAL', `start_id is below ${INT_MAX}`);
    if ((attr.openFlags ?? 0) !== 0) throw call.fail('EINVAL', 'open_flags must be 0');
    if (!call.can.sysAdmin) throw call.fail('EPERM', 'listing ids needs CAP_SYS_ADMIN');
    const next = registry(call).after(start);
    if (next === undefined) throw call.fail('ENOENT', `there is no id above ${start}`);
    attr.nextId = next;
    return 0;
  };
}

interface ById {
  readonly id: number | undefined;
  readonly openFlags: number | undefined;
  readonly tokenFd: number | undefined;
}

/** GET_FD_BY_ID: a new fd for an object; only maps take flags. */
function fdById(call: Call, registry: Registry<AnyObject>, { id, openFlags, tokenFd }: ById): number {
  call.refuse({ tokenFd }, { tokenFd: 'BPF tokens' });
  const flags = openFlags ?? 0;
  const allowed = call.cmd === 'mapGetFdById' ? ACCESS_MASK : 0;
  if ((flags & ~allowed) !== 0) throw call.fail('EINVAL', `open_flags 0x${flags.toString(16)}`);
  if (!call.can.sysAdmin) throw call.fail('EPERM', 'opening objects by id needs CAP_SYS_ADMIN');
  const object = registry.at(id ?? 0);
  if (object === undefined) throw call.fail('ENOENT', `there is no id ${id ?? 0}`);
  const mode = fileMode(call, flags);
  return call.fds.install(object.userGet() as AnyObject, mode);
}

export function progGetFdById(call: Call, attr: BpfAttr<'progGetFdById'>): number {
  const { progId: id, openFlags, fdByIdTokenFd: tokenFd } = attr;
  return fdById(call, call.kernel.programs, { id, openFlags, tokenFd });
}

export function mapGetFdById(call: Call, attr: BpfAttr<'mapGetFdById'>): number {
  const { mapId: id, openFlags, fdByIdTokenFd: tokenFd } = attr;
  return fdById(call, call.kernel.maps, { id, openFlags, tokenFd });
}

export function btfGetFdById(call: Call, attr: BpfAttr<'btfGetFdById'>): number {
  const { btfId: id, openFlags, fdByIdTokenFd: tokenFd } = attr;
  return fdById(call, call.kernel.btfs, { id, openFlags, tokenFd });
}

export function linkGetFdById(call: Call, attr: BpfAttr<'linkGetFdById'>): number {
  const { linkId: id, openFlags, fdByIdTokenFd: tokenFd } = attr;
  return fdById(call, call.kernel.links, { id, openFlags, tokenFd });
}
