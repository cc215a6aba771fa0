/**
 * One line of strace's output (man 1 strace), taken apart: who, when is skipped, and what: a whole call, its
 * first or last part, or something about the process. Formats: with and without -f (`[pid 7] `, or `7  ` in a
 * file), -t, -tt, -ttt, -r, -i, -T, -y.
 */

export type StraceLine =
  /** `read(3, "…", 832) = 832` */
  | {
      readonly kind: 'call';
      readonly name: string;
      readonly args: readonly string[];
      readonly result: string;
    }
  /** `read(3,  <unfinished ...>` */
  | { readonly kind: 'unfinished'; readonly name: string; readonly text: string }
  /** `<... read resumed>"…", 832) = 832`; the arguments continue those of the first part. */
  | { readonly kind: 'resumed'; readonly name: string; readonly text: string }
  /** `+++ exited with 0 +++`: no more of this process. */
  | { readonly kind: 'end' }
  /** Signals, strace's own messages, empty lines. */
  | { readonly kind: 'other' }
  | { readonly kind: 'unknown' };

export interface PrefixedLine {
  /** The thread, where the line names it. */
  readonly pid: number | undefined;
  readonly line: StraceLine;
}

/** PID_MAX_LIMIT: a bare number above it is a time. */
const maxPid = 4_194_304;

const pidPattern = /^(?:\[pid\s+(\d+)\]|(\d+))\s+/;
const timePattern = /^(?:\d{1,2}:\d{2}:\d{2}(?:\.\d+)?|\d+\.\d+|\d{8,})\s+/;
const pointerPattern = /^\[[0-9a-f?]{8,16}\]\s+/;
const callPattern = /^([a-z_][a-z0-9_]*)\(/i;
// Patterns are anchored, or start with a fixed character and stop at the next: linear on any line.
const unfinishedPattern =
  /<(?:unfinished \.\.\.|detached \.\.\.|ptrace\(SYSCALL\):[^<>]*)>(?:\)?\s*=\s*\?)?$/;
const resumedPattern = /^<\.\.\. (?:([a-z_][a-z0-9_]*) )?resumed>\s?/i;

const closers: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** The index behind the string, comment or path that starts at `at`; `at` where none does. */
function behindQuoted(text: string, at: number): number {
  if (text.startsWith('/*', at)) {
    const end = text.indexOf('*/', at + 2);
    return end < 0 ? text.length : end + 2;
  }
  // What -y adds to a descriptor: its path, in which strace escapes '>'.
  if (text.startsWith('</', at)) {
    const end = text.indexOf('>', at);
    return end < 0 ? text.length : end + 1;
  }
  if (text[at] !== '"') return at;
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i + 1;
  }
  return text.length;
}

/**
 * Splits `a, b) = result` at the top level.
 * @returns undefined where the closing bracket or the result is missing
 */
export function splitArguments(text: string): { args: string[]; result: string } | undefined {
  const args: string[] = [];
  const open: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; ) {
    const behind = behindQuoted(text, i);
    if (behind > i) {
      i = behind;
      continue;
    }
    const char = text[i] as string;
    if (char in closers) open.push(closers[char] as string);
    else if (open.length > 0 && char === open.at(-1)) open.pop();
    else if (open.length === 0 && (char === ',' || char === ')')) {
      args.push(text.slice(start, i).trim());
      start = i + 1;
      if (char === ')') {
        const result = /^\s*=\s*(\S.*)$/.exec(text.slice(start));
        const none = args.length === 1 && args[0] === '';
        return result === null ? undefined : { args: none ? [] : args, result: result[1] as string };
      }
    }
    i++;
  }
  return undefined;
}

/** Signals, messages of strace itself, and calls of which it could not even read the number. */
const otherPattern = /^(?:$|--- |\S*strace: |\[ Process PID=|\?\?\?\(|<\.\.\. \?\?\? resumed>)/;

function classify(text: string): StraceLine {
  if (otherPattern.test(text)) return { kind: 'other' };
  if (text.startsWith('+++ ')) return { kind: 'end' };
  const resumed = resumedPattern.exec(text);
  if (resumed !== null) {
    return { kind: 'resumed', name: resumed[1] ?? '', text: text.slice(resumed[0].length) };
  }
  const call = callPattern.exec(text);
  if (call === null) return { kind: 'unknown' };
  const name = call[1] as string;
  const rest = text.slice(call[0].length);
  if (unfinishedPattern.test(rest))
    return { kind: 'unfinished', name, text: rest.replace(unfinishedPattern, '') };
  const parts = splitArguments(rest);
  return parts === undefined ? { kind: 'unknown' } : { kind: 'call', name, ...parts };
}

/** Takes one line apart; `unknown` is what strace does not write, or a line cut short. */
export function parseStraceLine(line: string): PrefixedLine {
  let text = line.trimEnd();
  let pid: number | undefined;
  const named = pidPattern.exec(text);
  const number = Number(named?.[1] ?? named?.[2]);
  if (named !== null && number > 0 && number <= maxPid) {
    pid = number;
    text = text.slice(named[0].length);
  }
  text = text.trimStart().replace(timePattern, '').trimStart().replace(pointerPattern, '');
  return { pid, line: classify(text) };
}
