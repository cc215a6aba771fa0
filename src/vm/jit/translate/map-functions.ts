/**
 * Functions of a program's module that work on one map each: what helpers/map.ts does through maps/hash.ts and
 * maps/ringbuf.ts, written for the sizes and addresses of that map. They share maps/layout.ts with them, and leave
 * what is rare to the host: a new chunk of elements, waking a reader.
 */
import { Bug } from '../../../base/errors.ts';
import { hashTraits } from '../../../maps/hash.ts';
import {
  CHUNK_HEADER,
  hashHeader as H,
  hashElem,
  LRU_BYTES,
  mapHeader,
  ringLayout as R,
  ringHeader,
  valueStride,
  valuesAt,
} from '../../../maps/layout.ts';
import type { BpfMap } from '../../../maps/types.ts';
import { errnos } from '../../../uapi/errno.ts';
import { mapTypes } from '../../../uapi/map-types.ts';
import type { Code, FunctionRef, FunctionType, Label, Local, ModuleBuilder } from '../wasm/index.ts';
import { writeWithEmptyRun } from './empty-run.ts';
import { CPU } from './layout.ts';

/** Keys longer than this are left to the host. */
const KEY_MAX = 64;

export type MapFunction = 'lookup' | 'update' | 'delete' | 'reserve';

const types: Record<MapFunction, FunctionType> = {
  /** (key): the value's address, or 0. */
  lookup: { params: ['i32'], results: ['i32'] },
  /** (key, value, flags): 0 or a negative errno. */
  update: { params: ['i32', 'i32', 'i64'], results: ['i32'] },
  /** (key): 0 or a negative errno. */
  delete: { params: ['i32'], results: ['i32'] },
  /** (size): the record's address, or 0. */
  reserve: { params: ['i64'], results: ['i32'] },
};
const parameters: Record<MapFunction, readonly string[]> = {
  lookup: ['key'],
  update: ['key', 'value', 'flags'],
  delete: ['key'],
  reserve: ['size'],
};

/** Whether a map's module can have the function for it. */
export function hasMapFunction(map: BpfMap, what: MapFunction): boolean {
  if (what === 'reserve') return map.def.type === mapTypes.ringbuf.id;
  return hashTraits(map.def.type) !== undefined && map.def.keySize <= KEY_MAX;
}

/** Whether a call changes nothing, whatever the key. */
function onlyReads(map: BpfMap, what: MapFunction): boolean {
  return what === 'lookup' && hashTraits(map.def.type)?.lru === false;
}

export interface MapFunctionInput {
  readonly module: ModuleBuilder;
  readonly map: BpfMap;
  /** Its place among the program's maps, by which the host knows it. */
  readonly index: number;
  readonly scratch: number;
  /** The kernel's memory, for what stays as it is in the map's header. */
  readonly view: DataView;
  imported(name: string): FunctionRef;
}

/** Defines the function. */
export function defineMapFunction(
  what: MapFunction,
  input: MapFunctionInput,
): { ref: FunctionRef; code: Code } {
  const { module, index } = input;
  const { ref, code } = module.define(`${what}${index}`, types[what], parameters[what]);
  if (what === 'reserve') {
    new RingWriter(code, input).reserve();
    return { ref, code };
  }
  const write = (): void => new HashWriter(code, input)[what]();
  if (onlyReads(input.map, what)) write();
  else writeWithEmptyRun(code, code.locals[0]!, write);
  return { ref, code };
}

class Writer {
  protected readonly code: Code;
  protected readonly input: MapFunctionInput;

  constructor(code: Code, input: MapFunctionInput) {
    this.code = code;
    this.input = input;
  }

  protected param(name: string): Local {
    return this.code.locals.find((local) => local.name === name)!;
  }

  /** A field of the map's header. */
  protected field(offset: number): void {
    this.code.i32(this.input.map.address + offset);
    this.code.access('i32.load');
  }

  /** Sets a field of the map's header to what `value` leaves on the stack. */
  protected setField(offset: number, value: () => void): void {
    this.code.i32(this.input.map.address + offset);
    value();
    this.code.access('i32.store');
  }

