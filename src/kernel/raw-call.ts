/**
 * bpf(2) as it is: the number of a command, and as many bytes of a `union bpf_attr` as the caller says there are
 * (bpf_check_uarg_tail_zero, CHECK_ATTR). A kernel takes more bytes than it knows where those are zero, which is how
 * programs that were built for a newer one run; bytes that are left out are zero.
 *
 * Addresses mean nothing to a process of this kernel: a pointer that is not NULL is one to memory that it does not
 * have. Where a pointer shares its place with a number, it is read as the number.
 */
import { Bug, unreachable } from '../base/errors.ts';
import { type BpfAttr, type Cmd, commands, type FieldKind } from '../uapi/commands.ts';
import { BpfError } from '../uapi/errno.ts';
import type { Bpf } from '../uapi/seam.ts';

const PAGE_SIZE = 4096;
const widths: Record<FieldKind, number> = {
  u32: 4,
  s32: 4,
  u64: 8,
  name: 16,
  str: 8,
  in: 8,
  out: 8,
  info: 8,
};

interface Row {
  readonly name: string;
  readonly at: number;
  readonly kind: FieldKind;
  readonly isResult: boolean;
}

const rowsOf = (cmd: Cmd): Row[] =>
  Object.entries<{ at: number; kind: FieldKind; result?: true }>(commands[cmd].fields).map(
    ([name, { at, kind, result }]) => ({ name, at, kind, isResult: result === true }),
  );
const endOf = (rows: readonly Row[]): number => Math.max(...rows.map(({ at, kind }) => at + widths[kind]));

const byNumber = new Map<number, { cmd: Cmd; rows: readonly Row[]; end: number }>(
  (Object.keys(commands) as Cmd[]).map((cmd) => {
    const rows = rowsOf(cmd);
    return [commands[cmd].nr, { cmd, rows, end: endOf(rows) }];
  }),
);
/** sizeof(union bpf_attr) */
const UNION_SIZE = Math.ceil(Math.max(...[...byNumber.values()].map(({ end }) => end)) / 8) * 8;

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** Makes the call; what the kernel writes is written to `attr`, as far as it goes. */
export function rawCall(bpf: Bpf['bpf'], nr: number, attr: Uint8Array): number {
  if (attr.length > PAGE_SIZE || !isZero(attr.subarray(UNION_SIZE))) throw new BpfError('E2BIG', 'bpf');
  const known = byNumber.get(nr);
  if (known === undefined) throw new BpfError('EINVAL', 'bpf', `there is no command ${nr}`);
  const { cmd, rows, end } = known;
  const whole = new Uint8Array(UNION_SIZE);
  whole.set(attr.subarray(0, UNION_SIZE));
  if (!isZero(whole.subarray(end))) throw new BpfError('EINVAL', `BPF_${commands[cmd].name}`);
  const values = readFields(rows, whole);
  try {
    return bpf(cmd, values as BpfAttr<typeof cmd>);
  } finally {
    writeResults(rows, { values, whole });
    attr.set(whole.subarray(0, attr.length));
  }
}

function readFields(rows: readonly Row[], whole: Uint8Array): Record<string, unknown> {
  const view = new DataView(whole.buffer);
  const values: Record<string, unknown> = {};
  for (const { name, at, kind } of rows) {
    switch (kind) {
      case 'u32':
        values[name] = view.getUint32(at, true);
        break;
      case 's32':
        values[name] = view.getInt32(at, true);
        break;
      case 'u64':
        values[name] = view.getBigUint64(at, true);
        break;
      case 'name':
        values[name] = new TextDecoder().decode(whole.subarray(at, at + widths.name)).replace(/\0.*$/s, '');
        break;
      case 'str':
      case 'in':
      case 'out':
      case 'info': {
        const isShared = rows.some((other) => other.at === at && other.name !== name);
        if (!isShared && view.getBigUint64(at, true) !== 0n) throw new BpfError('EFAULT', 'bpf');
        break;
      }
      default:
        unreachable(kind);
    }
  }
  return values;
}

function writeResults(
  rows: readonly Row[],
  { values, whole }: { values: Record<string, unknown>; whole: Uint8Array },
): void {
  const view = new DataView(whole.buffer);
  for (const { name, at, kind, isResult } of rows) {
    const value = values[name];
    if (!isResult) continue;
    if (typeof value === 'number') view.setUint32(at, value, true);
    else if (typeof value === 'bigint') view.setBigUint64(at, value, true);
    else throw new Bug(`the result ${name} of ${kind} is no number`);
  }
}
