/**
 * JSON output with stable shapes: a bigint is a number where a double holds it exactly, else a decimal
 * string; bytes are a hex string; what is undefined is left out.
 */
import { toHex } from '../base/bytes.ts';

export function toJson(data: unknown): string {
  return JSON.stringify(data, (_, value: unknown) => jsonValue(value), 2);
}

function jsonValue(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  }
  return value instanceof Uint8Array ? toHex(value) : value;
}
