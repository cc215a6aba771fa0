/**
 * The two kinds of error. `SkepError`: the input is bad (a file, a flag, a program, a call); it says what,
 * where and what to do, and is all that a user sees. `Bug`: a broken invariant of ours; nothing catches it.
 */

export interface SkepErrorInit {
  /** Machine-readable kind, kebab-case: 'elf-truncated', 'unknown-flag', 'errno'. */
  readonly code: string;
  /** What is wrong, one line, no full stop. */
  readonly message: string;
  /** Where: a file, an offset, a section, an instruction. */
  readonly where?: string | undefined;
  /** What the user can do about it. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** C0, DEL and C1 (ISO 6429). */
const controlCharacters = /\p{Cc}/gu;

export class SkepError extends Error {
  override readonly name: string = 'SkepError';
  readonly code: string;
  readonly where: string | undefined;
  readonly hint: string | undefined;

  constructor(init: SkepErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.where = init.where;
    this.hint = init.hint;
  }

  /**
   * The one line a command prints: `where: message (hint)`. Names in it come from files: their control characters
   * do not reach a terminal.
   */
  get line(): string {
    const where = this.where === undefined ? '' : `${this.where}: `;
    const hint = this.hint === undefined ? '' : ` (${this.hint})`;
    return `${where}${this.message}${hint}`.replace(controlCharacters, (character) => {
      const code = character.charCodeAt(0).toString(16).padStart(2, '0');
      return `\\x${code}`;
    });
  }

  /** The same error with a place in front of its own, as it passes up through the layers. */
  at(place: string): SkepError {
    const where = this.where === undefined ? place : `${place}: ${this.where}`;
    return new SkepError({
      code: this.code,
      message: this.message,
      where,
      hint: this.hint,
      cause: this.cause,
    });
  }
}

export class Bug extends Error {
  override readonly name: string = 'Bug';
}

/** Closes an exhaustive switch: the compiler reports a missing case, the runtime a value outside its type. */
export function unreachable(value: never): never {
  throw new Bug(`unreachable: ${String(value)}`);
}
