/**
 * Printing typed values as `bpftool map dump` does. In its plain text, pointers, bitfields and integers of 128 bits are
 * bare hexadecimal numbers; in JSON pointers are decimal and the others strings. An anonymous member has an empty name.
 */

import { readFloat } from './float.ts';
import type { JsonWriter } from './json-writer.ts';
import { badBtf } from './layout.ts';
import { resolvedType, sizeOf } from './query.ts';
import type { Btf } from './read.ts';
import type { BtfEnum, BtfInt, BtfMember, BtfType } from './types.ts';

/** How many values a byte may be part of, on average: a hostile type may describe the same bytes very many times. */
const valuesPerByte = 32;
const leastValues = 1024;

/** Where a value goes, and how. */
interface Destination {
  readonly btf: Btf;
  readonly writer: JsonWriter;
  /** Whether it is text for people rather than JSON. */
  readonly plain: boolean;
}

interface Output extends Destination {
  readonly budget: { values: number };
}

/**
 * Writes the value that `bytes` are.
 * @throws {SkepError} code 'btf' for a type without values, 'value' where `bytes` are not its size
 */
export function dumpValue(to: Destination, typeId: number, bytes: Uint8Array): void {
  const size = sizeOf(to.btf, typeId);
  if (bytes.length !== size) throw badBtf(`a value of ${bytes.length} bytes, where its type has ${size}`);
  write({ ...to, budget: { values: size * valuesPerByte + leastValues } }, typeId, bytes);
}

function write(output: Output, id: number, bytes: Uint8Array): void {
  const { btf, writer, plain, budget } = output;
  if (--budget.values < 0) throw badBtf('its bytes are described too many times over', `type ${id}`);
  const type = resolvedType(btf, id);
  switch (type.kind) {
    case 'int':
      writeInt(output, type, bytes);
      break;
    case 'enum':
    case 'enum64':
      writeEnum(writer, type, bytes);
      break;
    case 'ptr': {
      const value = unsigned(bytes);
      const text = value === 0n ? '(nil)' : `0x${value.toString(16)}`;
      writer.raw(plain ? text : String(value));
      break;
    }
    case 'float': {
      const value = readFloat(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, type);
      if (plain || Number.isFinite(value)) writer.raw(String(value));
      else writer.text(String(value));
      break;
    }
    case 'array':
      writeArray(output, type, bytes);
      break;
    case 'struct':
    case 'union':
      writer.object(() => {
        for (const member of type.members) {
          writer.member(member.name, () => writeMember(output, member, bytes));
        }
      });
      break;
    case 'datasec':
      writer.object(() => {
        writer.member(type.name, () => {
          writer.array(() => {
            for (const { type: variable, offset } of type.variables) {
              write(output, variable, bytes.subarray(offset, offset + sizeOf(btf, variable)));
            }
          });
        });
      });
      break;
    case 'var':
      writer.object(() => {
        writer.member(type.name, () => write(output, type.type, bytes));
      });
      break;
    default:
      throw badBtf(`${type.kind} has no value`, `type ${id}`);
  }
}

/** The bytes as one little-endian number. */
function unsigned(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
  return value;
}

function writeHex({ writer, plain }: Output, value: bigint): void {
  const text = `0x${value.toString(16)}`;
  if (plain) writer.raw(text);
  else writer.text(text);
}

/** `bits` bits from bit `start` of the bytes, as they are: a sign is not extended. */
function writeBits(
  output: Output,
  bytes: Uint8Array,
  { start, bits }: { start: number; bits: number },
): void {
  const end = Math.ceil((start + bits) / 8);
  const value = unsigned(bytes.subarray(start >> 3, end)) >> BigInt(start & 7);
  writeHex(output, BigInt.asUintN(bits, value));
}

function writeInt(output: Output, type: BtfInt, bytes: Uint8Array): void {
  const { writer } = output;
  const { bits, bitOffset } = type;
  if (bits !== type.size * 8 || bitOffset !== 0) {
    writeBits(output, bytes, { start: bitOffset, bits });
  } else if (bits === 128) {
    writeHex(output, unsigned(bytes));
  } else if (type.bool) {
    writer.raw(String(bytes[0] !== 0));
  } else if (type.char) {
    writeChar(output, bytes[0]!);
  } else {
    const value = unsigned(bytes);
    writer.raw(String(type.signed ? BigInt.asIntN(bits, value) : value));
  }
}

/** An integer whose encoding says that it is a character, as few compilers say. */
function writeChar({ writer, plain }: Output, byte: number): void {
  const text = byte > 0x1f && byte < 0x7f ? String.fromCharCode(byte) : byte.toString(16);
  if (plain) writer.raw(text);
  else writer.text(text);
}

function writeEnum(writer: JsonWriter, type: BtfEnum, bytes: Uint8Array): void {
  const value = BigInt.asIntN(type.size * 8, unsigned(bytes));
  const name = type.values.find((each) => BigInt.asIntN(type.size * 8, each.value) === value)?.name;
  if (name === undefined) writer.raw(String(value));
  else writer.text(name);
}

/** Whether bytes print as text: printable ASCII up to a NUL. */
function isText(bytes: Uint8Array): boolean {
  const end = bytes.indexOf(0);
  return end >= 0 && bytes.subarray(0, end).every((byte) => byte > 0x1f && byte < 0x7f);
}

function writeArray(output: Output, type: BtfType & { kind: 'array' }, bytes: Uint8Array): void {
  const { btf, writer } = output;
  const element = resolvedCharacter(btf, type.type);
  if (element && isText(bytes)) {
    writer.text(String.fromCharCode(...bytes.subarray(0, bytes.indexOf(0))));
    return;
  }
  const size = sizeOf(btf, type.type);
  writer.array(() => {
    for (let i = 0; i < type.length && size > 0; i++)
      write(output, type.type, bytes.subarray(i * size, (i + 1) * size));
  });
}

/** Whether an array's element is C's char: a typedef of it makes no text. */
function resolvedCharacter(btf: Btf, id: number): boolean {
  let type = btf.type(id);
  while (type.kind === 'const' || type.kind === 'volatile' || type.kind === 'restrict')
    type = btf.type(type.type);
  return type.kind === 'int' && type.size === 1 && (type.char || type.name === 'char');
}

function writeMember(output: Output, { type, bitOffset, bitSize }: BtfMember, bytes: Uint8Array): void {
  if (bitSize > 0) {
    writeBits(output, bytes, { start: bitOffset, bits: bitSize });
    return;
  }
  // Compilers before kind_flag put a bitfield's place into its int type.
  const int = resolvedType(output.btf, type);
  if (int.kind === 'int' && (bitOffset % 8 !== 0 || int.bits !== int.size * 8)) {
    writeBits(output, bytes, { start: bitOffset + int.bitOffset, bits: int.bits });
    return;
  }
  const at = bitOffset / 8;
  const size = sizeOf(output.btf, type);
  if (at + size > bytes.length) throw badBtf(`a member at ${at} lies outside the ${bytes.length} bytes`);
  write(output, type, bytes.subarray(at, at + size));
}
