/** The block of the level-2 log that shows loops and live registers before the exploration starts. */
import type { Env } from './env.ts';
import { insnText } from './print.ts';
import { QUIET_LOOP } from './scc.ts';

const NUMBER_WIDTH = 3;

export function printLiveRegs(env: Env): void {
  if (!env.log.verbose) return;
  env.write('Live regs before insn:\n');
  for (let slot = 0; slot < env.count; slot++) {
    if (env.insns[slot] === undefined) continue;
    const loop = env.scc[slot] as number;
    let live = '';
    for (let reg = 0; reg < 10; reg++) live += (env.liveRegs[slot] as number) & (1 << reg) ? reg : '.';
    const loopText = loop === 0 || loop >= QUIET_LOOP ? '' : String(loop);
    env.write(
      `${loopText.padStart(NUMBER_WIDTH)} ${String(slot).padStart(NUMBER_WIDTH)}: ${live} ${insnText(env, slot)}\n`,
    );
  }
}
