/**
 * Strings in read-only maps that helpers are given: at a constant address, with an end, and for bpf_snprintf() a
 * format that it knows (check_reg_const_str, check_bpf_snprintf_call).
 */
import { mapTypes } from '../uapi/map-types.ts';
import { isConst } from './domain/index.ts';
import type { Env } from './env.ts';
import { checkMapValue, RDONLY_PROG } from './memory.ts';
import { word } from './regs.ts';
import { regAt } from './state/frame.ts';
import { AUX0, OFF, TNUM_VALUE } from './state/layout.ts';
import type { MapFacts } from './types.ts';

function isReadOnly(map: MapFacts): boolean {
  return (map.flags & RDONLY_PROG) !== 0 && map.frozen;
}

/** An argument that points to a string of a map. */
export function checkConstString(env: Env, reg: number): void {
  const frame = env.frame;
  const r = regAt(reg);
  const map = env.map(word(frame, r, AUX0));
  if (!isReadOnly(map)) env.reject('EACCES', `R${reg} does not point to a readonly map'`);
  if (!isConst(frame, r)) env.reject('EACCES', `R${reg} is not a constant address'`);
  if (map.type !== mapTypes.array.id) {
    env.reject('EACCES', 'no direct value access support for this map type');
  }
  const size = map.valueSize - word(frame, r, OFF);
  checkMapValue(env, { reg, off: 0, size, write: false, zeroOk: false, byHelper: true });
  if (constString(env, reg) === undefined) env.reject('EINVAL', 'string is not zero-terminated');
}

/** The bytes before the NUL, as Latin-1; undefined where there is none. */
function constString(env: Env, reg: number): string | undefined {
  const frame = env.frame;
  const r = regAt(reg);
  const map = env.map(word(frame, r, AUX0));
  const off = word(frame, r, OFF) + Number(frame.i64[r + TNUM_VALUE]);
  const bytes = map.readConstant?.(off, map.valueSize - off);
  const end = bytes?.indexOf(0) ?? -1;
  if (bytes === undefined || end < 0) return undefined;
  return Array.from(bytes.subarray(0, end), (byte) => String.fromCharCode(byte)).join('');
}

/** What may follow a `%s`, and a `%p` that stands for a plain address. */
const AFTER = '(?=$|[\\s!-/:-@[-`{-~])';
/** One directive: flags and width, then a pointer (`%pI4`, `%pks` …), a string, a character or a number. */
const DIRECTIVE = new RegExp(
  `^[0+\\- ]*(?:[1-9][0-9]*)?(?:p(?:[ku]s${AFTER}|[KxsSB]|[iI][46]|${AFTER})|s${AFTER}|c|l{0,2}[idxXu])`,
);

/** Whether bpf_snprintf() knows the format and there is a value for each directive. */
export function isFormat(format: string, values: number): boolean {
  let used = 0;
  for (let at = format.indexOf('%'); at >= 0; ) {
    const rest = format.slice(at + 1);
    if (rest.startsWith('%')) {
      at = format.indexOf('%', at + 2);
      continue;
    }
    const directive = DIRECTIVE.exec(rest);
    if (directive === null || ++used > values) return false;
    at = format.indexOf('%', at + 1 + directive[0].length);
  }
  return true;
}

/** The format of bpf_snprintf() in r3, and the bytes of its values in r5. */
export function checkSnprintf(env: Env): void {
  const bytes = Number(env.frame.u64[regAt(5) + TNUM_VALUE]);
  if (bytes % 8 !== 0) env.fail('EINVAL');
  if (!isFormat(constString(env, 3) ?? '%', bytes / 8)) env.reject('EINVAL', 'Invalid format string');
}
