/** What no engine can run, refused when a program is loaded and never in the middle of a run. */
import { SkepError } from '../base/errors.ts';
import type { Insn } from '../isa/insn.ts';
import { helperName } from '../uapi/helpers.ts';
import { helperCode } from './helpers/table.ts';
import { TAIL_CALL } from './run.ts';
import type { RunnableProgram } from './types.ts';

/** What an instruction does that this runtime cannot; undefined where it can. */
function obstacle(insn: Insn): string | undefined {
  switch (insn.op) {
    case 'addrSpaceCast':
      return 'addr_space_cast';
    case 'ldimm64':
      return insn.pseudo === 'imm' || insn.pseudo === 'func' ? undefined : `a load of kind ${insn.pseudo}`;
    case 'call': {
      if (insn.kind === 'subprog') return undefined;
      if (insn.kind === 'kfunc') return `a call of the kernel function with BTF id ${insn.imm}`;
      if (insn.imm === TAIL_CALL || helperCode(insn.imm) !== undefined) return undefined;
      const name = helperName(insn.imm);
      return name === undefined ? `a call of helper ${insn.imm}` : `a call of bpf_${name}()`;
    }
    default:
      return undefined;
  }
}

/** @throws {SkepError} code `not-runnable` */
export function checkRunnable(program: RunnableProgram): void {
  program.insns.forEach((insn, slot) => {
    const what = insn === undefined ? undefined : obstacle(insn);
    if (what === undefined) return;
    throw new SkepError({
      code: 'not-runnable',
      message: `${what} is verified-only: this kernel cannot run it`,
      where: `program ${program.name}, instruction ${slot}`,
      hint: 'docs/support.md lists what runs',
    });
  });
}
