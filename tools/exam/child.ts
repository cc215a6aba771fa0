/**
 * A process that keeps only the capabilities that it is given as an argument ('CAP_BPF,CAP_PERFMON'), and then
 * asks the running kernel about the records that its parent sends.
 */
import { createRequire } from 'node:module';
import process from 'node:process';
import { askHere, type ChildRequest } from './linux.ts';
import { ExamSet } from './record.ts';

/** Numbers of capabilities (linux/capability.h). */
const numbers: Readonly<Record<string, number>> = {
  CAP_NET_ADMIN: 12,
  CAP_NET_RAW: 13,
  CAP_SYS_RESOURCE: 24,
  CAP_SYS_ADMIN: 21,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
};
const CAPABILITY_VERSION_3 = 0x20080522;

/** capset(2): of the effective and the permitted, these alone. */
function keepOnly(names: readonly string[]): void {
  const capset = createRequire(import.meta.url)('koffi')
    .load(null)
    .func('capset', 'int', ['void*', 'void*']);
  // Two halves of effective, permitted, inheritable.
  const data = new Uint32Array(6);
  for (const name of names) {
    const number = numbers[name];
    if (number === undefined) throw new Error(`the number of ${name} is not known`);
    const half = (number >> 5) * 3;
    for (const word of [half, half + 1]) data[word] = (data[word] as number) + 2 ** (number & 31);
  }
  const header = Uint32Array.of(CAPABILITY_VERSION_3, 0);
  if (capset(new Uint8Array(header.buffer), new Uint8Array(data.buffer)) !== 0) {
    throw new Error('capset(2) failed');
  }
}

keepOnly((process.argv[2] ?? '').split(',').filter((name) => name !== ''));
const sets = new Map<string, ExamSet>();
process.on('message', ({ record, file, questions }: ChildRequest) => {
  const set = sets.get(file) ?? new ExamSet(file);
  sets.set(file, set);
  try {
    process.send?.(askHere(record, set, questions));
  } catch (error) {
    process.send?.({ failed: String(error) });
  }
});
process.on('disconnect', () => process.exit());
