/**
 * Values in strace's output, back to what was in the registers, as far as strace shows it: numbers are
 * exact; NULL, AT_FDCWD and negative numbers too; pointers that it shows as what they point to (strings,
 * structs, arrays) and flags by name are 0, since their numbers are not in the output.
 */
import { type Errno, errnos } from '../uapi/errno.ts';
import type { SyscallArch } from './syscalls.ts';

/** Error numbers that never reach a program, but strace (linux/errno.h in the kernel). */
const restartErrors: Readonly<Record<string, number>> = {
  ERESTARTSYS: 512,
  ERESTARTNOINTR: 513,
  ERESTARTNOHAND: 514,
  ERESTART_RESTARTBLOCK: 516,
};

/** As long as 64 bits can be. */
const numberPattern = /^(-?)(0x[0-9a-f]{1,16}|\d{1,22})/i;

/** The number at the start of a text. */
function leadingNumber(text: string): bigint | undefined {
  const match = numberPattern.exec(text);
  if (match === null) return undefined;
  const digits = match[2] as string;
  const octal = /^0[0-7]+$/.test(digits);
  const value = BigInt(octal ? `0o${digits.slice(1)}` : digits);
  return match[1] === '-' ? -value : value;
}

function argumentValue(text: string): bigint {
  if (text.startsWith('AT_FDCWD')) return BigInt.asUintN(64, -100n);
  return BigInt.asUintN(64, leadingNumber(text) ?? 0n);
}

/** Where strace names arguments and shows them in an order of its own: their places in the registers. */
const namedArguments: Readonly<
  Record<SyscallArch, Readonly<Record<string, Readonly<Record<string, number>>>>>
> = {
  x86_64: { clone: { flags: 0, child_stack: 1, parent_tid: 2, parent_tidptr: 2, child_tidptr: 3, tls: 4 } },
  arm64: { clone: { flags: 0, child_stack: 1, parent_tid: 2, parent_tidptr: 2, tls: 3, child_tidptr: 4 } },
};

const maxArguments = 6;

/** The six arguments of a call as unsigned 64-bit numbers. */
export function argumentValues(name: string, args: readonly string[], arch: SyscallArch): bigint[] {
  const values = Array<bigint>(maxArguments).fill(0n);
  for (const [i, text] of args.entries()) {
    const named = /^([a-z_]+)=/.exec(text);
    const place = named === null ? i : (namedArguments[arch][name]?.[named[1] as string] ?? i);
    if (place < maxArguments)
      values[place] = argumentValue(named === null ? text : text.slice(named[0].length));
  }
  return values;
}

/**
 * What a call returned: a number, or minus the error number, as the kernel returns it.
 * @returns undefined where strace shows none: `?`
 */
export function returnValue(result: string): bigint | undefined {
  const error = /^(?:-1|\?) ([A-Z][A-Z0-9_]+)/.exec(result)?.[1];
  const number = error === undefined ? undefined : (errnos[error as Errno] ?? restartErrors[error]);
  if (number !== undefined) return -BigInt(number);
  return leadingNumber(result);
}
