/**
 * The kernel configuration that `--kconfig` gives to the externs of a program.
 */
import { gunzipSync } from 'node:zlib';
import { SkepError } from '../base/errors.ts';
import { readInput } from './files.ts';
import type { Invocation } from './invocation.ts';

/** Larger than any .config, which has some hundred KiB. */
const maxLength = 1 << 24;

/** The text of the file, which may be packed as /proc/config.gz is; undefined without the option. */
export function givenConfig(invocation: Invocation): string | undefined {
  const path = invocation.value('kconfig');
  if (path === undefined) return undefined;
  const bytes = readInput(path);
  return new TextDecoder().decode(bytes[0] === 0x1f && bytes[1] === 0x8b ? unpacked(bytes, path) : bytes);
}

function unpacked(bytes: Uint8Array, path: string): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: maxLength });
  } catch {
    throw new SkepError({ code: 'file', where: path, message: 'it is packed with gzip, and broken' });
  }
}
