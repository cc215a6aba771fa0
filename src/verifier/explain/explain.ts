/**
 * A rejection in plain words: what the verifier knew and what it needed, where in the C source that was, and the path
 * that led there, branch by branch. Made of the log alone, so it serves every kernel that prints one.
 */
import { type Meaning, messages, type Place } from './messages.ts';
import { type PathStep, parseRejection, type SourceLine } from './parse-log.ts';

export interface Explanation {
  /** The verifier's own last words. */
  readonly message: string;
  /** Lines that came before them, with more numbers. */
  readonly details: readonly string[];
  /** Where it happened; undefined where the program was refused before any path was followed. */
  readonly insn: number | undefined;
  readonly text: string | undefined;
  readonly source: SourceLine | undefined;
  /** Undefined for a message that there is no explanation of. */
  readonly meaning: Meaning | undefined;
  /** The branches on the way, first to last. */
  readonly branches: readonly PathStep[];
}

/**
 * Explains the log of a rejected program, at level 1 or 2; undefined where the log says nothing.
 */
export function explainRejection(log: string): Explanation | undefined {
  const { steps, messages: words, registers } = parseRejection(log);
  const message = words.at(-1);
  if (message === undefined) return undefined;
  const details = words.slice(0, -1);
  const last = steps.at(-1);
  const place: Place = {
    reg: (name) => registers.get(name) ?? 'something that the log does not show',
    details,
  };
  return {
    message,
    details,
    insn: last?.insn,
    text: last?.text,
    source: last?.source,
    meaning: meaningOf(message, place),
    branches: steps.filter((step) => step.branch !== undefined),
  };
}

function meaningOf(message: string, place: Place): Meaning | undefined {
  for (const { pattern, explain } of messages) {
    const match = pattern.exec(message);
    if (match !== null) return explain(match, place);
  }
  return undefined;
}
