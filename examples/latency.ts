/**
 * How long the system calls of one process take, as a histogram by powers of two that grows while it runs:
 * `node examples/latency.ts [PID | -- CMD ARG…]`, as root. The latest calls that took long are listed as
 * the kernel tells of them.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { openObject, setVariables } from 'skep';
import { LinuxKernel } from 'skep/linux';
import { syscallName } from 'skep/sources';
import { bar, bold, dim, print, yellow } from './print.ts';
import { main, pause, watched } from './watched.ts';

const SLOW_NS = 100_000;

interface SlowCall {
  readonly thread: number;
  readonly number: number;
  readonly ns: bigint;
  readonly comm: string;
}

/** `512 ns`, `1.0 µs`, `33.6 ms`. */
function time(ns: number): string {
  const [unit, size] = ns < 1e3 ? ['ns', 1] : ns < 1e6 ? ['µs', 1e3] : ns < 1e9 ? ['ms', 1e6] : ['s', 1e9];
  return `${(ns / size).toFixed(size === 1 ? 0 : 1)} ${unit}`.padStart(8);
}

function histogram(counts: readonly bigint[]): string[] {
  const first = counts.findIndex((count) => count > 0n);
  const last = counts.findLastIndex((count) => count > 0n);
  if (first < 0) return ['no calls yet'];
  const most = Math.max(...counts.map(Number));
  return counts.slice(first, last + 1).map((count, i) => {
    const from = 2 ** (first + i);
    return `${time(from)} –${time(2 * from)} ${dim('│')}${bar(Number(count), most, 50).padEnd(50)}${dim('│')} ${count}`;
  });
}

/** Draws over what was drawn before, on a terminal; else only the last picture is drawn. */
function drawer(): (lines: readonly string[], isLast: boolean) => void {
  let drawn = 0;
  return (lines, isLast) => {
    if (process.stdout.isTTY !== true && !isLast) return;
    if (drawn > 0) process.stdout.write(`\x1b[${drawn}A\x1b[J`);
    print(...lines);
    drawn = lines.length;
  };
}

await main(async (signal) => {
  const kernel = new LinuxKernel();
  const target = watched(process.argv.slice(2), ['ls', '-lR', '/usr/lib']);
  const spec = openObject(readFileSync(new URL('latency.bpf.o', import.meta.url)));
  setVariables(spec, { target_pid: target.pid, slow_ns: SLOW_NS });
  try {
    const meter = kernel.load(spec);
    const links = Object.values(meter.programs).map((program) => program.attach());
    const draw = drawer();
    const slots = meter.variable<bigint[]>('slots');
    const over = new AbortController();
    const ring = meter.map('slow').ringBuffer<SlowCall>({ type: 'slow_call' });
    const latest: SlowCall[] = [];
    let slow = 0;
    const note = (call: SlowCall): void => {
      slow++;
      latest.push(call);
      if (latest.length > 5) latest.shift();
    };
    const reading = (async () => {
      for await (const call of ring.records({ signal: over.signal })) note(call);
      // What came while it ended.
      ring.drain(note);
      ring.close();
    })();
    const picture = (): string[] => {
      return [
        `System calls of ${bold(target.name)}:`,
        '',
        ...histogram(slots.get()),
        '',
        `${yellow(String(slow))} took ${time(SLOW_NS).trim()} or more; the latest:`,
        ...latest.map(({ thread, number, ns, comm }) => {
          const arch = process.arch === 'arm64' ? 'arm64' : 'x86_64';
          return `${time(Number(ns))}  ${(syscallName(number, arch) ?? String(number)).padEnd(16)} ${dim(`${comm} ${thread}`)}`;
        }),
      ];
    };
    target.start();
    const ended = target.ended(signal).finally(() => over.abort());
    while (!over.signal.aborted) {
      draw(picture(), false);
      await pause(250, over.signal);
    }
    await ended;
    for (const link of links) link.close();
    await reading;
    draw(picture(), true);
    const lost = meter.variable<bigint>('lost').get();
    if (lost > 0n) print(`${lost} more found no room in the ring buffer`);
    meter.close();
  } finally {
    await target.ended(AbortSignal.abort());
  }
});
