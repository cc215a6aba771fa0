/**
 * The words of a command whose arguments are keywords, as bpftool's are: taken one by one.
 */
import { usageError } from './args.ts';

export class Words {
  readonly #words: string[];
  readonly #command: string;
  readonly #usage: string;

  /** @param command with its usage, for errors: 'skep btf dump' */
  constructor(words: readonly string[], { command, usage }: { command: string; usage: string }) {
    this.#words = [...words];
    this.#command = command;
    this.#usage = usage;
  }

  get left(): number {
    return this.#words.length;
  }

  /** The next word, where it is one of `known`. */
  take<W extends string>(known: readonly W[]): W | undefined {
    const found = known.find((word) => word === this.#words[0]);
    if (found !== undefined) this.#words.shift();
    return found;
  }

  next(what: string): string {
    const word = this.#words.shift();
    if (word === undefined) throw usageError(`'${this.#command}' wants a ${what}`, this.#usage);
    return word;
  }

  number(what: string): number {
    const word = this.next(what);
    const number = /^(\d{1,10}|0x[0-9a-f]{1,8})$/i.test(word) ? Number(word) : Number.NaN;
    if (number <= 0xffffffff) return number;
    throw usageError(`'${word}' is no ${what}`, this.#usage);
  }

  /** `id N`, `name NAME`, `pinned PATH`, or what is none of these words. */
  object(what: string): string {
    const by = this.take(['id', 'name', 'pinned']);
    return by === 'id' ? String(this.number('id')) : this.next(by ?? what);
  }

  /** The words up to one of `ends`, or all that are left. */
  until(ends: readonly string[]): string[] {
    const end = this.#words.findIndex((word) => ends.includes(word));
    return this.#words.splice(0, end < 0 ? this.#words.length : end);
  }

  /** @throws {SkepError} 'usage' where a word is left */
  end(): void {
    const word = this.#words[0];
    if (word !== undefined)
      throw usageError(`unexpected argument '${word}' for '${this.#command}'`, this.#usage);
  }
}
