/**
 * Numbers and ranges as the verifier's log shows them: small ones in decimal, the others in hex, and ends of
 * ranges that are the same number under one `name=name=…`.
 */
import { boundsViolation } from '../domain/index.ts';
import {
  type RegFile,
  S32_MAX,
  S32_MIN,
  SMAX,
  SMIN,
  TNUM_MASK,
  TNUM_VALUE,
  U32_MAX,
  U32_MIN,
  UMAX,
  UMIN,
} from '../state/layout.ts';

const U64 = 64;

/** Decimal up to 65535, else hex. */
export function unsignedText(value: bigint): string {
  return value <= 0xffffn ? value.toString() : `0x${value.toString(16)}`;
}

/** Decimal from -32768 to 32767, else the hex of its 64 bits. */
export function signedText(value: bigint): string {
  const signed = BigInt.asIntN(U64, value);
  if (signed >= -0x8000n && signed <= 0x7fffn) return signed.toString();
  return `0x${BigInt.asUintN(U64, value).toString(16)}`;
}

/** Hexadecimal of the `bits` bits of a number, as every number of a violation is shown. */
function hex(value: bigint | number, bits: number): string {
  return `0x${BigInt.asUintN(bits, BigInt(value)).toString(16)}`;
}

/** The line that names a register, at `where`, whose ranges contradict each other; undefined for any other. */
export function violationLine(file: RegFile, r: number, where: string): string | undefined {
  const problem = boundsViolation(file, r);
  if (problem === undefined) return undefined;
  const { u64, i64, u32, i32 } = file;
  const w = 2 * r;
  return (
    `verifier bug: REG INVARIANTS VIOLATION (${where}): ${problem} ` +
    `u64=[${hex(u64[r + UMIN]!, U64)}, ${hex(u64[r + UMAX]!, U64)}] ` +
    `s64=[${hex(i64[r + SMIN]!, U64)}, ${hex(i64[r + SMAX]!, U64)}] ` +
    `u32=[${hex(u32[w + U32_MIN]!, 32)}, ${hex(u32[w + U32_MAX]!, 32)}] ` +
    `s32=[${hex(i32[w + S32_MIN]!, 32)}, ${hex(i32[w + S32_MAX]!, 32)}] ` +
    `var_off=(${hex(u64[r + TNUM_VALUE]!, U64)}, ${hex(u64[r + TNUM_MASK]!, U64)})`
  );
}

/** One end of a range: what it is called, its value as 64 bits, and whether it says nothing. */
interface End {
  readonly name: string;
  readonly signed: boolean;
  readonly value: bigint;
  omit: boolean;
}

/** A signed 32-bit number: shown in decimal it is itself, in hex it is its 32 bits. */
function signedWord(value: number): bigint {
  return BigInt(value >= -0x8000 && value <= 0x7fff ? value : value >>> 0);
}

function ends(file: RegFile, r: number): End[] {
  const { u64, i64, u32, i32 } = file;
  const w = 2 * r;
  const smin = i64[r + SMIN]!;
  const smax = i64[r + SMAX]!;
  const umin = u64[r + UMIN]!;
  const umax = u64[r + UMAX]!;
  const smin32 = i32[w + S32_MIN]!;
  const smax32 = i32[w + S32_MAX]!;
  const umin32 = u32[w + U32_MIN]!;
  const umax32 = u32[w + U32_MAX]!;
  return [
    { name: 'smin', signed: true, value: smin, omit: smin === -(1n << 63n) },
    { name: 'smax', signed: true, value: smax, omit: smax === (1n << 63n) - 1n },
    { name: 'umin', signed: false, value: umin, omit: umin === 0n },
    { name: 'umax', signed: false, value: umax, omit: umax === (1n << 64n) - 1n },
    { name: 'smin32', signed: true, value: signedWord(smin32), omit: smin32 === -0x8000_0000 },
    { name: 'smax32', signed: true, value: signedWord(smax32), omit: smax32 === 0x7fff_ffff },
    { name: 'umin32', signed: false, value: BigInt(umin32), omit: umin32 === 0 },
    { name: 'umax32', signed: false, value: BigInt(umax32), omit: umax32 === 0xffff_ffff },
  ];
}

/** Whether two ends are the same number: their 64 bits are, and they agree on whether it is negative. */
function same(a: End, b: End): boolean {
  if (BigInt.asUintN(U64, a.value) !== BigInt.asUintN(U64, b.value)) return false;
  return (a.signed && a.value < 0n) === (b.signed && b.value < 0n);
}

/** Adds `smin=umin=5`, `smax=9` … of a register to `facts`: each end that says something, with its equals. */
export function scalarRanges(file: RegFile, r: number, facts: string[]): void {
  const all = ends(file, r);
  all.forEach((end, i) => {
    if (end.omit) return;
    let text = `${end.name}=`;
    // Minima are the even entries, maxima the odd ones.
    for (let j = i + 2; j < all.length; j += 2) {
      const other = all[j] as End;
      if (other.omit || !same(end, other)) continue;
      other.omit = true;
      text += `${other.name}=`;
    }
    facts.push(text + (end.signed ? signedText(end.value) : unsignedText(end.value)));
  });
}
