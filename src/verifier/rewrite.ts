/** The accepted program: loads of maps and values are numbers, what cannot be reached is gone. */
import type { Insn } from '../isa/index.ts';
import type { Env } from './env.ts';

export function rewrite(env: Env): (Insn | undefined)[] {
  return env.insns.map((insn, slot) => {
    if (insn === undefined || insn.op === 'invalid' || env.seen[slot] === 0) return undefined;
    const load = env.wideLoads.get(slot);
    if (insn.op !== 'ldimm64' || load === undefined || load.kind === 'func' || load.kind === 'variable')
      return insn;
    const map = env.map(load.map);
    const address = load.kind === 'map' ? map.address : (map.valueAddress ?? map.address) + load.offset;
    return {
      op: 'ldimm64',
      dst: insn.dst,
      pseudo: 'imm',
      lo: address | 0,
      hi: Math.floor(address / 2 ** 32),
    };
  });
}
