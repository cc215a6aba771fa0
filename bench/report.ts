/** What was measured, as a table and as docs/performance.md. */
import type { ProgramResult, Results, Timing } from './measure.ts';
import { markdown } from './section.ts';
import { EMPTY } from './suite.ts';
import type { TranslationRow } from './translation.ts';

type Which = 'best' | 'median';

function timing(result: ProgramResult, peer: string): Timing | undefined {
  const found = result.byPeer.get(peer);
  return typeof found === 'object' ? found : undefined;
}

interface Ratios {
  readonly program: string;
  readonly raw: number;
  readonly net: number;
}

/** Time of `peer` as a share of the time of `base`, each with and without its own empty program. */
function ratios(results: Results, pair: { peer: string; base: string }, which: Which): Ratios[] {
  const empty = results.programs.find(({ program }) => program.name === EMPTY);
  const cost = (peer: string) => (empty === undefined ? 0 : (timing(empty, peer)?.[which] ?? 0));
  return results.programs.flatMap((result) => {
    const mine = timing(result, pair.peer)?.[which];
    const other = timing(result, pair.base)?.[which];
    if (result === empty || mine === undefined || other === undefined) return [];
    const net = Math.max(mine - cost(pair.peer), 0.1) / Math.max(other - cost(pair.base), 0.1);
    return [{ program: result.program.name, raw: mine / other, net }];
  });
}

function geomean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

const isJit = (peer: string): boolean => peer.startsWith('jit');

const ns = (value: number | undefined): string => {
  if (value === undefined) return '–';
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(1);
};
const ratio = (value: number | undefined): string => (value === undefined ? '–' : value.toFixed(2));

/** Nanoseconds a run on each peer, and the ratios to Linux and to native code. */
export function table(results: Results, which: Which = 'best'): string {
  const { peers } = results;
  const pairs = peers
    .filter(isJit)
    .flatMap((peer) =>
      ['linux', 'native'].filter((base) => peers.includes(base)).map((base) => ({ peer, base })),
    );
  const columns = pairs.map((pair) => ({ ...pair, of: ratios(results, pair, which) }));
  const short = (peer: string) => peer.replace(/^jit, Node v(\d+).*$/, '$1');
  const head = columns.flatMap(({ peer, base }) =>
    base === 'linux' ? [`${short(peer)}/linux`, 'net'] : [`${short(peer)}/native`],
  );
  const cells = (pick: (column: (typeof columns)[number]) => Ratios | undefined) =>
    columns.flatMap((column) => {
      const found = pick(column);
      return column.base === 'linux' ? [ratio(found?.raw), ratio(found?.net)] : [ratio(found?.raw)];
    });
  const rows = results.programs.map((result) => [
    result.program.name,
    Number.isNaN(result.executed) ? '–' : result.executed.toLocaleString('en'),
    ...peers.map((peer) => ns(timing(result, peer)?.[which])),
    ...cells(({ of }) => of.find(({ program }) => program === result.program.name)),
  ]);
  const mean = cells(({ of }) => ({
    program: '',
    raw: geomean(of.map(({ raw }) => raw)),
    net: geomean(of.map(({ net }) => net)),
  }));
  const total = ['**geometric mean**', '', ...peers.map(() => ''), ...mean.map((cell) => `**${cell}**`)];
  return markdown([['program', 'insns', ...peers, ...head], ...rows, total]);
}

function losses(results: Results): string {
  const lines = results.peers
    .filter((peer) => isJit(peer) && results.peers.includes('linux'))
    .map((peer) => {
      const slow = ratios(results, { peer, base: 'linux' }, 'best')
        .filter(({ net }) => net > 1)
        .sort((a, b) => b.net - a.net)
        .map(({ program, net }) => `${program} ${net.toFixed(2)}`);
      return `- ${peer}: ${slow.length === 0 ? 'none' : slow.join(', ')}`;
    });
  return lines.join('\n');
}

/** Programs whose results differ between peers; maps that forget may differ. */
function differing(results: Results): string[] {
  return results.programs
    .filter(({ byPeer }) => {
      const values = [...byPeer.values()].flatMap((one) => (typeof one === 'object' ? [one.retval] : []));
      return new Set(values).size > 1;
    })
    .map(({ program }) => program.name);
}

function translationTable(rows: readonly TranslationRow[]): string {
  const head = ['instructions', 'first, ms', 'median, ms', 'best, ms', 'code, B/insn', 'kept, B/insn'];
  const cells = rows.map(({ insns, firstMs, medianMs, bestMs, codeBytes, keptBytes }) => [
    insns.toLocaleString('en'),
    ...[firstMs, medianMs, bestMs, codeBytes, keptBytes].map((value) => value.toFixed(1)),
  ]);
  return markdown([head, ...cells]);
}

export function report(results: Results, translation: readonly TranslationRow[]): string {
  const { programs, missing } = results;
  const differs = differing(results);
  return `# Performance

Made by \`npm run bench\` on ${results.date}; do not edit. ${results.machine}.

Each program is one C source of \`bench/programs\`, fixed before the engines were tuned. It runs on the embedded
kernel's compiler to WebAssembly under each Node, on its interpreter, on the running Linux by its own JIT
(\`BPF_PROG_TEST_RUN\` with \`repeat\`), and compiled for the machine itself by \`clang -O2\`. Times are nanoseconds a
run, by the clock outside of one call that runs the program many times, and for Linux by what the call says itself. The engines take turns, ${results.rounds} rounds
over all programs; what is shown is the minimum, because others use the machine too. *Net* is less each engine's own empty
program. Instructions are those of BPF that a run executes.

${table(results)}

By medians:

${table(results, 'median')}

## What loses

Programs that take longer than on Linux, net:

${losses(results)}

## Translation

From accepted instructions to the bytes of a WebAssembly module, without what the JavaScript engine makes of them: a
program of one function with a branch, a lookup or a loop every few instructions, in a process of its own. *First* is
code that has never run before. *Kept* is what heap and buffers have more while the program is loaded.

${translationTable(translation)}

## What to know

- The budget of instructions, which stops programs that go on for ever, is counted in all runs of the embedded
  kernel; Linux has none.
- A run on the embedded kernel keeps nothing between runs but the packet and the maps, as on Linux.
- Native programs have maps of plain C (\`bench/programs/native.h\`), without what makes maps safe for several CPUs,
  and their checksums are vectorised.
- The aim against native code is a mean of 1.25 on the newer Node. What is above it: hashes, which here are Linux's
  (its hash function, its order of elements) in functions that are called, and there a multiplication, inlined; vector
  instructions (checksum, matmul); and random numbers whose next ones clang computes side by side (array_map, percpu).
- Switches become tables where they compare six values or more. In the program \`switch\` that takes 0.73 of the time of
  the comparisons on Node 26 and 0.83 on Node 20; a table of four values was no faster.
- A ring buffer is emptied from outside before each sample.
${missing.map((what) => `- Not there: ${what}.\n`).join('')}${differs.length === 0 ? '' : `- Results differ where programs change their own packet or maps from run to run: ${differs.join(', ')}.\n`}
## The programs

${markdown([['program', 'what it does'], ...programs.map(({ program }) => [program.name, program.title])])}
`;
}