  /** A local, made where it is asked for first. */
  protected local(name: string): Local {
    return this.code.locals.find((local) => local.name === name) ?? this.code.local(name, 'i32');
  }

  protected constant(offset: number): number {
    return this.input.view.getUint32(this.input.map.address + offset, true);
  }

  protected answer(value: number): void {
    this.code.i32(value);
    this.code.op('return');
  }
}

/** Sizes of the loads that make up `bytes` bytes, largest first. */
function pieces(bytes: number): { at: number; size: 8 | 4 | 2 | 1 }[] {
  const found: { at: number; size: 8 | 4 | 2 | 1 }[] = [];
  for (let at = 0; at < bytes; ) {
    const left = bytes - at;
    const size = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
    found.push({ at, size });
    at += size;
  }
  return found;
}

const plainLoads = { 8: 'i64.load', 4: 'i32.load', 2: 'i32.load16_u', 1: 'i32.load8_u' } as const;
const plainStores = { 8: 'i64.store', 4: 'i32.store', 2: 'i32.store16', 1: 'i32.store8' } as const;
/** Values up to this many bytes are copied piece by piece. */
const COPY_BY_PIECES = 64;

/** See maps/hash.ts for what each does and why. */
class HashWriter extends Writer {
  private readonly hash: Local;
  private readonly elem: Local;
  private readonly key: Local;
  private readonly bucket: Local;
  private readonly traits: { readonly percpu: boolean; readonly lru: boolean };
  private readonly values: number;
  private readonly used: number;
  private readonly stride: number;
  private readonly cpuStride: number;

  constructor(code: Code, input: MapFunctionInput) {
    super(code, input);
    const { def } = input.map;
    this.traits = hashTraits(def.type) ?? noHash();
    this.hash = code.local('hash', 'i32');
    this.elem = code.local('elem', 'i32');
    this.bucket = code.local('bucket', 'i32');
    this.key = this.param('key');
    this.stride = this.constant(mapHeader.stride);
    this.values = valuesAt(def);
    this.used = this.stride - (this.traits.lru ? LRU_BYTES : 0);
    this.cpuStride = this.traits.percpu ? valueStride(def) : 0;
  }

  private get keySize(): number {
    return this.input.map.def.keySize;
  }

  /** lookup3 of the key (maps/jhash.ts) into `hash`, and the address of its bucket into `bucket`. */
  private writeHash(): void {
    const { code, hash, key, keySize } = this;
    const [a, b, c] = ['a', 'b', 'c'].map((name) => code.local(name, 'i32')) as [Local, Local, Local];
    const start = (0xdeadbeef + keySize + this.constant(H.seed)) | 0;
    for (const local of [a, b, c]) {
      code.i32(start);
      code.set(local);
    }
    const addWord = (to: Local, at: number, left: number): void => {
      code.get(to);
      this.word(key, at, left);
      code.op('i32.add');
      code.set(to);
    };
    /** to = (to op other) ^ rotl(from, by), with op from `-`. */
    const rot = (from: Local, by: number): void => {
      code.get(from);
      code.i32(by);
      code.op('i32.rotl');
    };
    const mix = (x: Local, y: Local, z: Local, by: number): void => {
      // x = (x - y) ^ rot(y, by); y = y + z
      code.get(x);
      code.get(y);
      code.op('i32.sub');
      rot(y, by);
      code.op('i32.xor');
      code.set(x);
      code.get(y);
      code.get(z);
      code.op('i32.add');
      code.set(y);
    };
    let at = 0;
    let left = keySize;
    for (; left > 12; at += 12, left -= 12) {
      addWord(a, at, 4);
      addWord(b, at + 4, 4);
      addWord(c, at + 8, 4);
      mix(a, c, b, 4);
      mix(b, a, c, 6);
      mix(c, b, a, 8);
      mix(a, c, b, 16);
      mix(b, a, c, 19);
      mix(c, b, a, 4);
    }
    addWord(a, at, left);
    if (left > 4) addWord(b, at + 4, left - 4);
    if (left > 8) addWord(c, at + 8, left - 8);
    /** x = (x ^ y) - rot(y, by) */
    const final = (x: Local, y: Local, by: number): void => {
      code.get(x);
      code.get(y);
      code.op('i32.xor');
      rot(y, by);
      code.op('i32.sub');
      code.set(x);
    };
    final(c, b, 14);
    final(a, c, 11);
    final(b, a, 25);
    final(c, b, 16);
    final(a, c, 4);
    final(b, a, 14);
    final(c, b, 24);
    code.get(c);
    code.set(hash);
    code.get(hash);
    code.i32(this.constant(H.bucketMask));
    code.op('i32.and');
    code.i32(2);
    code.op('i32.shl');
    code.i32(this.constant(H.buckets));
    code.op('i32.add');
    code.set(this.bucket);
  }

