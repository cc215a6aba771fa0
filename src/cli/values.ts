/**
 * Values of maps and variables as text for people, and from the text of `--set`.
 */
import { toHex } from '../base/bytes.ts';
import type { Value } from '../btf/index.ts';
import { usageError } from './args.ts';

/** One line: `80`, `{ protocol: 6, port: 80 }`, `[1, 2]`, `"ls"`; bytes in hex. */
export function formatValue(value: Value): string {
  if (value instanceof Uint8Array) return toHex(value, ' ');
  if (typeof value === 'string') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(formatValue).join(', ')}]`;
  if (typeof value !== 'object') return String(value);
  const members = Object.entries(value).map(([name, member]) => `${name}: ${formatValue(member)}`);
  return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
}

/**
 * The inverse for what one types: an integer (decimal or 0x…), true, false, a JSON object, array or string;
 * anything else is a string.
 */
export function parseValue(text: string): Value {
  if (/^-?(\d+|0x[0-9a-f]+)$/i.test(text)) return parseInteger(text);
  if (text === 'true' || text === 'false') return text === 'true';
  if (!/^[[{"]/.test(text)) return text;
  try {
    return JSON.parse(text) as Value;
  } catch {
    throw usageError(`not a value: ${text}`, 'an integer, or JSON');
  }
}

function parseInteger(text: string): number | bigint {
  const negative = text.startsWith('-');
  const magnitude = BigInt(negative ? text.slice(1) : text);
  const value = negative ? -magnitude : magnitude;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
