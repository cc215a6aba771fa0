/**
 * How `union bpf_attr` and the info records lie in memory, worked out once from the tables in uapi/: a list
 * of rows a command, in the order in which they are written. Leaves out the writing itself.
 */
import { type Cmd, commands, type FieldKind } from '../uapi/commands.ts';
import { type InfoFieldKind, type InfoKind, infoRecords } from '../uapi/info.ts';

export interface Row<K extends FieldKind | InfoFieldKind = FieldKind | InfoFieldKind> {
  readonly name: string;
  readonly at: number;
  readonly kind: K;
}

export interface CommandLayout {
  readonly cmd: Cmd;
  readonly nr: number;
  /** 'BPF_MAP_CREATE', for messages. */
  readonly title: string;
  /** Bytes of the attributes, in whole words of 8. */
  readonly size: number;
  /** Outputs first, because they go to the end of the arena. */
  readonly rows: readonly Row<FieldKind>[];
  /** Scalars that the kernel writes. */
  readonly results: readonly Row<FieldKind>[];
  /** Of the commands about one element: what its value is to the kernel. */
  readonly element: { readonly value: FieldKind | undefined } | undefined;
}

export interface RecordLayout {
  readonly size: number;
  readonly rows: readonly Row<InfoFieldKind>[];
}

export const widths: Record<FieldKind | InfoFieldKind, number> = {
  u32: 4,
  s32: 4,
  u64: 8,
  name: 16,
  tag: 8,
  str: 8,
  in: 8,
  out: 8,
  info: 8,
};

const last: readonly string[] = ['out', 'info'];

function layoutOf<K extends FieldKind | InfoFieldKind>(
  fields: Record<string, { at: number; kind: K }>,
): { size: number; rows: Row<K>[] } {
  const rows = Object.entries(fields).map(([name, { at, kind }]) => ({ name, at, kind }));
  const end = Math.max(...rows.map(({ at, kind }) => at + widths[kind]));
  const outputs = rows.filter(({ kind }) => last.includes(kind));
  const others = rows.filter(({ kind }) => !last.includes(kind));
  return { size: Math.ceil(end / 8) * 8, rows: [...outputs, ...others] };
}

/** The four commands about one element have these fields, in these places, and no others. */
const elementFields = ['flags', 'key', 'mapFd'];

function elementOf(rows: readonly Row<FieldKind>[]): CommandLayout['element'] {
  const value = rows.find(({ name }) => name === 'value');
  const others = rows.filter((row) => row !== value).map(({ name }) => name);
  return others.sort().join() === elementFields.join() ? { value: value?.kind } : undefined;
}

export const commandLayouts = Object.fromEntries(
  (Object.keys(commands) as Cmd[]).map((cmd) => {
    const fields: Record<string, { at: number; kind: FieldKind; result?: true }> = commands[cmd].fields;
    const { size, rows } = layoutOf(fields);
    const results = rows.filter(({ name }) => fields[name]?.result);
    const title = `BPF_${commands[cmd].name}`;
    return [cmd, { cmd, nr: commands[cmd].nr, title, size, rows, results, element: elementOf(rows) }];
  }),
) as unknown as Record<Cmd, CommandLayout>;

export const recordLayouts = Object.fromEntries(
  (Object.keys(infoRecords) as InfoKind[]).map((kind) => [kind, layoutOf<InfoFieldKind>(infoRecords[kind])]),
) as unknown as Record<InfoKind, RecordLayout>;
