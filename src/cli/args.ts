/**
 * From argv to a command of the table and its options. What is wrong with a command line is said in one
 * line, with the nearest name there is.
 */
import { parseArgs } from 'node:util';
import { SkepError } from '../base/errors.ts';
import type { CommandSyntax, Option } from './syntax.ts';

export interface ParsedArgs<C extends CommandSyntax = CommandSyntax> {
  readonly command: C;
  /** Option values in the order given; a switch has ''. An option that was not given is not there. */
  readonly options: ReadonlyMap<string, readonly (string | undefined)[]>;
  readonly operands: readonly string[];
  /** What follows `--`, for commands that take a command line. */
  readonly trailing: readonly string[] | undefined;
}

/** A command line that cannot be understood: exit code 2. */
export function usageError(message: string, hint?: string): SkepError {
  return new SkepError({ code: 'usage', message, hint });
}

/**
 * Finds the command that argv names and parses the rest by its options.
 * @throws {SkepError} 'usage'
 */
export function parseCommandLine<C extends CommandSyntax>(
  argv: readonly string[],
  commands: readonly C[],
): ParsedArgs<C> {
  const { command, rest } = findCommand(argv, commands);
  const end = rest.indexOf('--');
  const before = end < 0 ? rest : rest.slice(0, end);
  const after = end < 0 ? undefined : rest.slice(end + 1);
  const { options, operands } = parseOptions(command, before);
  const isCommand = command.takesCommand === true;
  if (!isCommand && after !== undefined) operands.push(...after);
  if (!options.has('help')) checkOperands(command, operands);
  return { command, options, operands, trailing: isCommand ? after : undefined };
}

function findCommand<C extends CommandSyntax>(
  argv: readonly string[],
  commands: readonly C[],
): { command: C; rest: string[] } {
  const [first = '', second = ''] = argv;
  const find = (name: string) =>
    commands.find((command) => command.name === name || command.aliases?.includes(name));
  const two = find(`${first} ${second}`);
  if (two !== undefined) return { command: two, rest: argv.slice(2) };
  const one = find(first);
  if (one !== undefined) return { command: one, rest: argv.slice(1) };

  const group = commands.filter((command) => command.name.startsWith(`${first} `));
  if (group.length > 0) {
    const words = group.map((command) => command.name.slice(first.length + 1));
    if (second === '' || second.startsWith('-')) {
      throw usageError(`'skep ${first}' wants one of ${words.join(', ')}`, `see 'skep help ${first}'`);
    }
    throw usageError(`unknown command '${first} ${second}'`, didYouMean(second, words, `skep ${first} `));
  }
  const words = commands.map((command) => command.name.split(' ')[0] as string);
  throw usageError(`unknown command '${first}'`, didYouMean(first, words, 'skep '));
}

function parseOptions(
  command: CommandSyntax,
  args: readonly string[],
): { options: Map<string, (string | undefined)[]>; operands: string[] } {
  const entries = Object.entries(command.options).map(([name, option]) => [name, parseArgsOption(option)]);
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(entries),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const options = new Map<string, (string | undefined)[]>();
  const operands: string[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as (typeof tokens)[number];
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName } = token;
    let { value } = token;
    const next = tokens[i + 1];
    if (value === undefined && takesNext(command, name) && next?.kind === 'positional') {
      value = next.value;
      i++;
    }
    addOption(command, options, { name, rawName, value });
  }
  return { options, operands };
}

/** Whether an option that may stand without a value has the word after it for one. */
function takesNext(command: CommandSyntax, name: string): boolean {
  return Object.hasOwn(command.options, name) && command.options[name]?.optional === true;
}

function parseArgsOption(option: Option): { type: 'string' | 'boolean'; short?: string } {
  // One with an optional value is a switch to parseArgs, which would take an option after it for the value.
  const type = option.value === undefined || option.optional === true ? 'boolean' : 'string';
  return option.short === undefined ? { type } : { type, short: option.short };
}

function addOption(
  command: CommandSyntax,
  options: Map<string, (string | undefined)[]>,
  { name, rawName, value }: { name: string; rawName: string; value: string | undefined },
): void {
  const option = Object.hasOwn(command.options, name) ? command.options[name] : undefined;
  if (option === undefined) {
    const hint = didYouMean(name, Object.keys(command.options), '--') ?? `see 'skep help ${command.name}'`;
    throw usageError(`unknown option '${rawName}' for 'skep ${command.name}'`, hint);
  }
  if (option.value === undefined && value !== undefined)
    throw usageError(`option '${rawName}' takes no value`);
  if (option.value !== undefined && value === undefined && option.optional !== true) {
    throw usageError(`option '${rawName}' wants a value`, `${rawName} ${option.value}`);
  }
  const given = options.get(name) ?? [];
  if (given.length > 0 && option.multiple !== true && option.value !== undefined) {
    throw usageError(`option '${rawName}' is given twice`);
  }
  options.set(name, [...given, value]);
}

function checkOperands(command: CommandSyntax, operands: readonly string[]): void {
  const [min, max] = command.operands;
  if (operands.length < min)
    throw usageError(
      `'skep ${command.name}' wants a ${/[A-Z]+/.exec(command.usage)?.[0]}`,
      `skep ${command.name} ${command.usage}`,
    );
  const extra = operands[max];
  if (extra !== undefined) throw usageError(`unexpected argument '${extra}' for 'skep ${command.name}'`);
}

/** `did you mean '--json'?` for the nearest of `names`; undefined where none is near. */
function didYouMean(word: string, names: readonly string[], prefix: string): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const name of names) {
    const distance = name.startsWith(word) && word !== '' ? 0 : editDistance(word, name);
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return best === undefined ? undefined : `did you mean '${prefix}${best}'?`;
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