  /** A little-endian word of the key, of which `left` bytes are there. */
  private word(base: Local, at: number, left: number): void {
    const { code } = this;
    const part = (offset: number, size: 4 | 2 | 1): void => {
      code.get(base);
      code.access(plainLoads[size], offset);
    };
    if (left >= 4) {
      part(at, 4);
    } else if (left === 3) {
      part(at, 2);
      part(at + 2, 1);
      code.i32(16);
      code.op('i32.shl');
      code.op('i32.or');
    } else {
      part(at, left === 2 ? 2 : 1);
    }
  }

  /** Leaves on the stack whether the element's key is the one asked for. */
  private sameKey(): void {
    const { code, elem, key } = this;
    pieces(this.keySize).forEach(({ at, size }, i) => {
      code.get(elem);
      code.access(plainLoads[size], hashElem.key + at);
      code.get(key);
      code.access(plainLoads[size], at);
      code.op(size === 8 ? 'i64.eq' : 'i32.eq');
      if (i > 0) code.op('i32.and');
    });
  }

  /** The element with the key into `elem`, or 0. */
  private find(): void {
    const { code, elem } = this;
    this.writeHash();
    code.get(this.bucket);
    code.access('i32.load', hashElem.next);
    code.set(elem);
    const found: Label = code.block();
    const again = code.loop();
    code.get(elem);
    code.op('i32.eqz');
    code.brIf(found);
    this.sameKey();
    code.brIf(found);
    code.get(elem);
    code.access('i32.load', hashElem.next);
    code.set(elem);
    code.br(again);
    code.end();
    code.end();
  }

  /** The place of this CPU's value, `elem` being on the stack already. */
  private toValue(): void {
    const { code } = this;
    code.i32(this.values);
    code.op('i32.add');
    if (this.cpuStride === 0) return;
    code.i32(this.input.scratch);
    code.access('i32.load', CPU);
    code.i32(this.cpuStride);
    code.op('i32.mul');
    code.op('i32.add');
  }

  lookup(): void {
    const { code, elem } = this;
    this.find();
    code.get(elem);
    code.op('i32.eqz');
    code.if();
    this.answer(0);
    code.end();
    if (this.traits.lru) {
      code.get(elem);
      code.i32(1);
      code.access('i32.store8', this.used);
    }
    code.get(elem);
    this.toValue();
  }

  /** Copies `size` bytes from `from` to the address in `to` plus `offset`. */
  private copy(to: Local, offset: number, { from, size }: { from: Local; size: number }): void {
    const { code } = this;
    if (size > COPY_BY_PIECES) {
      code.get(to);
      code.i32(offset);
      code.op('i32.add');
      code.get(from);
      code.i32(size);
      code.bulk('memory.copy');
      return;
    }
    for (const piece of pieces(size)) {
      code.get(to);
      code.get(from);
      code.access(plainLoads[piece.size], piece.at);
      code.access(plainStores[piece.size], offset + piece.at);
    }
  }

  /** Takes `elem` out of its chain, whose bucket is in `bucket`, and puts it on the list of free ones. */
  private remove(elem: Local): void {
    const { code } = this;
    const link = this.local('link');
    const next = this.local('next');
    code.get(this.bucket);
    code.set(link);
    const done = code.block();
    const again = code.loop();
    code.get(link);
    code.access('i32.load', hashElem.next);
    code.tee(next);
    code.get(elem);
    code.op('i32.eq');
    code.brIf(done);
    code.get(next);
    code.set(link);
    code.br(again);
    code.end();
    code.end();
    code.get(link);
    code.get(elem);
    code.access('i32.load', hashElem.next);
    code.access('i32.store', hashElem.next);
    code.get(elem);
    this.field(H.freeHead);
    code.access('i32.store', hashElem.next);
    this.setField(H.freeHead, () => code.get(elem));
  }

