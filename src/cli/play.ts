/**
 * Feeds a session: a capture into its device, system calls (recorded by strace, or of a command that is
 * traced now) into its tracepoints. What the programs print comes out line by line as they run.
 */
import { SkepError } from '../base/errors.ts';
import { type XdpActionName, xdpActions } from '../kernel/index.ts';
import { playCapture, playStrace, type SyscallArch } from '../sources/index.ts';
import { usageError } from './args.ts';
import { placeOf, readChunks, readLines } from './files.ts';
import type { Invocation } from './invocation.ts';
import { Progress } from './progress.ts';
import type { Session } from './session.ts';
import { traceCommand } from './strace.ts';

/** Packets and their bytes by the verdict on them. */
export type Verdicts = Record<XdpActionName, { packets: number; bytes: number }>;

export interface Played {
  /** Undefined where no capture was played. */
  readonly verdicts: Verdicts | undefined;
  /** System calls; undefined where none were played. */
  readonly syscalls: number | undefined;
  /** What ended it early: to be thrown when the rest has been reported. */
  readonly failure: SkepError | undefined;
  /** Ctrl-C ended it. */
  readonly interrupted: boolean;
}

/** A recording, or a command to trace. */
type StraceInput = { path: string; command?: undefined } | { path?: undefined; command: readonly string[] };

export interface Inputs {
  readonly pcap: string | undefined;
  readonly strace: StraceInput | undefined;
}

/**
 * What the options say to play.
 * @throws {SkepError} 'usage'
 */
export function inputsOf(invocation: Invocation): Inputs {
  const pcap = invocation.value('pcap');
  const { trailing } = invocation;
  const path = invocation.value('strace');
  if (!invocation.has('strace')) {
    if (trailing === undefined) return { pcap, strace: undefined };
    throw usageError('a command is given, but not what to do with it', '--strace -- CMD');
  }
  if (path !== undefined && trailing !== undefined) {
    throw usageError('--strace wants either a FILE or -- CMD, not both');
  }
  if (path !== undefined) return { pcap, strace: { path } };
  if (trailing?.[0] !== undefined) return { pcap, strace: { command: trailing } };
  throw usageError('--strace wants a FILE, or a command after --', '--strace -- ls -l');
}

/**
 * Plays what the options name, one after the other. Ctrl-C stops it, and what was counted until then is
 * reported; a second one ends the process at once.
 */
export async function play(
  invocation: Invocation,
  { session, inputs, onTrace }: { session: Session; inputs: Inputs; onTrace: (line: string) => void },
): Promise<Played> {
  const controller = new AbortController();
  const onInterrupt = (): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  process.on('SIGINT', onInterrupt);
  const player = new Player(invocation, session, { onTrace, signal: controller.signal });
  let failure: SkepError | undefined;
  try {
    await player.play(inputs);
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    failure = error;
  } finally {
    player.progress.end();
    process.off('SIGINT', onInterrupt);
  }
  const { verdicts, syscalls } = player;
  const interrupted = controller.signal.aborted;
  // A capture that was left off in the middle looks cut short.
  return { verdicts, syscalls, failure: interrupted ? undefined : failure, interrupted };
}

/**
 * The exit code of what was played: 0, or 130 after Ctrl-C.
 * @throws {SkepError} the failure that ended it
 */
export function exitCodeOf({ failure, interrupted }: Played): number {
  if (failure !== undefined) throw failure;
  return interrupted ? 130 : 0;
}

class Player {
  verdicts: Verdicts | undefined;
  syscalls: number | undefined;
  readonly progress: Progress;
  readonly #invocation: Invocation;
  readonly #session: Session;
  readonly #onTrace: (line: string) => void;
  readonly #signal: AbortSignal;

  constructor(
    invocation: Invocation,
    session: Session,
    options: { onTrace: (line: string) => void; signal: AbortSignal },
  ) {
    this.#invocation = invocation;
    this.#session = session;
    this.#onTrace = options.onTrace;
    this.#signal = options.signal;
    this.progress = new Progress(invocation.streams.stderr);
  }

  async play({ pcap, strace }: Inputs): Promise<void> {
    if (pcap !== undefined) await inSource(pcap, () => this.#capture(pcap));
    if (strace === undefined || this.#signal.aborted) return;
    const { path, command } = strace;
    if (path !== undefined) await inSource(path, () => this.#fire(readChunks(path, this.#signal)));
    else await this.#fire(this.#traced(command), ownArch);
  }

  async #capture(path: string): Promise<void> {
    const verdicts = emptyVerdicts();
    this.verdicts = verdicts;
    const chunks = this.#counted(readChunks(path, this.#signal));
    await playCapture(chunks, this.#session.device, (packet, { action }) => {
      const verdict = verdicts[actionNames[action] ?? 'aborted'];
      verdict.packets++;
      verdict.bytes += packet.data.length;
      this.#printTrace();
    });
  }

  #traced(command: readonly string[]): AsyncIterable<Uint8Array> {
    // Standard output is the report's where that is JSON.
    return traceCommand(command, { stdoutFd: this.#invocation.json ? 2 : 1, signal: this.#signal });
  }

  async #fire(chunks: AsyncIterable<Uint8Array>, arch?: SyscallArch): Promise<void> {
    const { tracepoints } = this.#session.kernel.embedded;
    this.syscalls = 0;
    const onCall = (): void => {
      this.syscalls = (this.syscalls ?? 0) + 1;
      this.#printTrace();
    };
    const lines = readLines(this.#counted(chunks));
    await playStrace(lines, tracepoints, arch === undefined ? { onCall } : { onCall, arch });
  }

  #printTrace(): void {
    for (const line of this.#session.kernel.embedded.tracePipe.take()) this.#onTrace(line);
  }

  async *#counted(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      this.progress.add(chunk.length);
      yield chunk;
    }
  }
}

/** The machine that a command traced now runs on. */
const ownArch: SyscallArch = process.arch === 'arm64' ? 'arm64' : 'x86_64';

const actionNames = Object.keys(xdpActions) as XdpActionName[];

function emptyVerdicts(): Verdicts {
  const entries = actionNames.map((name) => [name, { packets: 0, bytes: 0 }] as const);
  return Object.fromEntries(entries) as Verdicts;
}

/** An error in a capture or recording says in which. */
async function inSource(path: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    const named = error instanceof SkepError && error.code !== 'file' && error.code !== 'usage';
    throw named ? error.at(placeOf(path)) : error;
  }
}
