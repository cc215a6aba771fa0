/**
 * `npm run bench`: runs the suite on every engine that is there, in turns, and writes docs/performance.md.
 * `npm run bench -- NAME…` runs some programs and prints the table only; `-- packets` and `-- warm-up` measure a
 * capture of a million packets and the time from load to full speed, and write their parts of the report; `-- micro`
 * measures the parts, `-- linux` the running kernel's maps and ring buffers beside libbpf, for docs/performance-linux.md,
 * `-- btf` reading types and opening objects beside libbpf, `-- verifier` the verifier beside the running kernel's.
 */
import { measureSuite } from './measure.ts';
import { micro } from './micro.ts';
import { report, table } from './report.ts';
import { writeSuite } from './section.ts';
import { EMPTY, suitePrograms } from './suite.ts';
import { measureTranslation } from './translation.ts';

/** What is measured besides the suite, by the first word of the command line. */
const others: Readonly<Record<string, (args: readonly string[]) => unknown>> = {
  packets: async () => (await import('./packets.ts')).packets(),
  'warm-up': async () => (await import('./warm-up.ts')).warmUp(),
  micro,
  linux: async () => (await import('./linux.ts')).linux(),
  btf: async () => (await import('./btf.ts')).btf(),
  verifier: async ([only]) => (await import('./verifier.ts')).verifier(only),
};

const args = process.argv.slice(2);
const [first = '', ...rest] = args;
if (Object.hasOwn(others, first)) {
  await others[first]?.(rest);
} else {
  const all = suitePrograms();
  const unknown = args.find((arg) => !all.some(({ name }) => name === arg));
  if (unknown !== undefined) {
    const parts = Object.keys(others).join(', ');
    const names = all.map(({ name }) => name).join(' ');
    console.error(`bench: there is no '${unknown}': ${parts}, or programs of the suite: ${names}`);
    process.exit(2);
  }
  const some = all.filter(({ name }) => name === EMPTY || args.includes(name));
  const results = await measureSuite(args.length === 0 ? all : some, (text) => console.error(text));
  console.log(table(results));
  if (args.length === 0) writeSuite(report(results, measureTranslation()));
}
