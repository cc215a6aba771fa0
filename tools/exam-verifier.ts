/**
 * `npm run exam -- FILE.jsonl.gz…|DIR [--live] [--vm 6.1] [--list KIND] [--only ID] [--log2] [--limit N] [--json]`:
 * runs recorded programs through the embedded kernel and compares with what Linux answered: verdict, errno, logs,
 * results of runs. `--live` asks the running kernel instead of the record, and measures the time of both;
 * `--vm` asks a kernel in a virtual machine. Of a folder, all files of recorded programs are read. `--list` names the
 * programs that differ; `--only` prints the logs of one, at level 2 with `--log2`.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { SkepError } from '../src/base/index.ts';
import { complain, usage, wholeNumber } from './arguments.ts';
import { verifyRecord } from './exam/embedded.ts';
import { grade } from './exam/grade.ts';
import { Live, whyNotLive } from './exam/linux.ts';
import { ExamSet, examFiles } from './exam/record.ts';
import { figures, listed, lists, newTally, tableText } from './exam/tally.ts';

const LOADS = 5;

interface Options {
  readonly live: boolean;
  readonly list: (typeof lists)[number] | undefined;
  readonly only: string | undefined;
  readonly log2: boolean;
  readonly limit: number;
  readonly json: boolean;
}

/** Times are of a verifier that has verified before: so much of the file first, for nothing. */
const WARM_UP_MS = 2_000;

async function warmUp(set: ExamSet, kernelBtf: Uint8Array | undefined): Promise<void> {
  const until = performance.now() + WARM_UP_MS;
  for await (const record of set.records()) {
    try {
      verifyRecord(record, set, { logLevel: 4, kernelBtf });
    } catch (error) {
      // Said when it is graded.
      if (!(error instanceof Error)) throw error;
    }
    if (performance.now() > until) return;
  }
}

async function examine(file: string, options: Options, live: Live | undefined): Promise<void> {
  const set = new ExamSet(file);
  const tally = newTally(live !== undefined);
  const kernelBtf = set.kernelBtf();
  const cpus = live?.cpus();
  const questions = { loads: LOADS, log2: true };
  if (live !== undefined) await warmUp(set, kernelBtf);
  for await (const record of set.records()) {
    if (options.only !== undefined && record.id !== options.only) continue;
    const answer = await live?.ask(record, set, questions);
    const show = options.only === undefined ? undefined : options.log2 ? 2 : 1;
    grade(record, { set, tally, kernelBtf, cpus, live: answer, show });
  }
  console.log(options.json ? JSON.stringify(figures(set.name, tally)) : tableText(set.name, tally));
  if (options.list === undefined) return;
  for (const row of listed(tally, options.list).slice(0, options.limit)) console.log(row);
}

/** @throws {SkepError} for options that make no sense */
async function main(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      live: { type: 'boolean', default: false },
      vm: { type: 'string' },
      list: { type: 'string' },
      only: { type: 'string' },
      log2: { type: 'boolean', default: false },
      limit: { type: 'string', default: 'Infinity' },
      json: { type: 'boolean', default: false },
    },
  });
  const list = lists.find((name) => name === values.list);
  if (values.list !== undefined && list === undefined) throw usage(`--list takes ${lists.join('|')}`);
  if (positionals.length === 0) throw usage('no file: npm run exam -- FILE.jsonl.gz…|DIR');
  const files = await examFiles(positionals);
  if (files.length === 0) throw usage(`no recorded programs in ${positionals.join(', ')}`);
  if (values.vm !== undefined) {
    const { examInVm } = await import('./exam/vm.ts');
    await examInVm(values.vm, files, args);
    return;
  }
  const reason = values.live ? whyNotLive() : undefined;
  if (reason !== undefined) throw new SkepError({ code: 'no-linux', message: reason });
  const live = values.live ? new Live() : undefined;
  const { log2, only, json } = values;
  const options = { live: values.live, list, only, log2, json, limit: wholeNumber(values.limit, 'limit') };
  try {
    for (const file of files) {
      try {
        await examine(file, options, live);
      } catch (error) {
        complain('exam', error);
      }
    }
  } finally {
    live?.close();
  }
}

await main(process.argv.slice(2)).catch((error) => complain('exam', error));
