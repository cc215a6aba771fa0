/** One program, and what is said of it. */
import type { AttachTypeName } from '../../../src/uapi/attach-types.ts';
import type { ProgTypeName } from '../../../src/uapi/prog-types.ts';

export interface Case {
  readonly name: string;
  /** socket_filter where absent. */
  readonly type?: ProgTypeName;
  readonly attach?: AttachTypeName;
  readonly flag?: 'sleepable' | 'strictAlignment';
  readonly license?: string;
  /** Assembly; maps by the names that verdicts.ts makes. */
  readonly program: string;
  /** 'ok', the last message, or the errno where the log says nothing. */
  readonly want: string;
}
