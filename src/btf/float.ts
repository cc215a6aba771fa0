/**
 * Floating-point numbers of all sizes that BTF has (2, 4, 8, 12 and 16 bytes), little-endian, from and to JavaScript's
 * numbers, which are doubles. What is wider than a double is rounded to the nearest one when it is read. Of 12 and 16
 * bytes is x86's `long double`, as libbpf on that machine takes them; a type that is named for 128 bits is that.
 */

/** How a number lies in its bytes (IEEE 754, 3.4): from the top a sign, an exponent, a fraction. */
interface Format {
  readonly exponent: number;
  readonly fraction: number;
  /** Whether the bit before the fraction, 1 but of the smallest numbers, is there (Intel's double extended). */
  readonly explicit?: true;
}

const formats = {
  half: { exponent: 5, fraction: 10 },
  brain: { exponent: 8, fraction: 7 },
  single: { exponent: 8, fraction: 23 },
  double: { exponent: 11, fraction: 52 },
  extended: { exponent: 15, fraction: 63, explicit: true },
  quad: { exponent: 15, fraction: 112 },
} as const satisfies Record<string, Format>;

/** Of the type's size and name: all that BTF says. */
function formatOf({ name, size }: FloatType): Format {
  switch (size) {
    case 2:
      return /bf16|bfloat/i.test(name) ? formats.brain : formats.half;
    case 4:
      return formats.single;
    case 8:
      return formats.double;
    default:
      return size === 16 && /128/.test(name) ? formats.quad : formats.extended;
  }
}

export interface FloatType {
  readonly name: string;
  readonly size: number;
}

const mask = (bits: number): bigint => (1n << BigInt(bits)) - 1n;

/** Reads the number at `at`. */
export function readFloat(view: DataView, at: number, type: FloatType): number {
  if (type.size === 4) return view.getFloat32(at, true);
  if (type.size === 8) return view.getFloat64(at, true);
  const { exponent, fraction, explicit } = formatOf(type);
  let bits = 0n;
  for (let i = type.size - 1; i >= 0; i--) bits = (bits << 8n) | BigInt(view.getUint8(at + i));
  const low = bits & mask(fraction);
  bits >>= BigInt(fraction);
  const one = explicit === true ? (bits & 1n) === 1n : undefined;
  if (explicit === true) bits >>= 1n;
  const power = Number(bits & mask(exponent));
  const sign = ((bits >> BigInt(exponent)) & 1n) === 1n ? -1 : 1;
  // Without its bit it is of no meaning since the 80387.
  if (power !== 0 && one === false) return Number.NaN;
  if (power === Number(mask(exponent))) return low === 0n ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  const bias = 2 ** (exponent - 1) - 1;
  const significand = power === 0 ? low : low | (1n << BigInt(fraction));
  return sign * scaled(Number(significand), Math.max(power, 1) - bias - fraction);
}

/** value · 2^power, where 2^power alone may be out of range. */
function scaled(value: number, power: number): number {
  const step = 1000;
  let [result, left] = [value, power];
  for (; left > step && Number.isFinite(result); left -= step) result *= 2 ** step;
  for (; left < -step && result !== 0; left += step) result *= 2 ** -step;
  return result * 2 ** left;
}

/** Writes a number, rounded to the nearest that there is, to even where two are (IEEE 754, 4.3.1). */
export function writeFloat(
  view: DataView,
  at: number,
  { type, value }: { type: FloatType; value: number },
): void {
  if (type.size === 4) {
    view.setFloat32(at, value, true);
    return;
  }
  if (type.size === 8) {
    view.setFloat64(at, value, true);
    return;
  }
  const { exponent, fraction, explicit } = formatOf(type);
  let bits = magnitude(Math.abs(value), { exponent, fraction });
  if (explicit === true) {
    const power = bits >> BigInt(fraction);
    const one = power === 0n ? 0n : 1n;
    bits = (((power << 1n) | one) << BigInt(fraction)) | (bits & mask(fraction));
  }
  if (value < 0 || Object.is(value, -0))
    bits |= 1n << BigInt(exponent + fraction + (explicit === true ? 1 : 0));
  for (let i = 0; i < type.size; i++, bits >>= 8n) view.setUint8(at + i, Number(bits & 0xffn));
}

/** Exponent and fraction of a number that is not negative. */
function magnitude(value: number, { exponent, fraction }: Format): bigint {
  const infinity = mask(exponent) << BigInt(fraction);
  if (Number.isNaN(value)) return infinity | (1n << BigInt(fraction - 1));
  if (value === 0) return 0n;
  if (value === Number.POSITIVE_INFINITY) return infinity;
  const bias = 2 ** (exponent - 1) - 1;
  const { significand, power } = partsOf(value);
  /** Of the leading bit; the smallest numbers share one. */
  const leading = Math.max(power + significand.toString(2).length - 1, 1 - bias);
  const shift = power - (leading - fraction);
  const rounded = shift >= 0 ? significand << BigInt(shift) : roundedShift(significand, BigInt(-shift));
  // A leading bit that is there counts into the exponent, and so does one that rounding carried over.
  const bits = (BigInt(leading + bias - 1) << BigInt(fraction)) + rounded;
  return bits > infinity ? infinity : bits;
}

/** value = significand · 2^power, of a double. */
function partsOf(value: number): { significand: bigint; power: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const power = Number(bits >> 52n);
  const low = bits & mask(52);
  return power === 0
    ? { significand: low, power: -1074 }
    : { significand: low | (1n << 52n), power: power - 1075 };
}

function roundedShift(value: bigint, by: bigint): bigint {
  const [whole, rest, half] = [value >> by, value & ((1n << by) - 1n), 1n << (by - 1n)];
  return rest > half || (rest === half && (whole & 1n) === 1n) ? whole + 1n : whole;
}

/** Bytes of it that hold the number; the rest is padding. */
export function floatBytes(type: FloatType): number {
  const { exponent, fraction, explicit } = formatOf(type);
  return (1 + exponent + fraction + (explicit === true ? 1 : 0)) / 8;
}
