/**
 * `skep run`: an object on the embedded kernel (on a running one: run-live.ts), from its load to the table of what it did.
 */
import { usageError } from './args.ts';
import type { Invocation } from './invocation.ts';
import { isLive } from './live.ts';
import { chosenMaps, mapContents, printMaps } from './maps.ts';
import { exitCodeOf, type Inputs, inputsOf, play, type Verdicts } from './play.ts';
import { type Session, startSession } from './session.ts';
import { type Cell, formatTable } from './table.ts';

/** Lines of the trace pipe that a JSON report holds. */
const maxTraceLines = 65536;

interface Run {
  readonly session: Session;
  readonly inputs: Inputs;
}

export async function run(invocation: Invocation): Promise<number> {
  if (isLive(invocation)) return (await import('./run-live.ts')).runLive(invocation);
  const live = ['pid', 'cgroup', 'type'].find((option) => invocation.has(option));
  if (live !== undefined) throw usageError(`'--${live}' is about a running kernel`, 'add --kernel linux');
  const inputs = inputsOf(invocation);
  const session = startSession(invocation);
  const exitCode = invocation.json
    ? await runForJson(invocation, { session, inputs })
    : await runForPeople(invocation, { session, inputs });
  session.kernel.close();
  return exitCode;
}

async function runForPeople(invocation: Invocation, { session, inputs }: Run): Promise<number> {
  for (const [name, hook] of session.attached) {
    invocation.note(hook === undefined ? `program '${name}' is loaded, not attached` : `${name} → ${hook}`);
  }
  const played = await play(invocation, { session, inputs, onTrace: (line) => invocation.print(line) });
  if (played.verdicts !== undefined) printVerdicts(invocation, played.verdicts);
  if (played.syscalls !== undefined) invocation.note(`${played.syscalls} system calls played`);
  if (played.verdicts === undefined && played.syscalls === undefined) {
    invocation.note('nothing to run the programs on (give it --pcap FILE, or --strace)');
  }
  if (invocation.has('dump-maps')) {
    if (played.verdicts !== undefined) invocation.print();
    printMaps(invocation, chosenMaps(session, undefined));
  }
  return exitCodeOf(played);
}

async function runForJson(invocation: Invocation, { session, inputs }: Run): Promise<number> {
  const trace: string[] = [];
  let traceOmitted = 0;
  const onTrace = (line: string): void => {
    if (trace.length < maxTraceLines) trace.push(line);
    else traceOmitted++;
  };
  const played = await play(invocation, { session, inputs, onTrace });
  invocation.printJson({
    programs: [...session.attached].map(([name, hook]) => ({ name, attached: hook ?? null })),
    verdicts: played.verdicts,
    syscalls: played.syscalls,
    trace,
    traceOmitted,
    maps: invocation.has('dump-maps')
      ? chosenMaps(session, undefined).map(([name, map]) => mapContents(name, map))
      : undefined,
  });
  return exitCodeOf(played);
}

function printVerdicts(invocation: Invocation, verdicts: Verdicts): void {
  const rows = Object.entries(verdicts)
    .filter(([name, { packets }]) => packets > 0 || name === 'pass' || name === 'drop')
    .map(([name, { packets, bytes }]): Cell[] => [
      { text: name, style: name === 'pass' || name === 'tx' || name === 'redirect' ? 'good' : 'bad' },
      String(packets),
      String(bytes),
    ]);
  const total = Object.values(verdicts).reduce(
    (sum, { packets, bytes }) => ({ packets: sum.packets + packets, bytes: sum.bytes + bytes }),
    { packets: 0, bytes: 0 },
  );
  const lines = formatTable(
    [{ title: 'VERDICT' }, { title: 'PACKETS', align: 'right' }, { title: 'BYTES', align: 'right' }],
    [...rows, ['total', String(total.packets), String(total.bytes)]],
    invocation.style,
  );
  for (const line of lines) invocation.print(line);
}
