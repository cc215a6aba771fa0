/**
 * One virtual machine: boots a kernel with an initial RAM file system under qemu's software emulation, and
 * follows its console until it powers off. A machine that does not is killed. Its second serial port is for a
 * report, which only this side reads.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Boot {
  readonly image: string;
  readonly initrd: string;
  /** For the kernel's command line. */
  readonly append?: string;
  /** A folder for what the machine writes. */
  readonly folder: string;
  readonly seconds: number;
  readonly onLine: (line: string) => void;
}

export interface Ended {
  readonly report: string;
  /** Why it did not end by itself. */
  readonly trouble?: string;
  /** The last lines of the console. */
  readonly tail: readonly string[];
}

export const QEMU = 'qemu-system-x86_64';
const TAIL = 40;

/** Runs a machine to its end. */
export async function boot({ image, initrd, append = '', folder, seconds, onLine }: Boot): Promise<Ended> {
  const report = join(folder, 'report');
  const args = [
    // Two processors by turns in one thread: with a thread each, qemu 7.2 now and then runs half of an instruction that
    // the other one just wrote, which crashes V8, or Linux while it boots.
    ...['-accel', 'tcg,thread=single', '-cpu', 'max', '-smp', '2', '-m', '1536M'],
    ...['-nodefaults', '-no-reboot', '-display', 'none'],
    ...['-serial', 'stdio', '-serial', `file:${report}`],
    ...['-kernel', image, '-initrd', initrd],
    ...['-append', `console=ttyS0 quiet panic=-1 ${append}`],
  ];
  const qemu = spawn(QEMU, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const tail: string[] = [];
  let trouble: string | undefined;
  const timer = setTimeout(() => {
    trouble = `did not power off within ${seconds} s, and was killed`;
    qemu.kill('SIGKILL');
  }, seconds * 1000);
  const kill = (): boolean => qemu.kill('SIGKILL');
  process.once('exit', kill);
  let rest = '';
  const say = (chunk: string): void => {
    const lines = (rest + chunk).split(/\r*\n/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (tail.push(line) > TAIL) tail.shift();
      onLine(line);
    }
  };
  qemu.stdout.setEncoding('utf8').on('data', say);
  qemu.stderr.setEncoding('utf8').on('data', say);
  const code = await new Promise<number | null>((resolve, reject) => {
    qemu.on('error', reject);
    qemu.on('close', resolve);
  });
  clearTimeout(timer);
  process.off('exit', kill);
  if (rest !== '') tail.push(rest);
  if (code !== 0) trouble ??= `qemu ended with code ${code}`;
  return { report: readReport(report), tail, ...(trouble === undefined ? {} : { trouble }) };
}

function readReport(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
