/**
 * The log of a rejected program, read back: the instructions of the path that led to the rejection, the C lines that
 * they came from, which way each branch went, what registers held, and the verifier's last words. Reads logs of
 * Linux and of this verifier alike, at level 1 or 2. Lines that it does not know are passed over.
 */

/** A line of C, as the log shows it. */
export interface SourceLine {
  readonly text: string;
  /** Absent in logs of kernels that do not tell it. */
  readonly file?: string | undefined;
  readonly line?: number | undefined;
}

export interface PathStep {
  readonly insn: number;
  /** The instruction, as the kernel prints it. */
  readonly text: string;
  readonly source: SourceLine | undefined;
  /** Which function it is in: 0 for the program itself, one more for each call. */
  readonly depth: number;
  /** A conditional jump: whether the path goes where it points. */
  branch?: 'taken' | 'not taken';
}

export interface RejectedPath {
  readonly steps: readonly PathStep[];
  /** What the verifier said at the end, the last line last. */
  readonly messages: readonly string[];
  /** Registers at the end, by name: 'R1' → 'scalar(smin=0,…)'. */
  readonly registers: ReadonlyMap<string, string>;
}

const SOURCE = /^; (.*?)(?: @ (\S+):(\d+))?$/;
const INSN = /^(\d+): \(([0-9a-f]{2})\) (.*?)(?:\s+; (.*))?$/;
const STATE = /^(?:from \d+ to )?\d+(?: \(speculative execution\))?: (?:frame\d+: ?)?((?:R\d+|fp)\S*=.*)$/;
const NOISE =
  /^(?:mark_precise|force_precise|frame \d+: propagating|SCC |propagate_|\([\d,]+\) |processed \d|verification time|stack depth|func#\d|Live regs|Validating |Func#|arg#|parent |cur state:|old state:)/;
const CONDITIONAL = /^(?:if |may_goto)/;

/** The path and the last words of a log. */
export function parseRejection(log: string): RejectedPath {
  const reader = new Reader();
  for (const line of log.split('\n')) reader.line(line);
  reader.markBranches();
  return { steps: reader.steps, messages: reader.messages, registers: reader.registers };
}

class Reader {
  readonly steps: PathStep[] = [];
  messages: string[] = [];
  registers = new Map<string, string>();
  private source: SourceLine | undefined;
  private readonly callers: Map<string, string>[] = [];

  line(line: string): void {
    if (line.trim() === '' || NOISE.test(line)) return;
    const source = SOURCE.exec(line);
    if (source !== null) {
      const [, text = '', file, number] = source;
      this.source = { text, file, line: number === undefined ? undefined : Number(number) };
      return;
    }
    const insn = INSN.exec(line);
    if (insn !== null) {
      const [, slot, , text = '', state] = insn;
      this.steps.push({ insn: Number(slot), text, source: this.source, depth: this.callers.length });
      this.messages = [];
      if (state !== undefined) this.readState(state);
      return;
    }
    this.otherLine(line);
  }

  private otherLine(line: string): void {
    if (line === 'caller:') {
      this.callers.push(this.registers);
      this.registers = new Map();
    } else if (line.startsWith('to caller at ')) {
      this.registers = this.callers.pop() ?? this.registers;
    } else if (/^(?:callee:|returning from callee:|from \d+ to \d+.* safe|\d+: safe)/.test(line)) {
      return;
    } else if (line.startsWith(' ')) {
      this.readState(line.trim());
    } else {
      const state = STATE.exec(line);
      if (state === null) this.messages.push(line);
      else this.readState(state[1] as string);
    }
  }

  /** `frame1: R0=1 R1=map_value(ks=4,vs=8) fp-8=scalar(…)`; what is in brackets may have blanks. */
  private readState(text: string): void {
    let depth = 0;
    let start = 0;
    for (let at = 0; at <= text.length; at++) {
      const char = text[at];
      if (char === '(') depth++;
      if (char === ')') depth--;
      if (at < text.length && (char !== ' ' || depth > 0)) continue;
      const fact = /^(R\d+|fp-\d+)(?:_[rw]+)?=(.*)$/.exec(text.slice(start, at));
      if (fact !== null) this.registers.set(fact[1] as string, fact[2] as string);
      start = at + 1;
    }
  }

  /** A jump is taken where the next instruction is not the one behind it. */
  markBranches(): void {
    this.steps.forEach((step, i) => {
      const next = this.steps[i + 1];
      if (next === undefined || !CONDITIONAL.test(step.text)) return;
      step.branch = next.insn === step.insn + 1 ? 'not taken' : 'taken';
    });
  }
}
