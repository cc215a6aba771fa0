/** Header fields to bytes, one after the other. */
import { SkepError } from '../base/errors.ts';

export type Field = readonly [width: 1 | 2 | 4, value: number];

function pack(fields: readonly Field[], littleEndian: boolean): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [width]) => sum + width, 0)));
  let at = 0;
  for (const [width, value] of fields) {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * width)) {
      throw new SkepError({
        code: 'field-range',
        message: `${value} does not fit a header's field of ${8 * width} bits`,
      });
    }
    if (width === 1) view.setUint8(at, value);
    else if (width === 2) view.setUint16(at, value, littleEndian);
    else view.setUint32(at, value, littleEndian);
    at += width;
  }
  return new Uint8Array(view.buffer);
}

/** As packets have them. @throws {SkepError} where a value does not fit */
export function networkOrder(...fields: readonly Field[]): Uint8Array<ArrayBuffer> {
  return pack(fields, false);
}

/** As our captures have them. @throws {SkepError} where a value does not fit */
export function littleEndian(...fields: readonly Field[]): Uint8Array<ArrayBuffer> {
  return pack(fields, true);
}
