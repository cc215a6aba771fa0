/**
 * Checks that many instructions share: that a register may be read or written, and that a pointer does not
 * leak.
 */
import type { Env } from './env.ts';
import { setScalar, typeOf } from './regs.ts';
import { FP, REGS, regAt } from './state/frame.ts';
import { regTypes } from './state/reg-types.ts';

/** A source operand: initialised (check_reg_arg, SRC_OP). */
export function checkRead(env: Env, reg: number): void {
  if (reg >= REGS) env.reject('EINVAL', `R${reg} is invalid`);
  env.touchReg(reg);
  if (typeOf(env.frame, regAt(reg)) === regTypes.notInit) env.reject('EACCES', `R${reg} !read_ok`);
}

/** A destination whose new value the caller sets (DST_OP_NO_MARK). */
export function checkWrite(env: Env, reg: number): void {
  if (reg >= REGS) env.reject('EINVAL', `R${reg} is invalid`);
  env.touchReg(reg);
  if (reg === FP) env.reject('EACCES', 'frame pointer is read only');
}

/** A destination that becomes unknown (DST_OP). */
export function overwrite(env: Env, reg: number): void {
  checkWrite(env, reg);
  setScalar(env.frame, regAt(reg));
}

/** Whether a register holds a pointer that the loader may not learn (is_pointer_value). */
export function isSecret(env: Env, reg: number): boolean {
  return !env.allowLeaks && typeOf(env.frame, regAt(reg)) !== regTypes.scalar;
}
