/** What is known of one program that was verified: a row of the table, and the shape of `--json`. */
import type { Explanation } from '../verifier/explain/index.ts';

export interface Verdict {
  readonly file: string;
  readonly name: string;
  readonly type: string;
  readonly section: string;
  readonly accepted: boolean;
  readonly errno: string | undefined;
  /** The verifier's last words. */
  readonly reason: string | undefined;
  /** Instructions of the program, and how many the verifier processed along all paths. */
  readonly insns: number;
  readonly processed: number | undefined;
  readonly totalStates: number | undefined;
  readonly peakStates: number | undefined;
  readonly microseconds: number | undefined;
  readonly log: string | undefined;
  readonly explanation?: Explanation | undefined;
}
