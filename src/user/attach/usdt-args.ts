/**
 * Where the arguments of a USDT probe are: the text of its note in, the record out that bpf_usdt_arg() of libbpf's
 * usdt.bpf.h reads (struct __bpf_usdt_spec). An argument is SIZE@PLACE, the size in bytes, negative where it is signed:
 *
 *                            x86-64               arm64
 *      a number              -4@$5                -4@5
 *      in a register         8@%rax               8@x0
 *      in memory             -1@-20(%rbp)         -1@[sp, 60]
 */
import { SkepError } from '../../base/errors.ts';
import { ptRegs } from '../../uapi/pt-regs.ts';
import type { BinaryMachine } from '../../uapi/seam.ts';

/** BPF_USDT_MAX_ARG_CNT. */
const MAX_ARGS = 12;

/** struct __bpf_usdt_spec: arguments of 16 bytes, then what the attaching side gave along, and how many there are. */
const layout = { arg: 16, cookie: 192, count: 200, size: 208 } as const;
/** struct __bpf_usdt_arg_spec. */
const argument = { value: 0, type: 8, register: 12, signed: 14, shift: 15 } as const;
/** enum __bpf_usdt_arg_type. */
const types = { const: 0, reg: 1, deref: 2 } as const;

export const USDT_SPEC_SIZE = layout.size;

interface Form {
  readonly type: keyof typeof types;
  /** From where the one before ended: `value`, `register`, as far as the form has them. */
  readonly pattern: RegExp;
}

const forms: Readonly<Record<BinaryMachine, readonly Form[]>> = {
  x64: [
    { type: 'deref', pattern: /(?<value>-?\d+)?\(%(?<register>\w+)\)/y },
    { type: 'reg', pattern: /%(?<register>\w+)/y },
    { type: 'const', pattern: /\$(?<value>-?\d+)/y },
  ],
  arm64: [
    { type: 'deref', pattern: /\[(?<register>\w+)(?:, ?(?<value>-?\d+))?\]/y },
    { type: 'const', pattern: /(?<value>-?\d+)(?!\w)/y },
    { type: 'reg', pattern: /(?<register>\w+)/y },
  ],
};

const size = / *(-?)([1248])@/y;

/**
 * The record of a probe.
 * @param from.args as the note has them
 * @param from.cookie what bpf_usdt_cookie() returns
 * @throws {SkepError} 'attach' for an argument that is in no place of the table above, or too many of them
 */
export function usdtSpec(
  machine: BinaryMachine,
  { args, cookie }: { args: string; cookie: bigint },
): Uint8Array {
  const bytes = new Uint8Array(layout.size);
  const view = new DataView(bytes.buffer);
  let count = 0;
  for (let at = 0; at < args.trimEnd().length; count++) {
    if (count === MAX_ARGS) throw unknown(args, `it has more than ${MAX_ARGS} arguments`);
    at = putArgument(machine, { args, at, view, base: count * layout.arg });
  }
  view.setBigUint64(layout.cookie, cookie, true);
  view.setInt16(layout.count, count, true);
  return bytes;
}

/** Writes the argument that begins at `at`; where it ends. */
function putArgument(
  machine: BinaryMachine,
  { args, at, view, base }: { args: string; at: number; view: DataView; base: number },
): number {
  const isWhat = (): SkepError =>
    unknown(
      args,
      `argument ${base / layout.arg}, '${args.slice(at).trim().split(' ')[0]}', is of no known form`,
    );
  const [head, sign, bytes] = matchAt(size, args, at) ?? [];
  if (head === undefined) throw isWhat();
  for (const { type, pattern } of forms[machine]) {
    const found = matchAt(pattern, args, at + head.length);
    const end = at + head.length + (found?.[0].length ?? 0);
    if (found === undefined || !/^ |^$/.test(args.slice(end, end + 1))) continue;
    const { value = '0', register } = found.groups ?? {};
    const offset = register === undefined ? 0 : ptRegs[machine].get(register);
    if (offset === undefined) throw isWhat();
    view.setBigInt64(base + argument.value, BigInt.asIntN(64, BigInt(value)), true);
    view.setUint32(base + argument.type, types[type], true);
    view.setInt16(base + argument.register, offset, true);
    view.setUint8(base + argument.signed, sign === '-' ? 1 : 0);
    view.setInt8(base + argument.shift, 64 - 8 * Number(bytes));
    return end;
  }
  throw isWhat();
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}

function unknown(args: string, what: string): SkepError {
  return new SkepError({ code: 'attach', where: `the probe with arguments '${args}'`, message: what });
}
