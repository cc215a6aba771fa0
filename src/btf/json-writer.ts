/**
 * Writing JSON in the style of bpftool, compact or over several lines: there, a name starts a line, elements of an array
 * follow each other, and what was not empty ends on a line of its own. What is written may also be no JSON: bpftool's
 * plain text is this style with bare hexadecimal numbers.
 */

const indentation = '    ';

export class JsonWriter {
  readonly #pretty: boolean;
  #parts: string[] = [];
  #depth = 0;
  /** Whether a comma goes before what is next. */
  #isFollowing = false;

  constructor(options: { readonly pretty: boolean }) {
    this.#pretty = options.pretty;
  }

  /** What was written since the last time. */
  take(): string {
    const text = this.#parts.join('');
    this.#parts = [];
    return text;
  }

  object(members: () => void): void {
    this.#enclose('{', members, '}');
  }

  array(elements: () => void): void {
    this.#enclose('[', elements, ']');
  }

  /** A member of an object: its name, and what `value` writes. */
  member(name: string, value: () => void): void {
    this.#separate();
    this.#line();
    this.#isFollowing = false;
    this.#parts.push(quoted(name), this.#pretty ? ': ' : ':');
    value();
  }

  text(value: string): void {
    this.raw(quoted(value));
  }

  /** A value as it stands. */
  raw(text: string): void {
    this.#separate();
    this.#parts.push(text);
  }

  #enclose(start: string, inside: () => void, end: string): void {
    this.open(start);
    inside();
    this.close(end);
  }

  /** The start of an object or array whose parts are written one by one. */
  open(start: string): void {
    this.#separate();
    this.#parts.push(start);
    this.#depth++;
    this.#isFollowing = false;
  }

  close(end: string): void {
    this.#depth--;
    if (this.#isFollowing) this.#line();
    this.#parts.push(end);
    this.#isFollowing = true;
  }

  #separate(): void {
    if (this.#isFollowing) this.#parts.push(',');
    this.#isFollowing = true;
  }

  #line(): void {
    if (this.#pretty) this.#parts.push('\n', indentation.repeat(this.#depth));
  }
}

/** A string of JSON; characters that no C name has are escaped by JSON's rules. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
