/** Where a pointer may point: aligned to the access, and for some kinds not moved at all. */

import { isConst } from './domain/index.ts';
import type { Env } from './env.ts';
import { tnumText, unsignedText } from './log/index.ts';
import { isPacket, isUnmoved, typeOf, word } from './regs.ts';
import { regAt } from './state/frame.ts';
import { OFF, TNUM_MASK, TNUM_VALUE } from './state/layout.ts';
import { regTypeName, regTypes } from './state/reg-types.ts';

const NET_IP_ALIGN = 2;

/** The least set bit of value and mask decides whether every possible address is aligned. */
function isAligned(env: Env, r: number, access: { off: number; size: number }): boolean {
  const file = env.frame;
  const mask = file.i32[2 * (r + TNUM_MASK)] as number;
  const value = file.i32[2 * (r + TNUM_VALUE)] as number;
  // A mask bit and a constant bit below the size make some address unaligned, whatever they add up to.
  return ((mask | (value + access.off)) & (access.size - 1)) === 0;
}

/** `0x10`, `0`, `(0x0; 0xff)`: a pointer's variable offset in messages (tnum_strn). */
export function offText(env: Env, r: number): string {
  const file = env.frame;
  if (!isConst(file, r)) return tnumText(file, r);
  const value = file.u64[r + TNUM_VALUE] as bigint;
  return unsignedText(value);
}

const alignmentNames: Readonly<Record<number, string>> = {
  [regTypes.flowKeys]: 'flow keys ',
  [regTypes.mapKey]: 'key ',
  [regTypes.mapValue]: 'value ',
  [regTypes.ctx]: 'context ',
  [regTypes.stack]: 'stack ',
  [regTypes.socket]: 'sock ',
  [regTypes.sockCommon]: 'sock_common ',
  [regTypes.tcpSock]: 'tcp_sock ',
  [regTypes.xdpSock]: 'xdp_sock ',
};

/** check_ptr_alignment */
export function checkAlignment(
  env: Env,
  reg: number,
  access: { off: number; size: number; strict: boolean },
): void {
  const r = regAt(reg);
  const { off, size } = access;
  const type = typeOf(env.frame, r);
  const fixed = word(env.frame, r, OFF);
  const strict = access.strict || env.strictAlignment || type === regTypes.stack;
  if (!strict || size === 1 || type === regTypes.arena) return;
  if (isPacket(type)) {
    if (isAligned(env, r, { off: NET_IP_ALIGN + fixed + off, size })) return;
    env.reject('EACCES', `misaligned packet access off 2+${offText(env, r)}+${fixed}+${off} size ${size}`);
  }
  if (isAligned(env, r, { off: fixed + off, size })) return;
  const name = alignmentNames[type] ?? '';
  env.reject('EACCES', `misaligned ${name}access off ${offText(env, r)}+${fixed}+${off} size ${size}`);
}

/** A pointer that must not have been moved (__check_ptr_off_reg). */
export function checkUnmoved(env: Env, reg: number, fixedOk = false): void {
  const r = regAt(reg);
  const file = env.frame;
  const off = word(file, r, OFF);
  if (isUnmoved(file, r) && (off === 0 || (fixedOk && off > 0))) return;
  const name = regTypeName(typeOf(file, r));
  if (off < 0) env.reject('EACCES', `negative offset ${name} ptr R${reg} off=${off} disallowed`);
  if (!fixedOk && off !== 0) {
    env.reject('EACCES', `dereference of modified ${name} ptr R${reg} off=${off} disallowed`);
  }
  env.reject('EACCES', `variable ${name} access var_off=${offText(env, r)} disallowed`);
}
