/**
 * Assembly text to statements of tokens. Accepts what people paste: lines of the verifier's log or of
 * bpftool (`12: (b7) r0 = 1 ; R0=1`), of llvm-objdump (`0: b7 00 … r0 = 0x1`), and hand-written text with
 * comments (`#`, `//`, `;`, block comments). A `;` separates statements, as in LLVM, where what follows is one;
 * otherwise, and always at the start of a line and on a numbered line, it starts a comment.
 */
import { SkepError } from '../base/index.ts';

export interface Token {
  readonly kind: 'word' | 'number' | 'sign' | 'end';
  readonly text: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

export interface Statement {
  /** Ends with a token of kind 'end'. */
  readonly tokens: readonly Token[];
  /** What a line in front of the instruction shows of its encoding. */
  readonly shown: Shown;
}

export interface Shown {
  /** As llvm-objdump prints them, in hexadecimal. */
  readonly bytes?: string | undefined;
  /** As Linux prints it. */
  readonly opcode?: number | undefined;
}

/** A slot number, then bytes as llvm-objdump prints them, then an opcode as Linux does; both optional. */
const numbered =
  /^\s*\d+:(?:\s+((?:(?:[0-9a-f]{2}\s){8})?(?:[0-9a-f]{2}\s){7}[0-9a-f]{2}))?(?:\s+\(([0-9a-f]{2})\))?(?=\s)/;

const tokenPatterns = [
  // Signs with an s first: `s>` is no word.
  ['sign', /s(?:>>=|>=|<=|>|<|\/=|%=)/y],
  ['word', /[A-Za-z_.$][\w.$]*/y],
  ['number', /\d\w*/y],
  ['sign', /<<=|>>=|[-+*/%&|^=!<>]=|[-+*&<>=()[\],:#]/y],
] as const;

const reg = String.raw`[rw]\d+`;
const assignment = String.raw`${reg}\s*(?:s?>>|s[/%]|<<|[-+*/|&%^])?=`;
/** What begins a statement after a `;`; anything else there is a comment. */
const statementStart = new RegExp(
  String.raw`^\s*(?:[A-Za-z_.$][\w.$]*:\s*)?(?:` +
    String.raw`exit\s*(?:$|[;#/])|(?:goto|gotol|may_goto|call)\s+[\w.#$+[\]-]+\s*(?:$|[;#/])|` +
    String.raw`if\s+${reg}|lock\s*\*|\*\s*\(|store_release\s*\(|ld_pseudo\s|${assignment})`,
);

/** Text from the input for a message, cut to a length that fits one. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

export function syntaxError(
  token: { line: number; column: number },
  message: string,
  hint?: string,
): SkepError {
  return new SkepError({
    code: 'asm-syntax',
    message,
    where: `line ${token.line}, column ${token.column}`,
    hint,
  });
}

class Lexer {
  private readonly statements: Statement[] = [];
  private tokens: Token[] = [];
  private shown: Shown = {};
  private blockComment: { line: number; column: number } | undefined;

  private add(kind: Token['kind'], text: string, place: { line: number; column: number }): void {
    this.tokens.push({ kind, text, line: place.line, column: place.column });
  }

  private endStatement(place: { line: number; column: number }): void {
    if (this.tokens.length > 0) {
      this.add('end', '', place);
      this.statements.push({ tokens: this.tokens, shown: this.shown });
    }
    this.tokens = [];
    this.shown = {};
  }

  private token(text: string, at: number, line: number): number {
    for (const [kind, pattern] of tokenPatterns) {
      pattern.lastIndex = at;
      const found = pattern.exec(text);
      if (found === null) continue;
      this.add(kind, found[0], { line, column: at + 1 });
      return at + found[0].length;
    }
    const shown = JSON.stringify(String.fromCodePoint(text.codePointAt(at) as number));
    throw syntaxError({ line, column: at + 1 }, `unexpected character ${shown}`);
  }

  /** Whether the text from `at` on is a comment to the end of the line. */
  private startsComment(text: string, at: number, isNumbered: boolean): boolean {
    if (text.startsWith('//', at)) return true;
    // In `call name#7` the sign belongs to the name.
    if (text[at] === '#')
      return !(/[\w.$]/.test(text[at - 1] ?? '') && /^-?\d/.test(text.slice(at + 1, at + 3)));
    if (text[at] !== ';') return false;
    return isNumbered || text.slice(0, at).trim() === '' || !statementStart.test(text.slice(at + 1));
  }

  private line(text: string, line: number): void {
    let at = 0;
    const prefix = this.blockComment === undefined ? numbered.exec(text) : null;
    if (prefix !== null) {
      at = prefix[0].length;
      const opcode = prefix[2] === undefined ? undefined : Number.parseInt(prefix[2], 16);
      this.shown = { bytes: prefix[1], opcode };
    }
    while (at < text.length) {
      if (this.blockComment !== undefined) {
        const end = text.indexOf('*/', at);
        if (end < 0) return;
        this.blockComment = undefined;
        at = end + 2;
      } else if (/\s/.test(text[at] as string)) {
        at++;
      } else if (text.startsWith('/*', at)) {
        this.blockComment = { line, column: at + 1 };
        at += 2;
      } else if (this.startsComment(text, at, prefix !== null)) {
        break;
      } else if (text[at] === ';') {
        this.endStatement({ line, column: at + 1 });
        at++;
      } else {
        at = this.token(text, at, line);
      }
    }
    this.endStatement({ line, column: Math.max(text.trimEnd().length, 1) + 1 });
  }

  run(text: string): readonly Statement[] {
    const lines = text.split(/\r\n|\n|\r/);
    for (let i = 0; i < lines.length; i++) this.line(lines[i] as string, i + 1);
    if (this.blockComment !== undefined) throw syntaxError(this.blockComment, 'comment without its */');
    return this.statements;
  }
}

/**
 * The statements of a text; an empty line or a comment is none.
 * @throws SkepError with line and column for a character that begins no token.
 */
export function tokenize(text: string): readonly Statement[] {
  return new Lexer().run(text);
}
