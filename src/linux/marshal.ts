/**
 * One call of bpf(2): the attributes of the seam written as a `union bpf_attr`, the call made, and what the
 * kernel wrote copied back, also where it failed. Every byte that the kernel may touch lies in an arena, so
 * buffers neither move nor end too early. Leaves out what errors mean to a user.
 */
import { Bug, unreachable } from '../base/errors.ts';
import type { BpfAttr, Cmd, FieldKind } from '../uapi/commands.ts';
import { BpfError } from '../uapi/errno.ts';
import type { Info, InfoFieldKind, InfoKind } from '../uapi/info.ts';
import { Arena, copyIn, copyOut } from './arena.ts';
import { type CommandLayout, commandLayouts, type Row, recordLayouts, widths } from './layout.ts';
import type { Libc } from './libc.ts';

/** Room of the arena that is kept; calls that need more map one for themselves. */
const USUAL_ROOM = 1 << 18;
/** The attributes lie at the start of the arena. */
const ATTR_ROOM = 256;
/** The kernel refuses info records beyond one page (E2BIG), so there is no need to have more. */
const MAX_RECORD = 1 << 16;

type Values = Record<string, unknown>;

interface ElementAttr {
  readonly mapFd?: number | undefined;
  readonly key?: Uint8Array | undefined;
  readonly value?: Uint8Array | undefined;
  readonly flags?: bigint | undefined;
}

/** Bytes of the attributes of a command of one element: { mapFd, key, value, flags }. */
const ELEMENT_ATTR = 32;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class Marshaller {
  readonly #libc: Libc;
  readonly #arena: Arena;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#arena = new Arena(libc, USUAL_ROOM);
  }

  /** Makes the call; its result, or minus the error number. */
  call<C extends Cmd>(cmd: C, attr: BpfAttr<C>): number {
    const layout = commandLayouts[cmd];
    const values = attr as Values;
    if (layout.element !== undefined) {
      const result = this.#element(layout.nr, layout.element.value, attr as ElementAttr);
      if (result !== undefined) return result;
    }
    if (new Frame(this.#arena, layout.title).write(layout, values)) {
      return this.#run(this.#arena, layout, values);
    }
    const arena = new Arena(this.#libc, roomFor(layout, values));
    try {
      if (!new Frame(arena, layout.title).write(layout, values)) throw new Bug('an arena was made too small');
      return this.#run(arena, layout, values);
    } finally {
      arena.free();
    }
  }

  /** Makes the call with attributes as they are, which the kernel may write to; as `call`. */
  callRaw(nr: number, attr: Uint8Array): number {
    const arena = attr.length <= this.#arena.size ? this.#arena : new Arena(this.#libc, attr.length);
    try {
      // At the end, before the page that nobody may touch: no kernel reads further.
      const at = arena.size - attr.length;
      copyIn(arena.bytes, at, attr);
      const result = this.#libc.bpf(this.#libc.numbers.bpf, nr, arena.address + at, attr.length);
      const errno = result < 0 ? this.#libc.errno() : 0;
      copyOut(arena.bytes, at, attr);
      return result < 0 ? -errno : result;
    } finally {
      if (arena !== this.#arena) arena.free();
    }
  }

  /**
   * The commands of one element, without a walk over the table: four fields, of which two are buffers that go to the
   * end of the arena, the value last. Undefined for what is not as usual.
   */
  #element(nr: number, value: FieldKind | undefined, attr: ElementAttr): number | undefined {
    const { words, longs, bytes, address, size, base } = this.#arena;
    const { mapFd, key, flags } = attr;
    if (key === undefined || mapFd === undefined || base === undefined) return undefined;
    const buffer = value === undefined ? undefined : attr.value;
    if (value !== undefined && buffer === undefined) return undefined;
    const valueAt = size - (buffer?.length ?? 0);
    const keyAt = valueAt - key.length;
    if (keyAt < ATTR_ROOM) return undefined;
    words[0] = mapFd;
    words[1] = 0;
    words[2] = base.low + keyAt;
    words[3] = base.high;
    words[4] = buffer === undefined ? 0 : base.low + valueAt;
    words[5] = buffer === undefined ? 0 : base.high;
    words[6] = 0;
    words[7] = 0;
    if (flags !== undefined && flags !== 0n) longs[3] = flags;
    copyIn(bytes, keyAt, key);
    if (buffer !== undefined) copyIn(bytes, valueAt, buffer);
    const result = this.#libc.bpf(this.#libc.numbers.bpf, nr, address, ELEMENT_ATTR);
    if (result < 0) return -this.#libc.errno();
    if (value === 'out') copyOut(bytes, valueAt, buffer as Uint8Array);
    return result;
  }

  #run(arena: Arena, layout: CommandLayout, values: Values): number {
    const result = this.#libc.bpf(this.#libc.numbers.bpf, layout.nr, arena.address, layout.size);
    // Read at once: whatever Node does next may change it.
    const errno = result < 0 ? this.#libc.errno() : 0;
    for (const { name, at, kind } of layout.results) {
      values[name] = kind === 'u64' ? arena.longs[at >> 3] : arena.words[at >> 2];
    }
    readOutputs(arena, { rows: layout.rows, values, base: 0 });
    return result < 0 ? -errno : result;
  }
}

/** The arguments of one call, put into an arena: buffers from its end downwards. */
class Frame {
  readonly #arena: Arena;
  readonly #title: string;
  #cursor: number;

  constructor(arena: Arena, title: string) {
    this.#arena = arena;
    this.#title = title;
    this.#cursor = arena.size;
  }

