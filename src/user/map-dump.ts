/**
 * What a map holds, as `bpftool map dump` prints it: with types from BTF as a list of objects, else as bytes in
 * hexadecimal. JSON has the bytes always, and what they mean as `formatted`.
 */
import { roundUp, toHex } from '../base/bytes.ts';
import { type Btf, dumpValue, JsonWriter, sizeOf } from '../btf/index.ts';

export type MapDumpFormat = 'text' | 'json' | 'pretty';

/** What is printed of a map. */
export interface MapContents {
  readonly keySize: number;
  /** Of one CPU's, where values are per CPU. */
  readonly valueSize: number;
  /** How many CPUs a value is for; undefined where it is not per CPU. */
  readonly cpus: number | undefined;
  readonly types:
    | { readonly btf: () => Btf; readonly keyTypeId: number; readonly valueTypeId: number }
    | undefined;
  readonly entries: Iterable<readonly [key: Uint8Array, value: Uint8Array]>;
}

/** Longer keys and values start on a line of their own; both fit on one where they have no more bytes than these. */
const [breakSize, singleLine] = [16, 24];

/**
 * The text of a map's elements, in pieces.
 */
export function* dumpMap(map: MapContents, format: MapDumpFormat): Generator<string> {
  const types = typesOf(map);
  if (format === 'text' && types === undefined) {
    yield* dumpBytes(map);
    return;
  }
  const writer = new JsonWriter({ pretty: format !== 'json' });
  const typed = types && { btf: types.btf(), writer, plain: format === 'text' };
  writer.open('[');
  for (const [key, value] of map.entries) {
    writer.object(() => {
      if (format !== 'text') writeBytes(writer, map, { key, value });
      if (types === undefined || typed === undefined) return;
      const members = (): void => {
        if (types.keyTypeId !== 0) writer.member('key', () => dumpValue(typed, types.keyTypeId, key));
        writeValues(writer, map, { value, each: (bytes) => dumpValue(typed, types.valueTypeId, bytes) });
      };
      if (format === 'text') members();
      else writer.member('formatted', () => writer.object(members));
    });
    yield writer.take();
  }
  writer.close(']');
  yield `${writer.take()}\n`;
}

/** The types of a map, where they are of its size: otherwise its elements are bytes. */
function typesOf({ types, valueSize }: MapContents): MapContents['types'] {
  if (types === undefined || types.valueTypeId === 0) return undefined;
  return sizeOf(types.btf(), types.valueTypeId) === valueSize ? types : undefined;
}

/** `value`, or `values` with one for each CPU. */
function writeValues(
  writer: JsonWriter,
  { cpus, valueSize }: MapContents,
  { value, each }: { value: Uint8Array; each: (bytes: Uint8Array) => void },
): void {
  if (cpus === undefined) {
    writer.member('value', () => each(value));
    return;
  }
  writer.member('values', () => {
    writer.array(() => {
      for (const [cpu, bytes] of perCpu(value, cpus, valueSize).entries()) {
        writer.object(() => {
          writer.member('cpu', () => writer.raw(String(cpu)));
          writer.member('value', () => each(bytes));
        });
      }
    });
  });
}

function writeBytes(
  writer: JsonWriter,
  map: MapContents,
  { key, value }: { key: Uint8Array; value: Uint8Array },
): void {
  const list = (bytes: Uint8Array): void =>
    writer.array(() => {
      for (const byte of bytes) writer.text(`0x${byte.toString(16).padStart(2, '0')}`);
    });
  writer.member('key', () => list(key));
  writeValues(writer, map, { value, each: list });
}

/** The value of each CPU, without what pads it to eight bytes. */
function perCpu(value: Uint8Array, cpus: number, size: number): Uint8Array[] {
  const stride = roundUp(size, 8);
  return Array.from({ length: cpus }, (_, cpu) => value.subarray(cpu * stride, cpu * stride + size));
}

/** Sixteen bytes a line, in two groups. */
function hexLines(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const groups = [bytes.subarray(at, at + 8), bytes.subarray(at + 8, at + 16)];
    lines.push(
      groups
        .filter(({ length }) => length > 0)
        .map((group) => toHex(group, ' '))
        .join('  '),
    );
  }
  return lines.join('\n');
}

function* dumpBytes(map: MapContents): Generator<string> {
  const { keySize, valueSize, cpus } = map;
  const gap = keySize > breakSize || valueSize > breakSize ? '\n' : ' ';
  const isSingle = gap === ' ' && keySize + valueSize <= singleLine;
  const valueGap = valueSize > breakSize ? '\n' : ' ';
  let count = 0;
  for (const [key, value] of map.entries) {
    count++;
    if (cpus === undefined) {
      yield `key:${gap}${hexLines(key)}${isSingle ? '  ' : '\n'}value:${gap}${hexLines(value)}\n`;
      continue;
    }
    const lines = perCpu(value, cpus, valueSize).map(
      (bytes, cpu) => `value (CPU ${String(cpu).padStart(2, '0')}):${valueGap}${hexLines(bytes)}\n`,
    );
    yield `key:\n${hexLines(key)}\n${lines.join('')}`;
  }
  yield `Found ${count} element${count === 1 ? '' : 's'}\n`;
}
