/**
 * One bpf(2) call in progress: who calls, on which kernel, and how it fails. Also the checks that commands
 * share: attributes that fit their fields, buffers that are there and long enough, fds of a kind.
 */

import { type BpfAttr, type Cmd, commands, type FieldKind } from '../../uapi/commands.ts';
import { BpfError, type Errno } from '../../uapi/errno.ts';
import { type Info, type InfoFieldKind, infoRecords } from '../../uapi/info.ts';
import type { Capabilities } from '../../verifier/types.ts';
import type { Task } from '../../vm/types.ts';
import type { Credentials } from '../credentials.ts';
import type { FdTable, ObjectOfKind, OpenFile } from '../fd-table.ts';
import type { KernelState } from '../state.ts';

/** What a process brings to its calls. */
export interface Caller {
  readonly kernel: KernelState;
  readonly fds: FdTable;
  readonly credentials: Credentials;
  /** The credentials' capabilities with what CAP_SYS_ADMIN implies. */
  readonly can: Capabilities;
  /** The caller as helpers see it. */
  readonly task: Task;
}

export class Call {
  readonly cmd: Cmd;
  readonly caller: Caller;

  constructor(cmd: Cmd, caller: Caller) {
    this.cmd = cmd;
    this.caller = caller;
  }

  get kernel(): KernelState {
    return this.caller.kernel;
  }

  get fds(): FdTable {
    return this.caller.fds;
  }

  get can(): Capabilities {
    return this.caller.can;
  }

  fail(errno: Errno, hint?: string): BpfError {
    return new BpfError(errno, `BPF_${commands[this.cmd].name}`, hint);
  }

  /** A buffer that the kernel reads or writes `size` bytes of: EFAULT where it is null or shorter. */
  buffer(bytes: Uint8Array | undefined, size: number, what: string): Uint8Array {
    if (bytes === undefined) throw this.fail('EFAULT', `${what} is missing`);
    if (bytes.length < size) {
      throw this.fail('EFAULT', `${what} has ${bytes.length} bytes, ${size} are needed`);
    }
    return bytes.length === size ? bytes : bytes.subarray(0, size);
  }

  /** The object of an fd: EBADF, or EINVAL for an object of another kind. */
  object<K extends keyof ObjectOfKind>(fd: number | undefined, kind: K): ObjectOfKind[K] {
    const found = this.fds.lookup(fd ?? 0, kind);
    if (typeof found !== 'string') return found;
    throw this.fail(found, found === 'EBADF' ? `${fd ?? 0} is not an open fd` : `fd ${fd} is no ${kind}`);
  }

  file(fd: number | undefined): OpenFile {
    const found = this.fds.find(fd ?? 0);
    if (found === undefined) throw this.fail('EBADF', `${fd ?? 0} is not an open fd`);
    return found;
  }

  /** EINVAL where a field is used that this kernel has no feature for. */
  refuse(attr: Readonly<Record<string, unknown>>, fields: Readonly<Record<string, string>>): void {
    for (const [field, feature] of Object.entries(fields)) {
      const value = attr[field];
      if (value === undefined || value === 0 || value === 0n) continue;
      throw this.fail('EINVAL', `${field}: this kernel has no ${feature}`);
    }
  }
}

const U32_MAX = 0xffffffff;
const U64_MAX = 0xffffffffffffffffn;
/** char[BPF_OBJ_NAME_LEN], its NUL included. */
const NAME_SIZE = 16;

const isInteger = (value: unknown, min: number, max: number): boolean =>
  Number.isInteger(value) && (value as number) >= min && (value as number) <= max;

/** Whether a value fits its field, and what would. */
const fieldChecks: Record<FieldKind | InfoFieldKind, { fits: (value: unknown) => boolean; wants: string }> = {
  u32: { fits: (value) => isInteger(value, 0, U32_MAX), wants: 'an unsigned 32-bit number' },
  s32: { fits: (value) => isInteger(value, -(2 ** 31), 2 ** 31 - 1), wants: 'a signed 32-bit number' },
  u64: {
    fits: (value) => typeof value === 'bigint' && value >= 0n && value <= U64_MAX,
    wants: 'an unsigned 64-bit bigint',
  },
  name: {
    fits: (value) => typeof value === 'string' && new TextEncoder().encode(value).length < NAME_SIZE,
    wants: `a string of under ${NAME_SIZE} bytes`,
  },
  str: { fits: (value) => typeof value === 'string', wants: 'a string' },
  in: { fits: (value) => value instanceof Uint8Array, wants: 'a Uint8Array' },
  out: { fits: (value) => value instanceof Uint8Array, wants: 'a Uint8Array' },
  tag: { fits: (value) => value instanceof Uint8Array, wants: 'a Uint8Array' },
  info: { fits: (value) => typeof value === 'object' && value !== null, wants: 'an info record' },
};

type Fields = Readonly<Record<string, { readonly kind: FieldKind | InfoFieldKind }>>;

/** What CHECK_ATTR is to a raw attribute: fields that the command does not have, values that do not fit. */
export function checkAttr<C extends Cmd>(call: Call, attr: BpfAttr<C>): void {
  if (typeof attr !== 'object' || attr === null) throw call.fail('EFAULT', 'the attributes are missing');
  checkFields(call, attr, commands[call.cmd].fields);
}

function checkFields(call: Call, values: object, fields: Fields): void {
  for (const name in values) {
    const value = (values as Readonly<Record<string, unknown>>)[name];
    if (value === undefined) continue;
    if (!Object.hasOwn(fields, name)) throw call.fail('EINVAL', `there is no field ${name}`);
    const { kind } = fields[name] as Fields[string];
    const { fits, wants } = fieldChecks[kind];
    if (!fits(value)) throw call.fail('EINVAL', `${name} must be ${wants}`);
    if (kind === 'info') checkInfo(call, value as Info);
  }
}

/** The fields of an info record; what fills it looks at its kind. */
function checkInfo(call: Call, { kind, ...values }: Info): void {
  if (!Object.hasOwn(infoRecords, kind)) throw call.fail('EINVAL', `there is no info record ${String(kind)}`);
  checkFields(call, values, infoRecords[kind]);
}

/** bpf_obj_name_cpy: letters, digits, '_' and '.'. */
export function checkName(call: Call, name: string): void {
  if (/^[A-Za-z0-9_.]*$/.test(name)) return;
  throw call.fail('EINVAL', `the name ${JSON.stringify(name)} may have letters, digits, '_' and '.' only`);
}
