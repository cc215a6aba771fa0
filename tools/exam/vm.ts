/** An exam on a kernel in a virtual machine: the whole runner goes there, with the files. */
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { SkepError } from '../../src/base/index.ts';
import { bundle } from '../vm/bundle.ts';
import { findKernel } from '../vm/kernels.ts';
import { packKoffi, runInVm, whyNoVm } from '../vm/run.ts';

const SECONDS = 3600;

/**
 * Runs `args` there on `files`, and prints what it prints.
 * @throws {SkepError} where no machine or no such kernel is to be had
 */
export async function examInVm(
  series: string,
  files: readonly string[],
  args: readonly string[],
): Promise<void> {
  const kernel = /^\d+\.\d+$/.test(series) ? findKernel(series) : { reason: 'a kernel is named as 6.1' };
  const reason = whyNoVm() ?? ('reason' in kernel ? kernel.reason : undefined);
  if (reason !== undefined || 'reason' in kernel) {
    throw new SkepError({ code: 'no-vm', message: `no virtual machine with Linux ${series}: ${reason}` });
  }
  process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
  const bundled = await bundle(['tools/exam-verifier.ts', 'tools/exam/child.ts']);
  const folders = new Map(
    [...new Set(files.map((file) => dirname(file)))].map((folder, i) => [folder, `/exams/${i}`]),
  );
  const inside = (file: string): string => join(folders.get(dirname(file)) as string, basename(file));
  const quoted = [...options(args), ...files.map(inside)].map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
  const { report, trouble, tail } = await runInVm({
    kernel,
    script: `node tools/exam-verifier.js ${quoted.join(' ')} >/tmp/report; cat /tmp/report >/dev/ttyS1`,
    seconds: SECONDS,
    pack(archive) {
      archive.copy(bundled, '/skep');
      packKoffi(archive);
      for (const file of files) archive.copy(file, inside(file));
      for (const [folder, to] of folders) {
        const beside = readdirSync(folder).filter((name) => name === 'blobs' || name.startsWith('vmlinux'));
        for (const name of beside) archive.copy(join(folder, name), join(to, name));
      }
    },
    onLine: () => {},
  });
  process.stdout.write(report.replaceAll('\r\n', '\n'));
  if (trouble === undefined && report !== '') return;
  const said = tail.slice(-5).join(' | ');
  throw new SkepError({
    code: 'vm',
    message: `Linux ${kernel.release} ${trouble ?? 'had no answer'}: ${said}`,
  });
}

/** Without the files, and without --vm; what is asked is that kernel, live. */
function options(args: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] as string;
    const takesValue = /^--(vm|list|only|limit)$/.test(arg);
    if (arg.startsWith('--') && !/^--(vm|live)(=|$)/.test(arg))
      kept.push(arg, ...(takesValue ? [args[i + 1] ?? ''] : []));
    if (takesValue) i++;
  }
  return ['--live', ...kept];
}
