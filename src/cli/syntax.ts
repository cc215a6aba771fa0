/**
 * What a command line may look like: the rows of the table of commands, without what runs them.
 */

export interface Option {
  /** What its value is called; without one it is a switch. */
  readonly value?: string;
  /** Whether the value may be left out. */
  readonly optional?: true;
  /** Whether it may be given several times. */
  readonly multiple?: true;
  readonly short?: string;
  readonly summary: string;
}

export interface CommandSyntax {
  /** One or two words: 'run', 'prog dump'. */
  readonly name: string;
  /** Other names: 'prog list'. */
  readonly aliases?: readonly string[];
  /** What follows the name. */
  readonly usage: string;
  /** How many arguments that are no options it takes. */
  readonly operands: readonly [min: number, max: number];
  readonly summary: string;
  /** Paragraphs of its help. */
  readonly details?: readonly string[];
  readonly options: Readonly<Record<string, Option>>;
  /** The shape of what `--json` prints; a name with ? may be missing. */
  readonly json?: string;
  readonly examples: readonly string[];
  /** Whether what follows `--` is a command line of its own. */
  readonly takesCommand?: true;
}
