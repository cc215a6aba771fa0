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

const args = process.argv.slice(2);
if (args[0] === 'micro') {
  await micro(args.slice(1));
} else if (args[0] === 'btf') {
  (await import('./btf.ts')).btf();
} else if (args[0] === 'verifier') {
  (await import('./verifier.ts')).verifier(args[1]);
} else if (args[0] === 'warm-up') {
  await (await import('./warm-up.ts')).warmUp();
} else if (args[0] === 'packets') {
  await (await import('./packets.ts')).packets();
} else if (args[0] === 'linux') {
  await (await import('./linux.ts')).linux();
} else {
  const all = suitePrograms();
  const unknown = args.find((arg) => !all.some(({ name }) => name === arg));
  if (unknown !== undefined) {
    const names = all.map(({ name }) => name).join(' ');
    console.error(`bench: there is no '${unknown}': micro, linux, btf, or programs of the suite: ${names}`);
    process.exit(2);
  }
  const some = all.filter(({ name }) => name === EMPTY || args.includes(name));
  const results = await measureSuite(args.length === 0 ? all : some, (text) => console.error(text));
  console.log(table(results));
  if (args.length === 0) writeSuite(report(results, measureTranslation()));
}
