/**
 * A program that the kernel did not take: the errno, the verifier's log and its last words.
 */
import { BpfError, type Errno } from '../uapi/errno.ts';

/** Lines of a log that are statistics or frame, not the reason. */
const notAMessage = /^(processed \d+ insns|verification time|stack depth|-- )/;

export class LoadError extends BpfError {
  /** The program's name in C. */
  readonly program: string;
  /** The verifier's log, at the level that was asked for, else at level 1. */
  readonly log: string;
  /** The verifier's last message; empty where it said nothing. */
  readonly reason: string;

  /** `hint` is the kernel's own, for a failure that the log does not explain. */
  constructor(program: string, errno: Errno, { log, hint }: { log: string; hint?: string | undefined }) {
    const reason = lastMessage(log);
    super(
      errno,
      reason === '' ? `program '${program}' was not loaded` : `program '${program}' rejected: ${reason}`,
      reason === '' ? hint : hintFor(reason),
    );
    this.program = program;
    this.log = log;
    this.reason = reason;
  }
}

/** What to do where a program wants of the kernel what it does not have. */
function hintFor(reason: string): string | undefined {
  if (!reason.startsWith('failed to resolve CO-RE relocation')) return undefined;
  return 'the types of this kernel do not have it: give those of another, --btf FILE or load(object, { kernelBtf })';
}

/** The last line of a verifier log that is a message. */
export function lastMessage(log: string): string {
  const lines = log.split('\n').filter((line) => line.trim() !== '' && !notAMessage.test(line));
  return lines.at(-1)?.trim() ?? '';
}
