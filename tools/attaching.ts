/** docs/attaching.md, from the table of the ways in which programs attach. */
import { type AttachKind, attachKinds } from '../src/uapi/attach-kinds.ts';

const version = (since: readonly [number, number]): string => since.join('.');
const code = (text: string): string => `\`${text}\``;

function since(kind: AttachKind): string {
  if (kind.linkSince === undefined) return version(kind.since);
  return `${version(kind.since)}; a link since ${version(kind.linkSince)}`;
}

function row([name, kind]: readonly [string, AttachKind]): string {
  const cells = [
    code(name),
    kind.sections.map(code).join(', '),
    kind.options,
    since(kind),
    kind.link === undefined ? 'none' : code(kind.link),
    kind.without ?? '',
    kind.config.replace(/CONFIG_\w+/g, code('$&')),
    kind.note === undefined ? kind.label : `${kind.label} (${kind.note})`,
  ];
  return `| ${cells.join(' | ')} |`;
}

export function attachingPage(): string {
  return [
    '# Attaching programs',
    '',
    '<!-- Generated from src/uapi/attach-kinds.ts by `npm run gen`; do not edit. -->',
    '',
    "`program.attach(options)` attaches to where the program's section says, or to where the options say, and returns a",
    '`Link`: `close()` (or `using`) detaches, `pin(path)` keeps it attached when the process ends, `update(program)` puts',
    'another program in its place.',
    '',
    '```ts',
    "using link = collection.program('count').attach({ function: 'do_unlinkat' });",
    '```',
    '',
    'Where the running kernel has no link for a kind, the means that it had before are used, and `pin()` and `info()` say',
    'so. What is attached by netlink, by a filter of tc, by `BPF_PROG_ATTACH` or by `setsockopt(2)` is not ended by the end',
    'of the process, as Linux has it: close it. Everything else goes with the process, also when that is killed.',
    '`{ legacy: true }` asks for the old means where there are both. (Of a probe on a kernel before 4.17, a definition in',
    'tracefs is left, which does nothing.) Closing a filter of tc leaves the `clsact` qdisc that it was in.',
    '',
    'What a kernel lacks is named in the error: the version that has it, or the option that it was built without. The last',
    'column is what the embedded kernel makes of the kind ([support.md](support.md) has what the labels mean).',
    '',
    '| kind | sections | options | since Linux | link | without a link | built with | embedded |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...Object.entries(attachKinds).map(row),
    '',
    'Structs of functions (`struct_ops`) attach as a whole: `collection.structOps.NAME.attach()`. Programs of kinds that',
    'are not in the table (`lwt_*`, `action`, `lirc_mode2`, `syscall`) are loaded, pinned and test-run, not attached.',
    '',
    'Iterators are read: `for (const line of program.iterate({ pid }))`, or `link.lines()` again and again.',
    '',
  ].join('\n');
}
