/**
 * Printing typed values on one line, as C's designated initialisers: `{ .port = 80, .comm = "curl" }`. Enums
 * print their names, pointers in hexadecimal.
 */
import { codec, type Value } from './codec.ts';
import { resolvedType } from './query.ts';
import type { Btf } from './read.ts';
import type { BtfType } from './types.ts';

/**
 * The text of a value's bytes.
 * @throws {SkepError} where the type has no values or `bytes` are not its size
 */
export function formatValue(btf: Btf, typeId: number, bytes: Uint8Array): string {
  return format(btf, typeId, codec(btf, typeId).decode(bytes));
}

/** `items` between braces. */
function braced(items: readonly string[]): string {
  return items.length === 0 ? '{}' : `{ ${items.join(', ')} }`;
}

function format(btf: Btf, id: number, value: Value): string {
  const type = resolvedType(btf, id);
  switch (type.kind) {
    case 'array':
      if (typeof value === 'string') return JSON.stringify(value);
      return braced((value as Value[]).map((item) => format(btf, type.type, item)));
    case 'enum':
    case 'enum64': {
      const number = BigInt(value as number | bigint);
      return type.values.find((each) => each.value === number)?.name ?? String(value);
    }
    case 'ptr':
      return `0x${(value as bigint).toString(16)}`;
    case 'struct':
    case 'union':
    case 'datasec':
      return braced(formatMembers(btf, type, value as { [member: string]: Value }));
    case 'var':
      return format(btf, type.type, value);
    default:
      return String(value);
  }
}

/** '.name = value' for each member; those of anonymous ones stand among them. */
function formatMembers(btf: Btf, type: BtfType, value: { [member: string]: Value }): string[] {
  if (type.kind === 'datasec') {
    return type.variables.map((variable) => {
      const { name } = btf.type(variable.type);
      return `.${name} = ${format(btf, variable.type, value[name]!)}`;
    });
  }
  if (type.kind !== 'struct' && type.kind !== 'union') return [];
  return type.members.flatMap((member) =>
    member.name === ''
      ? formatMembers(btf, resolvedType(btf, member.type), value)
      : [`.${member.name} = ${format(btf, member.type, value[member.name]!)}`],
  );
}
