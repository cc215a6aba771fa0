/** The accepted program: loads of maps and values are numbers, what cannot be reached is gone. */
import type { Insn } from '../isa/index.ts';
import type { Env } from './env.ts';

/** `env.insns` itself, which nothing looks at any more. */
export function rewrite(env: Env): (Insn | undefined)[] {
  const insns = env.insns as (Insn | undefined)[];
  for (let slot = 0; slot < insns.length; slot++) {
    if (env.seen[slot] !== 1) insns[slot] = undefined;
  }
  for (const [slot, load] of env.wideLoads) {
    const insn = insns[slot];
    if (insn?.op !== 'ldimm64' || load.kind === 'func' || load.kind === 'variable') continue;
    const map = env.map(load.map);
    const address = load.kind === 'map' ? map.address : (map.valueAddress ?? map.address) + load.offset;
    insns[slot] = {
      op: 'ldimm64',
      dst: insn.dst,
      pseudo: 'imm',
      lo: address | 0,
      hi: Math.floor(address / 2 ** 32),
    };
  }
  return insns;
}
