/**
 * `npm run test:vm [-- 6.1|6.12…] [TEST FILE…] [--seconds N] [--verbose]`: what the running kernel cannot show, on Debian's
 * kernels in virtual machines: the contract of the seam, attaching by kprobe, uprobe, fentry, LSM and freplace,
 * loading without rights, the examples. The machines are emulated and run side by side, each with Node, the tests and
 * the built package, in few files. Where qemu or a kernel cannot be had, its tests are skipped by name.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { complain, wholeNumber } from './arguments.ts';
import { addCount, type Count, countTap, countText } from './test/count.ts';
import { bundle } from './vm/bundle.ts';
import { findKernel, kernelSeries, type VmKernel } from './vm/kernels.ts';
import { packKoffi, runInVm, whyNoVm } from './vm/run.ts';
import { readByTests, startedByTests, vmTests } from './vm/tests.ts';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

function commandLine() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        seconds: { type: 'string', default: '420' },
        verbose: { type: 'boolean', default: false },
      },
    });
    return { positionals, verbose: values.verbose, seconds: wholeNumber(values.seconds, 'seconds') };
  } catch (error) {
    complain('test:vm', error);
    process.exit();
  }
}

const { positionals, ...options } = commandLine();
const isSeries = (name: string): boolean => /^\d+\.\d+$/.test(name);
const wantedSeries = positionals.filter(isSeries);
const wantedTests = positionals.filter((name) => !isSeries(name));
const series = wantedSeries.length > 0 ? wantedSeries : kernelSeries;
const tests = wantedTests.length > 0 ? wantedTests : vmTests();

/** A test that takes longer hangs. */
const TEST_MS = 120_000;

/** One process runs all files: starting Node is slow where the processor is emulated. */
const script = `node --test --test-isolation=none --test-timeout=${TEST_MS} \
  --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=tap --test-reporter-destination=/tmp/report ${tests.map((file) => file.replace(/\.ts$/, '.js')).join(' ')}
code=$?
cat /tmp/report >/dev/ttyS1
exit $code`;

async function testOn(kernel: VmKernel, bundled: string): Promise<Count> {
  const started = performance.now();
  const label = `[${kernel.series}]`;
  const { report, trouble, tail } = await runInVm({
    kernel,
    script,
    seconds: options.seconds,
    pack(archive) {
      archive.copy(bundled, '/skep');
      for (const { folder, wanted } of readByTests) {
        for (const name of readdirSync(folder)) {
          if (wanted.test(name)) archive.copy(`${folder}/${name}`, `/skep/${folder}/${name}`);
        }
      }
      packKoffi(archive);
    },
    onLine: (line) => {
      const second = ((performance.now() - started) / 1000).toFixed(0).padStart(3);
      if (options.verbose || /✖|init:/.test(line)) console.log(label, `${second} s`, line);
    },
  });
  const count = countTap(report);
  if (count === undefined || trouble !== undefined) {
    const why = trouble ?? 'ended without a summary';
    console.log(`${label} Linux ${kernel.release}: ${why}; its console ended with`);
    for (const line of tail) console.log(label, line);
  }
  const ended: Count = count ?? { passed: 0, failed: 0, skipped: 0 };
  if ((count === undefined || trouble !== undefined) && ended.failed === 0) ended.failed = 1;
  if (ended.failed > 0) console.log(failures(report));
  for (const line of skipReasons(report)) console.log(label, line);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`${label} Linux ${kernel.release}: ${countText(ended)}, in ${seconds} s`);
  return ended;
}

/** What the report says of each test that failed. */
function failures(report: string): string {
  const lines = report.split(/\r?\n/);
  const blocks: string[] = [];
  for (const [at, line] of lines.entries()) {
    if (!/^\s*not ok/.test(line)) continue;
    const end = lines.findIndex((other, i) => i > at && /^\s*\.\.\.$/.test(other));
    const block = lines.slice(at, end < 0 ? at + 1 : end + 1).join('\n');
    if (!block.includes("failureType: 'subtestsFailed'")) blocks.push(block);
  }
  return blocks.join('\n');
}

/** Why tests were skipped, and how many for each reason. */
function skipReasons(report: string): string[] {
  const counts = new Map<string, number>();
  for (const [, reason = ''] of report.matchAll(/^\s*ok .* # SKIP ?(.*?)\r?$/gm)) {
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  return [...counts].map(([reason, count]) => `${count} skipped: ${reason}`);
}

/** Each test file skipped, by name. */
function skipped(name: string, reason: string): Count {
  for (const file of tests) console.log(`[${name}] ﹣ ${file} # SKIP ${reason}`);
  return { passed: 0, failed: 0, skipped: tests.length };
}

const total: Count = { passed: 0, failed: 0, skipped: 0 };
const noVm = whyNoVm();
const found = series.map((name) => ({
  name,
  kernel: noVm === undefined ? findKernel(name) : { reason: noVm },
}));
const kernels = found.flatMap(({ kernel }) => ('reason' in kernel ? [] : [kernel]));
for (const { name, kernel } of found) if ('reason' in kernel) addCount(total, skipped(name, kernel.reason));
if (kernels.length > 0) {
  execFileSync(process.execPath, ['tools/build.ts', '--if-older'], { stdio: 'inherit' });
  const bundled = await bundle([...tests, ...startedByTests]);
  const counts = await Promise.all(kernels.map((kernel) => testOn(kernel, bundled)));
  for (const count of counts) addCount(total, count);
}
console.log(`\nvirtual machines: ${countText(total)}`);
process.exitCode = total.failed === 0 ? 0 : 1;
