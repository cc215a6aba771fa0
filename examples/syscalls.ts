/**
 * The system calls of one process, counted by the running kernel: `node examples/syscalls.ts [PID | -- CMD ARG…]`, as
 * root. Of a process that is there it counts until Ctrl-C.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { openObject, setVariables } from 'skep';
import { LinuxKernel } from 'skep/linux';
import { syscallName } from 'skep/sources';
import { bar, bold, print, table } from './print.ts';
import { main, watched } from './watched.ts';

await main(async (signal) => {
  const kernel = new LinuxKernel();
  const target = watched(process.argv.slice(2), ['ls', '-l', '/usr/bin']);
  const spec = openObject(readFileSync(new URL('syscalls.bpf.o', import.meta.url)));
  setVariables(spec, { target_pid: target.pid });
  try {
    const counter = kernel.load(spec);
    const link = counter.program('count_call').attach();
    target.start();
    await target.ended(signal);
    link.close();

    const calls = [...counter.map<number, bigint>('calls')].sort(([, a], [, b]) => Number(b - a));
    counter.close();
    const total = calls.reduce((sum, [, count]) => sum + Number(count), 0);
    const arch = process.arch === 'arm64' ? 'arm64' : 'x86_64';
    const rows = calls
      .slice(0, 15)
      .map(([number, count]) => [
        syscallName(number, arch) ?? String(number),
        String(count),
        bar(Number(count), Number(calls[0]?.[1] ?? 1n), 40),
      ]);
    print(`${bold(String(total))} system calls of ${target.name}, of ${calls.length} kinds:`, '');
    table(['CALL', '>TIMES', ''], rows);
  } finally {
    // A command that nobody watches ends.
    await target.ended(AbortSignal.abort());
  }
});