  /** False where the arena is too small. */
  write(layout: CommandLayout, values: Values): boolean {
    const { words } = this.#arena;
    for (let i = layout.size >> 2; i-- > 0; ) words[i] = 0;
    return this.#rows(layout.rows, values, 0);
  }

  #rows(rows: readonly Row[], values: Values, base: number): boolean {
    const { words, longs, bytes } = this.#arena;
    for (let i = 0; i < rows.length; i++) {
      const { name, at: offset, kind } = rows[i] as Row;
      const value = values[name];
      if (value === undefined) continue;
      const at = base + offset;
      switch (kind) {
        case 'u32':
        case 's32':
          words[at >> 2] = value as number;
          break;
        case 'u64':
          if (value !== 0n) longs[at >> 3] = value as bigint;
          break;
        case 'name':
          bytes.set(encoder.encode(value as string).subarray(0, widths.name), at);
          break;
        case 'str':
          if (!this.#buffer(this.#text(value as string), at)) return false;
          break;
        case 'in':
        case 'out':
          if (!this.#buffer(value as Uint8Array, at)) return false;
          break;
        case 'info':
          if (!this.#info(value as Info, values, at)) return false;
          break;
        case 'tag':
          break;
        default:
          unreachable(kind);
      }
    }
    return true;
  }

  /** A string as C has it. */
  #text(text: string): Uint8Array {
    if (text.includes('\0')) throw new BpfError('EINVAL', this.#title, 'a string with a NUL in it');
    return encoder.encode(`${text}\0`);
  }

  #buffer(buffer: Uint8Array, at: number): boolean {
    const start = this.#place(buffer.length);
    if (start < 0) return false;
    copyIn(this.#arena.bytes, start, buffer);
    this.#point(at, start);
    return true;
  }

  #info(info: Info, values: Values, at: number): boolean {
    const layout = recordLayouts[info.kind];
    const size = recordSize(info.kind, values['infoLen']);
    const start = this.#place(size) & ~7;
    if (start < 0) return false;
    this.#cursor = start;
    this.#arena.bytes.fill(0, start, start + size);
    if (values['infoLen'] === undefined) this.#arena.words[infoLenWord] = layout.size;
    this.#point(at, start);
    return this.#rows(layout.rows, info, start);
  }

  /** Where `length` bytes go; negative where they do not fit. */
  #place(length: number): number {
    const start = this.#cursor - length;
    if (start < ATTR_ROOM) return -1;
    this.#cursor = start;
    return start;
  }

  /** Writes the pointer at `at`. */
  #point(at: number, start: number): void {
    const address = this.#arena.address + start;
    const { words } = this.#arena;
    words[at >> 2] = address;
    words[(at >> 2) + 1] = address / 2 ** 32;
  }
}

/** Where objGetInfoByFd has its length: the only command with a record. */
const infoLenWord = 1;

function recordSize(kind: InfoKind, infoLen: unknown): number {
  const wanted = typeof infoLen === 'number' ? Math.min(Math.max(infoLen, 0), MAX_RECORD) : 0;
  return Math.max(recordLayouts[kind].size, Math.ceil(wanted / 8) * 8);
}

/** Bytes of arena that a call needs. */
function roomFor(layout: CommandLayout, values: Values): number {
  let room = ATTR_ROOM;
  for (const { name, kind } of layout.rows) {
    const value = values[name];
    if (value === undefined) continue;
    if (kind === 'str') room += 3 * (value as string).length + 1;
    else if (kind === 'in' || kind === 'out') room += (value as Uint8Array).length;
    else if (kind === 'info') {
      room += recordSize((value as Info).kind, values['infoLen']) + 8;
      for (const inner of Object.values(value as Info)) {
        if (inner instanceof Uint8Array) room += inner.length;
      }
    }
  }
  return room;
}

interface Written {
  readonly rows: readonly Row<FieldKind | InfoFieldKind>[];
  readonly values: Values;
  readonly base: number;
}

/** Copies out what lies behind pointers. */
function readOutputs(arena: Arena, { rows, values, base }: Written): void {
  for (let i = 0; i < rows.length; i++) {
    const { name, at, kind } = rows[i] as Row;
    // Outputs come first in the rows of commands.
    if (kind !== 'out' && kind !== 'info') return;
    const value = values[name];
    if (value === undefined) continue;
    const word = (base + at) >> 2;
    const address = (arena.words[word] as number) + (arena.words[word + 1] as number) * 2 ** 32;
    const start = address - arena.address;
    if (kind === 'out') copyOut(arena.bytes, start, value as Uint8Array);
    else readInfo(arena, { info: value as Info, start, filled: values['infoLen'] as number });
  }
}

/** Copies out the fields of a record that the kernel filled. */
function readInfo(
  arena: Arena,
  { info, start, filled }: { info: Info; start: number; filled: number },
): void {
  const { rows } = recordLayouts[info.kind];
  const values = info as Values;
  readOutputs(arena, { rows, values, base: start });
  for (const { name, at: offset, kind } of rows) {
    const at = start + offset;
    if (offset + widths[kind] > filled) continue;
    switch (kind) {
      case 'u32':
        values[name] = arena.words[at >> 2];
        break;
      case 's32':
        values[name] = (arena.words[at >> 2] as number) | 0;
        break;
      case 'u64':
        values[name] = arena.longs[at >> 3];
        break;
      case 'name':
        values[name] = cString(arena.bytes.subarray(at, at + widths.name));
        break;
      case 'tag':
        values[name] = arena.bytes.slice(at, at + widths.tag);
        break;
      case 'out':
        break;
      default:
        unreachable(kind);
    }
  }
}

function cString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decoder.decode(end < 0 ? bytes : bytes.subarray(0, end));
}