  private count(by: 1 | -1): void {
    this.setField(H.count, () => {
      this.field(H.count);
      this.code.i32(by);
      this.code.op('i32.add');
    });
  }

  delete(): void {
    const { code, elem } = this;
    this.find();
    code.get(elem);
    code.op('i32.eqz');
    code.if();
    this.answer(-errnos.ENOENT);
    code.end();
    this.remove(elem);
    this.count(-1);
    code.i32(0);
  }

  update(): void {
    const { code, elem } = this;
    const { percpu } = this.traits;
    const flags = this.param('flags');
    const flagIs = (value: bigint, answer: number): void => {
      code.get(flags);
      code.i64(value);
      code.op('i64.eq');
      code.if();
      this.answer(answer);
      code.end();
    };
    code.get(flags);
    code.i64(2n);
    code.op('i64.gt_u');
    code.if();
    this.answer(-errnos.EINVAL);
    code.end();
    this.find();
    const old = this.local('old');
    code.get(elem);
    code.tee(old);
    code.if();
    flagIs(1n, -errnos.EEXIST);
    if (percpu) {
      this.writeValue(elem);
      this.answer(0);
    }
    code.else();
    flagIs(2n, -errnos.ENOENT);
    this.makeRoom();
    code.end();
    this.take();
    this.fill();
    code.get(old);
    code.if();
    this.remove(old);
    code.else();
    this.count(1);
    code.end();
    code.i32(0);
  }

  /** A full map gets no more; one that forgets, forgets. */
  private makeRoom(): void {
    const { code } = this;
    this.field(H.count);
    code.i32(this.input.map.def.maxEntries);
    code.op('i32.ge_u');
    code.if();
    if (this.traits.lru) this.forget();
    else this.answer(-errnos.E2BIG);
    code.end();
  }

  /** HashMap.forget(): the element goes, and `bucket` is again that of the key. */
  private forget(): void {
    const { code } = this;
    const hand = this.local('hand');
    const spare = this.local('spare');
    const mine = this.local('mine');
    const first = this.constant(H.chunks) + CHUNK_HEADER;
    const end = this.constant(H.freshEnd);
    const step = (): void => {
      // hand += stride, or the first after the last.
      code.get(hand);
      code.i32(this.stride);
      code.op('i32.add');
      code.tee(hand);
      code.i32(end);
      code.op('i32.eq');
      code.if();
      code.i32(first);
      code.set(hand);
      code.end();
    };
    const orElse = (offset: number, otherwise: () => void, to: Local): void => {
      this.field(offset);
      code.tee(to);
      code.op('i32.eqz');
      code.if();
      otherwise();
      code.set(to);
      code.end();
    };
    orElse(H.freeHead, () => this.field(H.fresh), spare);
    orElse(H.hand, () => code.i32(first), hand);
    const again = code.loop();
    code.get(hand);
    code.get(spare);
    code.op('i32.eq');
    code.get(hand);
    code.access('i32.load8_u', this.used);
    code.op('i32.or');
    code.if();
    code.get(hand);
    code.i32(0);
    code.access('i32.store8', this.used);
    step();
    code.br(again);
    code.end();
    code.end();
    code.get(this.bucket);
    code.set(mine);
    code.get(hand);
    code.access('i32.load', hashElem.hash);
    code.i32(this.constant(H.bucketMask));
    code.op('i32.and');
    code.i32(2);
    code.op('i32.shl');
    code.i32(this.constant(H.buckets));
    code.op('i32.add');
    code.set(this.bucket);
    this.remove(hand);
    this.count(-1);
    code.get(mine);
    code.set(this.bucket);
    step();
    this.setField(H.hand, () => code.get(hand));
  }

