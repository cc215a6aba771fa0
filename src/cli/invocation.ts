/**
 * One run of a command: its arguments, checked as they are read, and where its output goes.
 */
import { type ParsedArgs, usageError } from './args.ts';
import { toJson } from './json.ts';
import { type Style, styleFor } from './style.ts';
import type { CommandSyntax } from './syntax.ts';

export interface Streams {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

export class Invocation {
  readonly command: CommandSyntax;
  readonly operands: readonly string[];
  /** The command line after `--`. */
  readonly trailing: readonly string[] | undefined;
  readonly streams: Streams;
  readonly style: Style;
  readonly #args: ParsedArgs;

  constructor(args: ParsedArgs, streams: Streams) {
    this.#args = args;
    this.command = args.command;
    this.operands = args.operands;
    this.trailing = args.trailing;
    this.streams = streams;
    this.style = styleFor(streams.stdout);
  }

  has(option: string): boolean {
    return this.#args.options.has(option);
  }

  get json(): boolean {
    return this.has('json');
  }

  /** The value of an option; undefined where it is not given. */
  value(option: string): string | undefined {
    return this.#args.options.get(option)?.[0];
  }

  /** All values of an option that may be given several times. */
  values(option: string): string[] {
    return (this.#args.options.get(option) ?? []).filter((value) => value !== undefined);
  }

  /**
   * The value of an option as a whole number of at least `min` and below 2^32.
   * @throws {SkepError} 'usage'
   */
  integer(option: string, min: number): number | undefined {
    const text = this.value(option);
    if (text === undefined) return undefined;
    const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (number >= min && number <= 0xffffffff) return number;
    throw usageError(`option '--${option}' wants a whole number from ${min}, not '${text}'`);
  }

  /** The first operand. */
  get file(): string {
    const file = this.operands[0];
    if (file !== undefined) return file;
    throw usageError('a FILE is missing');
  }

  /** Writes a line to standard output. */
  print(line = ''): void {
    this.streams.stdout.write(`${line}\n`);
  }

  /** Writes a remark to standard error. */
  note(line: string): void {
    this.streams.stderr.write(`skep: ${line}\n`);
  }

  printJson(data: unknown): void {
    this.print(toJson(data));
  }
}
