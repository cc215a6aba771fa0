/**
 * `skep map create, lookup, update, delete, getnext, push, pop, peek, freeze, pin` on a running kernel, in
 * bpftool's words. Keys and values are bytes (`key 0x50 0 0 0`, `key hex 50 00 00 00`) or one value in the type
 * that the map's BTF says (`key 80`, `key '{"port":80}'`).
 */
import { SkepError } from '../base/errors.ts';
import type { Value } from '../btf/index.ts';
import { type MapTypeName, mapTypes } from '../uapi/map-types.ts';
import type { Map as BpfMap, UpdateMode } from '../user/index.ts';
import { usageError } from './args.ts';
import type { Invocation } from './invocation.ts';
import { oneMap, onLiveKernel } from './live.ts';
import { formatValue, parseValue } from './values.ts';
import type { Words } from './words.ts';

/** Runs `act` on the map that the command's first words mean. */
function onMap(invocation: Invocation, act: (map: BpfMap, words: Words) => void): Promise<number> {
  return onLiveKernel(invocation, (kernel, words) => {
    const map = oneMap(kernel, words.object('MAP'));
    try {
      act(map, words);
    } finally {
      map.close();
    }
    return 0;
  });
}

/** As many words as the key or value has bytes are bytes; one is a value. */
function dataOf(words: readonly string[], size: number, what: string): Value {
  const isHex = words[0] === 'hex';
  const bytes = isHex ? words.slice(1) : words;
  if (!isHex && bytes.length === 1) return parseValue(bytes[0] as string);
  const pattern = isHex ? /^(0x)?[0-9a-f]{1,2}$/i : /^(\d{1,3}|0x[0-9a-f]{1,2})$/i;
  const numbers = bytes.map((word) =>
    pattern.test(word) ? Number(isHex ? `0x${word.replace(/^0x/i, '')}` : word) : 256,
  );
  if (bytes.length === size && numbers.every((number) => number < 256)) return Uint8Array.from(numbers);
  throw usageError(
    `the ${what} is ${size} bytes, not '${words.join(' ')}'`,
    'give it as bytes, or as one value',
  );
}

function key(map: BpfMap, words: Words): Value {
  if (words.take(['key']) === undefined) throw usageError(`a key is missing`, 'key DATA');
  return dataOf(words.until(['value']), map.keySize, 'key');
}

function value(map: BpfMap, words: Words): Value {
  if (words.take(['value']) === undefined) throw usageError(`a value is missing`, 'value DATA');
  return dataOf(words.until(Object.keys(modes)), map.valueSize, 'value');
}

const modes = { any: 'any', exist: 'exist', noexist: 'noexist' } as const satisfies Record<
  UpdateMode,
  UpdateMode
>;

function print(invocation: Invocation, data: { key?: Value | undefined; value?: Value | undefined }): void {
  if (invocation.json) invocation.printJson(data);
  else {
    const parts = Object.entries(data).filter(([, part]) => part !== undefined);
    invocation.print(parts.map(([name, part]) => `${name}: ${formatValue(part as Value)}`).join('  '));
  }
}

function nothing(map: BpfMap, what: string): SkepError {
  return new SkepError({ code: 'no-element', message: `${map.what} has no ${what}` });
}

export const lookup = (invocation: Invocation): Promise<number> =>
  onMap(invocation, (map, words) => {
    const wanted = key(map, words);
    words.end();
    const found = map.get(wanted);
    if (found === undefined) throw nothing(map, `element ${formatValue(wanted)}`);
    print(invocation, { key: wanted, value: found });
  });

export const update = (invocation: Invocation): Promise<number> =>
  onMap(invocation, (map, words) => {
    const wanted = key(map, words);
    const data = value(map, words);
    const mode = words.take(Object.values(modes)) ?? 'any';
    words.end();
    map.set(wanted, data, mode);
  });

export const remove = (invocation: Invocation): Promise<number> =>
  onMap(invocation, (map, words) => {
    const wanted = key(map, words);
    words.end();
    if (!map.delete(wanted)) throw nothing(map, `element ${formatValue(wanted)}`);
  });

export const getNext = (invocation: Invocation): Promise<number> =>
  onMap(invocation, (map, words) => {
    const after = words.left === 0 ? undefined : key(map, words);
    words.end();
    const next = map.keyAfter(after);
    if (next === undefined) throw nothing(map, 'key behind it');
    print(invocation, { key: next });
  });

export const push = (invocation: Invocation): Promise<number> =>
  onMap(invocation, (map, words) => {
    const data = value(map, words);
    words.end();
    map.push(data);
  });

const oneOut =
  (read: (map: BpfMap) => Value | undefined) =>
  (invocation: Invocation): Promise<number> =>
    onMap(invocation, (map, words) => {
      words.end();
      const found = read(map);
      if (found === undefined) throw nothing(map, 'value: it is empty');
      print(invocation, { value: found });
    });

export const pop = oneOut((map) => map.pop());
export const peek = oneOut((map) => map.peek());

export const freeze = (invocation: Invocation): Promise<number> =>
  onMap(invocation, (map, words) => {
    words.end();
    map.freeze();
  });

export const pin = (invocation: Invocation): Promise<number> =>
  onMap(invocation, (map, words) => {
    const path = words.next('path');
    words.end();
    map.pin(path);
  });

/** `PATH type TYPE key BYTES value BYTES entries N name NAME [flags N]`. */
export const create = (invocation: Invocation): Promise<number> =>
  onLiveKernel(invocation, (kernel, words) => {
    const path = words.next('path');
    const sizes = { key: 0, value: 0, entries: 0, flags: 0 };
    let type: MapTypeName | undefined;
    let name = '';
    while (words.left > 0) {
      const word = words.take(['type', 'name', 'key', 'value', 'entries', 'flags']);
      if (word === undefined) words.end();
      else if (word === 'type') type = mapType(words.next('type'));
      else if (word === 'name') name = words.next('name');
      else sizes[word] = words.number(`number of ${word}`);
    }
    if (type === undefined)
      throw usageError("'skep map create' wants a type", `type ${Object.keys(mapTypes).join('|')}`);
    const { key: keySize, value: valueSize, entries: maxEntries, flags } = sizes;
    const map = kernel.createMap({ type, name, keySize, valueSize, maxEntries, flags });
    try {
      map.pin(path);
    } finally {
      map.close();
    }
    return 0;
  });

function mapType(word: string): MapTypeName {
  if (Object.hasOwn(mapTypes, word)) return word as MapTypeName;
  throw usageError(`there is no map type '${word}'`, `types are ${Object.keys(mapTypes).join(', ')}`);
}
