/**
 * How keys and values of a map become values of TypeScript: by their BTF types where the map has them,
 * else as raw bytes, with integers accepted where the size is that of one. Per-CPU values are arrays with
 * one element a possible CPU, each padded to eight bytes in the kernel's buffer.
 */
import { roundUp } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import { type Btf, type Codec, codec, type Value } from '../btf/index.ts';

/** Types of keys and values, looked up when the first element is read or written. */
export interface ElementTypes {
  readonly btf: () => Btf;
  readonly keyTypeId: number;
  readonly valueTypeId: number;
}

/** Raw bytes of a fixed size; integers are accepted for 1, 2, 4 and 8 bytes. */
export function rawCodec(size: number): Codec {
  return {
    size,
    decode: (bytes) => Uint8Array.from(bytes.subarray(0, size)),
    encode: (value) => encodeRaw(value, size),
  };
}

/** An array's index: always a u32 (bpf(2)). */
export const indexCodec: Codec = {
  size: 4,
  decode: (bytes) => new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true),
  encode: (value) => encodeRaw(value, 4),
};

/** The codec of a type, or of raw bytes where it has none, is of another size, or is none that has values. */
export function elementCodec(typeId: number, size: number, btf: (() => Btf) | undefined): Codec {
  if (typeId === 0 || btf === undefined) return rawCodec(size);
  try {
    const typed = codec(btf(), typeId);
    return typed.size === size ? typed : rawCodec(size);
  } catch (error) {
    if (error instanceof SkepError && error.code === 'btf') return rawCodec(size);
    throw error;
  }
}

/** A value a CPU. */
export function perCpuCodec(one: Codec, cpus: number): Codec {
  const stride = roundUp(one.size, 8);
  return {
    size: stride * cpus,
    decode: (bytes) =>
      Array.from({ length: cpus }, (_, cpu) =>
        one.decode(bytes.subarray(cpu * stride, cpu * stride + one.size)),
      ),
    encode: (value) => {
      if (!Array.isArray(value) || value.length !== cpus) {
        throw new SkepError({
          code: 'value',
          message: `a per-CPU value is an array of ${cpus} values, one a CPU`,
        });
      }
      const out = new Uint8Array(stride * cpus);
      value.forEach((item, cpu) => {
        out.set(one.encode(item), cpu * stride);
      });
      return out;
    },
  };
}

/** The usual integers, without a bigint: those of 0 to 2^32 - 1 that fit. */
function encodeSmall(value: number, size: number): Uint8Array<ArrayBuffer> | undefined {
  if (value >>> 0 !== value || (size !== 4 && size !== 8 && (size > 2 || value >= 2 ** (8 * size))))
    return undefined;
  const out = new Uint8Array(size);
  for (let i = 0; i < size && i < 4; i++) out[i] = value >>> (8 * i);
  return out;
}

function encodeRaw(value: Value, size: number): Uint8Array<ArrayBuffer> {
  if (value instanceof Uint8Array) {
    if (value.length === size) return Uint8Array.from(value);
    throw new SkepError({ code: 'value', message: `${value.length} bytes given, ${size} wanted` });
  }
  if (typeof value === 'number') {
    const few = encodeSmall(value, size);
    if (few !== undefined) return few;
  }
  const integer =
    typeof value === 'bigint' ? value : Number.isInteger(value) ? BigInt(value as number) : undefined;
  const bits = BigInt(size) * 8n;
  if (integer === undefined || ![1, 2, 4, 8].includes(size)) {
    throw new SkepError({ code: 'value', message: `it has no type: give ${size} bytes as a Uint8Array` });
  }
  if (integer < -(1n << (bits - 1n)) || integer >= 1n << bits) {
    throw new SkepError({ code: 'value', message: `${integer} does not fit into ${size} bytes` });
  }
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigInt64(0, BigInt.asIntN(64, integer), true);
  return out.subarray(0, size);
}
