/**
 * The verifier's log: text that grows, and that is cut back to an earlier position when a path was fine
 * (level 1 keeps only the path that failed). A hostile program can log gigabytes, so what is kept is bounded:
 * the end of the log, or its start where the loader asked for a fixed log, as Linux's own buffer does it.
 * Positions are counted in characters, which are bytes: names from BTF are identifiers.
 */

/** Bits of `logLevel`. */
export const logLevels = { paths: 1, all: 2, stats: 4, fixed: 8 } as const;

/** Columns of the state that follows an instruction (vlog_alignment). */
const MIN_COLUMN = 40;
const COLUMN_STEP = 8;

/** Characters kept. */
const CAPACITY = 1 << 26;

export class Log {
  readonly level: number;
  /** Whether per-instruction text is wanted at all; callers build none where it is not. */
  readonly on: boolean;
  verbose: boolean;
  /** Characters written and not cut back, kept or not. */
  length = 0;
  /** `length` at its greatest. */
  longest = 0;
  private readonly capacity: number;
  private readonly fixed: boolean;
  /** The text from `start` to `start + kept`, chunk by chunk, and where each chunk ends in the whole log. */
  private chunks: string[] = [];
  private ends: number[] = [];
  /** Chunks before this one are dropped. */
  private first = 0;
  private kept = 0;
  /** The end of the instruction's own text, where its state may follow on the same line. */
  private insnEnd = -1;
  private insnWidth = 0;
  private last = '';

  constructor(level: number, capacity = CAPACITY) {
    this.level = level;
    this.capacity = capacity;
    this.fixed = (level & logLevels.fixed) !== 0;
    this.on = (level & (logLevels.paths | logLevels.all)) !== 0;
    this.verbose = (level & logLevels.all) !== 0;
  }

  write(text: string): void {
    if (text === '') return;
    this.last = text;
    if (this.level === 0) return;
    this.length += text.length;
    this.longest = Math.max(this.longest, this.length);
    if (this.fixed && this.kept + text.length > this.capacity) return;
    this.chunks.push(text);
    this.ends.push(this.length);
    this.kept += text.length;
    if (this.kept > this.capacity) this.drop();
  }

  /** Does something that Linux does not tell of at level 2. */
  silently(work: () => void): void {
    const { verbose } = this;
    this.verbose = false;
    try {
      work();
    } finally {
      this.verbose = verbose;
    }
  }

  /** Drops the oldest chunks, and now and then their places. */
  private drop(): void {
    while (this.kept > this.capacity && this.first < this.chunks.length) {
      this.kept -= this.chunks[this.first]!.length;
      this.chunks[this.first] = '';
      this.first++;
    }
    if (this.first < this.chunks.length / 2) return;
    this.chunks = this.chunks.slice(this.first);
    this.ends = this.ends.slice(this.first);
    this.first = 0;
  }

  /** Cut back to `length` characters. */
  resetTo(length: number): void {
    while (this.chunks.length > this.first) {
      const end = this.ends.at(-1)!;
      if (end <= length) break;
      const text = this.chunks.pop()!;
      this.ends.pop();
      this.kept -= text.length;
      const start = end - text.length;
      if (start >= length) continue;
      this.chunks.push(text.slice(0, length - start));
      this.ends.push(length);
      this.kept += length - start;
    }
    this.length = Math.min(this.length, length);
  }

  /** An instruction with its number, a line; its state may be appended by `column`. */
  instruction(text: string): void {
    const start = this.length;
    this.write(text);
    this.insnEnd = this.length;
    this.insnWidth = this.length - start;
  }

  /** Continue the instruction's line at the column of states; false if something was printed since. */
  column(): boolean {
    if (this.insnEnd < 0 || this.insnEnd !== this.length) return false;
    this.resetTo(this.length - 1);
    const least = Math.max(this.insnWidth + COLUMN_STEP / 2, MIN_COLUMN);
    const target = Math.ceil(least / COLUMN_STEP) * COLUMN_STEP;
    this.write(`${' '.repeat(target - this.insnWidth - 1)};`);
    return true;
  }

  /** The last line written, at any level: what a rejection says. */
  lastLine(): string {
    return this.last.trimEnd().split('\n').at(-1) as string;
  }

  text(): string {
    return this.chunks.slice(this.first).join('');
  }
}