  /** An element for a new value into `elem`: a freed one, one never used, or the host's. */
  private take(): void {
    const { code, elem } = this;
    this.field(H.freeHead);
    code.tee(elem);
    code.if();
    this.setField(H.freeHead, () => {
      code.get(elem);
      code.access('i32.load', hashElem.next);
    });
    code.else();
    this.field(H.fresh);
    code.tee(elem);
    this.field(H.freshEnd);
    code.op('i32.eq');
    code.if();
    code.i32(this.input.index);
    code.call(this.input.imported('grow'));
    code.op('i32.eqz');
    code.if();
    this.answer(-errnos.ENOMEM);
    code.end();
    this.field(H.fresh);
    code.set(elem);
    code.end();
    this.setField(H.fresh, () => {
      code.get(elem);
      code.i32(this.stride);
      code.op('i32.add');
    });
    code.end();
  }

  private writeValue(elem: Local): void {
    const { code } = this;
    const { valueSize } = this.input.map.def;
    const value = this.param('value');
    if (this.cpuStride === 0) {
      this.copy(elem, this.values, { from: value, size: valueSize });
      return;
    }
    const to = this.local('to');
    code.get(elem);
    this.toValue();
    code.set(to);
    this.copy(to, 0, { from: value, size: valueSize });
  }

  /** Key, value and the rest of a new element, and its place at the head of the chain. */
  private fill(): void {
    const { code, elem } = this;
    this.copy(elem, hashElem.key, { from: this.key, size: this.keySize });
    if (this.traits.percpu) {
      code.get(elem);
      code.i32(this.values);
      code.op('i32.add');
      code.i32(0);
      code.i32(this.used - this.values);
      code.bulk('memory.fill');
    }
    if (this.traits.lru) {
      code.get(elem);
      code.i32(0);
      code.access('i32.store8', this.used);
    }
    this.writeValue(elem);
    code.get(elem);
    code.get(this.hash);
    code.access('i32.store', hashElem.hash);
    code.get(elem);
    code.get(this.bucket);
    code.access('i32.load', hashElem.next);
    code.access('i32.store', hashElem.next);
    code.get(this.bucket);
    code.get(elem);
    code.access('i32.store', hashElem.next);
  }
}

function noHash(): never {
  throw new Bug('a function of hashes for another map');
}

/** See maps/ringbuf.ts. */
class RingWriter extends Writer {
  reserve(): void {
    const { code } = this;
    const size = this.param('size');
    const { maxEntries } = this.input.map.def;
    const ring = this.constant(ringHeader.ring);
    const [length, at, header] = ['length', 'at', 'header'].map((name) => code.local(name, 'i32')) as [
      Local,
      Local,
      Local,
    ];
    const [producer, pending, after] = ['producer', 'pending', 'after'].map((name) =>
      code.local(name, 'i64'),
    ) as [Local, Local, Local];
    const refuse = (): void => {
      code.if();
      this.answer(0);
      code.end();
    };
    /** The address of the record at a position. */
    const recordAt = (position: Local): void => {
      code.get(position);
      code.op('i32.wrap_i64');
      code.i32(maxEntries - 1);
      code.op('i32.and');
      code.i32(ring + R.data);
      code.op('i32.add');
    };
    const position = (offset: number): void => {
      code.i32(ring);
      code.access('i64.load', offset);
    };
    /** Whether `after` is more than the data's bytes, less one, beyond a position that is on the stack. */
    const tooFar = (push: () => void): void => {
      code.get(after);
      push();
      code.op('i64.sub');
      code.i64(maxEntries - 1);
      code.op('i64.gt_u');
      refuse();
    };
    code.get(size);
    code.i64(maxEntries - R.record.bytes);
    code.op('i64.gt_u');
    refuse();
    code.get(size);
    code.op('i32.wrap_i64');
    code.i32(R.record.bytes + 7);
    code.op('i32.add');
    code.i32(-8);
    code.op('i32.and');
    code.set(length);
    position(R.producer);
    code.tee(producer);
    code.get(length);
    code.op('i64.extend_i32_u');
    code.op('i64.add');
    code.set(after);
    tooFar(() => position(R.consumer));
    position(R.pending);
    code.set(pending);
    const finished = code.block();
    const again = code.loop();
    code.get(pending);
    code.get(producer);
    code.op('i64.ge_u');
    code.brIf(finished);
    recordAt(pending);
    code.access('i32.load', R.record.length);
    code.tee(header);
    code.i32(0);
    code.op('i32.lt_s');
    code.brIf(finished);
    code.get(pending);
    code.get(header);
    code.i32(~R.discarded);
    code.op('i32.and');
    code.i32(R.record.bytes + 7);
    code.op('i32.add');
    code.i32(-8);
    code.op('i32.and');
    code.op('i64.extend_i32_u');
    code.op('i64.add');
    code.set(pending);
    code.br(again);
    code.end();
    code.end();
    code.i32(ring);
    code.get(pending);
    code.access('i64.store', R.pending);
    tooFar(() => code.get(pending));
    recordAt(producer);
    code.tee(at);
    code.get(size);
    code.op('i32.wrap_i64');
    code.i32(R.busy | 0);
    code.op('i32.or');
    code.access('i32.store', R.record.length);
    code.get(at);
    code.get(at);
    code.i32(ring);
    code.op('i32.sub');
    code.i32(12);
    code.op('i32.shr_u');
    code.access('i32.store', R.record.page);
    code.i32(ring);
    code.get(after);
    code.access('i64.store', R.producer);
    code.get(at);
    code.i32(R.record.bytes);
    code.op('i32.add');
  }
}

