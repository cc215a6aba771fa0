/**
 * The parts that codecs are made of, and those for single values: integers, enums, pointers, floats and
 * bitfields.
 */
import { SkepError } from '../base/errors.ts';
import { type FloatType, floatBytes, readFloat, writeFloat } from './float.ts';

/** What codecs give and take; see codec.ts for which C type is which. */
export type Value = number | bigint | boolean | string | Uint8Array | Value[] | { [member: string]: Value };

/** Reads and writes one type at an offset that is known to be in range. */
export interface Node {
  readonly size: number;
  /** How many values a decode makes: what a hostile type could make large out of few bytes. */
  readonly work: number;
  read(view: DataView, at: number): Value;
  /** Writes onto zeros. */
  write(view: DataView, at: number, value: Value): void;
  /** Sets the bits of `mask` that the type uses: all but padding. */
  cover(mask: Uint8Array, at: number): void;
}

export interface Scalar {
  /** C's name for it, for messages. */
  what(): string;
  readonly bits: number;
  /** Whether its values are bigints. */
  readonly wide: boolean;
  readonly signed: boolean;
  readonly bool: boolean;
  /** Of an enum. */
  readonly names: ReadonlyMap<string, bigint> | undefined;
}

export function badValue(message: string, where?: string): SkepError {
  return new SkepError({ code: 'value', message, where });
}

/** A value as it stands in an error message: short and on one line. */
export function show(value: unknown): string {
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean')
    return String(value);
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (Array.isArray(value)) return 'an array';
  return value === null || value === undefined ? 'nothing' : `a value of type ${typeof value}`;
}

/** Runs `write`, with `step` ('.port', '[3]') put in front of the place of an error. */
export function within(step: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    const rest =
      error.where === undefined || error.where.startsWith('[') ? (error.where ?? '') : `.${error.where}`;
    throw badValue(error.message, `${step}${rest}`);
  }
}

function toInteger(scalar: Scalar, value: Value): bigint {
  const { bits, signed } = scalar;
  if (scalar.bool && typeof value === 'boolean') return value ? 1n : 0n;
  if (scalar.names !== undefined && typeof value === 'string') {
    const named = scalar.names.get(value);
    if (named !== undefined) return named;
    throw badValue(`${scalar.what()} has no ${show(value)}`);
  }
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
    throw badValue(`${show(value)} is beyond what a number holds exactly: give a bigint`);
  }
  if (typeof value !== 'bigint' && !Number.isInteger(value)) {
    throw badValue(`${show(value)} is no ${scalar.bool ? 'boolean' : 'integer'}; ${scalar.what()} is wanted`);
  }
  const integer = BigInt(value as number | bigint);
  const fits = (signed ? BigInt.asIntN(bits, integer) : BigInt.asUintN(bits, integer)) === integer;
  if (!fits || (scalar.bool && integer > 1n)) {
    const from = signed ? -(1n << BigInt(bits - 1)) : 0n;
    const to = signed ? -from - 1n : (1n << BigInt(bits)) - 1n;
    throw badValue(`${integer} does not fit into ${scalar.what()}: ${from} to ${scalar.bool ? 1n : to}`);
  }
  return integer;
}

function fromInteger(scalar: Scalar, raw: bigint): Value {
  if (scalar.bool) return raw !== 0n;
  return scalar.wide ? raw : Number(raw);
}

function readInteger(view: DataView, at: number, scalar: Scalar): Value {
  const { signed } = scalar;
  switch (scalar.bits) {
    case 8:
      return signed ? view.getInt8(at) : view.getUint8(at);
    case 16:
      return signed ? view.getInt16(at, true) : view.getUint16(at, true);
    case 32:
      return signed ? view.getInt32(at, true) : view.getUint32(at, true);
    case 64:
      return signed ? view.getBigInt64(at, true) : view.getBigUint64(at, true);
    default: {
      const high = signed ? view.getBigInt64(at + 8, true) : view.getBigUint64(at + 8, true);
      return (high << 64n) | view.getBigUint64(at, true);
    }
  }
}

/** A value that fills its bytes: 1, 2, 4, 8 or 16 of them. */
export function scalarNode(scalar: Scalar): Node {
  const size = scalar.bits / 8;
  return {
    size,
    work: 1,
    read: (view, at) => {
      const value = readInteger(view, at, scalar);
      return scalar.bool ? Number(value) !== 0 : value;
    },
    write: (view, at, value) => {
      // The usual case, without bigints.
      if (
        size === 4 &&
        !scalar.bool &&
        typeof value === 'number' &&
        value === (scalar.signed ? value | 0 : value >>> 0)
      ) {
        view.setUint32(at, value, true);
        return;
      }
      const raw = toInteger(scalar, value);
      if (size < 8) {
        for (let i = 0; i < size; i++) view.setUint8(at + i, Number(BigInt.asUintN(8, raw >> BigInt(8 * i))));
        return;
      }
      view.setBigUint64(at, BigInt.asUintN(64, raw), true);
      if (size === 16) view.setBigUint64(at + 8, BigInt.asUintN(64, raw >> 64n), true);
    },
    cover: (mask, at) => {
      mask.fill(0xff, at, at + size);
    },
  };
}

/** A floating-point number. */
export function floatNode(type: FloatType): Node {
  const used = floatBytes(type);
  return {
    size: type.size,
    work: 1,
    read: (view, at) => readFloat(view, at, type),
    write: (view, at, value) => {
      if (typeof value !== 'number') throw badValue(`${show(value)} is no number; ${type.name} is wanted`);
      writeFloat(view, at, { type, value });
    },
    cover: (mask, at) => {
      mask.fill(0xff, at, at + used);
    },
  };
}

/**
 * `scalar.bits` bits that start `start` bits into the bytes, counted from the least significant
 * bit of the first. `size` is what the bytes are in all, where that is more.
 */
export function bitfieldNode(scalar: Scalar, start: number, size?: number): Node {
  const bytes = Math.ceil((start + scalar.bits) / 8);
  const ones = ((1n << BigInt(scalar.bits)) - 1n) << BigInt(start);
  const byteOf = (bits: bigint, i: number): number => Number((bits >> BigInt(8 * i)) & 0xffn);
  return {
    size: size ?? bytes,
    work: 1,
    read: (view, at) => {
      let raw = 0n;
      for (let i = 0; i < bytes; i++) raw |= BigInt(view.getUint8(at + i)) << BigInt(8 * i);
      raw >>= BigInt(start);
      return fromInteger(
        scalar,
        scalar.signed ? BigInt.asIntN(scalar.bits, raw) : BigInt.asUintN(scalar.bits, raw),
      );
    },
    write: (view, at, value) => {
      const bits = (toInteger(scalar, value) << BigInt(start)) & ones;
      for (let i = 0; i < bytes; i++) view.setUint8(at + i, view.getUint8(at + i) | byteOf(bits, i));
    },
    cover: (mask, at) => {
      for (let i = 0; i < bytes; i++) mask[at + i]! |= byteOf(ones, i);
    },
  };
}
