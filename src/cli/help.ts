/**
 * Help, generated from the table of commands.
 */
import { usageError } from './args.ts';
import type { Invocation } from './invocation.ts';
import type { CommandSyntax, Option } from './syntax.ts';

const width = 90;
const indent = '  ';

/** `skep help [COMMAND]`. */
export async function help(invocation: Invocation, commands: readonly CommandSyntax[]): Promise<number> {
  invocation.print(helpFor(invocation.operands, commands));
  return 0;
}

/**
 * Help for the words of a command, of a group of them ('prog'), or of skep itself.
 * @throws {SkepError} 'usage' for a command that is not there
 */
export function helpFor(words: readonly string[], commands: readonly CommandSyntax[]): string {
  if (words.length === 0) return overview(commands);
  const name = words.join(' ');
  const command = commands.find((candidate) => candidate.name === name);
  if (command !== undefined) return commandHelp(command);
  const group = commands.filter((candidate) => candidate.name.startsWith(`${name} `));
  if (group.length > 0) return group.map(commandHelp).join('\n\n');
  throw usageError(`unknown command '${name}'`, "'skep help' lists them");
}

function overview(commands: readonly CommandSyntax[]): string {
  return [
    'skep: verify and run BPF programs anywhere',
    '',
    'Usage: skep COMMAND [options]',
    '',
    'Commands:',
    ...columns(commands.map(({ name, summary }) => [name, summary])),
    '',
    'Options:',
    ...columns([
      ['-h, --help', 'show help; also after a command'],
      ['--version', 'show the version'],
    ]),
    '',
    'FILE is a BPF object as clang makes it; - is standard input.',
    'Exit codes: 0 done, 1 failed or rejected, 2 the command line is wrong.',
  ].join('\n');
}

function commandHelp(command: CommandSyntax): string {
  const options = Object.entries(command.options).map(([name, option]) => [
    optionUsage(name, option),
    option.summary,
  ]);
  return [
    `Usage: skep ${command.name} ${command.usage}`,
    '',
    ...wrap(`${capital(command.summary)}.`, width),
    ...(command.details ?? []).flatMap((paragraph) => ['', ...wrap(paragraph, width)]),
    '',
    'Options:',
    ...columns(options as [string, string][]),
    ...(command.json === undefined
      ? []
      : ['', 'JSON:', ...wrap(command.json, width - 2).map((line) => indent + line)]),
    '',
    command.examples.length === 1 ? 'Example:' : 'Examples:',
    ...command.examples.map((example) => `${indent}${example}`),
  ].join('\n');
}

function optionUsage(name: string, { short, value, optional }: Option): string {
  const names = `${short === undefined ? '' : `-${short}, `}--${name}`;
  if (value === undefined) return names;
  return optional === true ? `${names} [${value}]` : `${names} ${value}`;
}

/** Two columns, the second wrapped. */
function columns(rows: readonly (readonly [string, string])[]): string[] {
  const left = Math.max(...rows.map(([first]) => first.length)) + 2;
  return rows.flatMap(([first, second]) =>
    wrap(second, width - left - indent.length).map(
      (line, i) => indent + (i === 0 ? first : '').padEnd(left) + line,
    ),
  );
}

function wrap(text: string, limit: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > limit) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