const commitType: FunctionType = { params: ['i32', 'i64', 'i32'], results: [] };

/** (record's bytes, flags, whether it is discarded): bpf_ringbuf_submit() and bpf_ringbuf_discard() of any ring. */
export function defineCommit(module: ModuleBuilder, imported: (name: string) => FunctionRef): FunctionRef {
  const { ref, code } = module.define('commit', commitType, ['sample', 'flags', 'discard']);
  const [sample, flags, discard] = code.locals as [Local, Local, Local];
  const [at, ring, mask, length, beyond] = ['at', 'ring', 'mask', 'length', 'beyond'].map((name) =>
    code.local(name, 'i32'),
  ) as [Local, Local, Local, Local, Local];
  const sum = (...terms: readonly (Local | number)[]): void =>
    terms.forEach((term, i) => {
      if (typeof term === 'number') code.i32(term);
      else code.get(term);
      if (i > 0) code.op('i32.add');
    });
  sum(sample, -R.record.bytes);
  code.tee(at);
  code.i32(-R.page);
  code.op('i32.and');
  code.get(at);
  code.access('i32.load', R.record.page);
  code.i32(12);
  code.op('i32.shl');
  code.op('i32.sub');
  code.tee(ring);
  code.access('i32.load', R.map);
  code.access('i32.load', ringHeader.mask);
  code.set(mask);
  code.get(at);
  code.access('i32.load', R.record.length);
  code.i32(~R.busy);
  code.op('i32.and');
  code.set(length);
  // What runs over the end is copied to the start.
  sum(sample, length);
  sum(ring, mask, R.data + 1);
  code.op('i32.sub');
  code.tee(beyond);
  code.i32(0);
  code.op('i32.gt_s');
  code.if();
  sum(ring, R.data);
  sum(ring, mask, R.data + 1);
  code.get(beyond);
  code.bulk('memory.copy');
  code.end();
  code.get(at);
  code.get(length);
  code.get(discard);
  code.i32(30);
  code.op('i32.shl');
  code.op('i32.or');
  code.access('i32.store', R.record.length);
  // The reader waits where it has come to this record.
  code.get(ring);
  code.access('i32.load', R.consumer);
  code.get(mask);
  code.op('i32.and');
  sum(at);
  sum(ring, R.data);
  code.op('i32.sub');
  code.op('i32.eq');
  code.get(flags);
  code.i64(1n);
  code.op('i64.and');
  code.op('i64.eqz');
  code.op('i32.and');
  code.get(flags);
  code.i64(2n);
  code.op('i64.and');
  code.i64(0n);
  code.op('i64.ne');
  code.op('i32.or');
  code.if();
  code.get(ring);
  code.access('i32.load', R.map);
  code.call(imported('wake'));
  code.end();
  return ref;
}
