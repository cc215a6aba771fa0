/** Reads and writes of the context, by the layout of the program's type or by BTF (check_ctx_access). */
import { type CtxPointer, ctxField } from '../uapi/contexts.ts';
import { type Access, leakCheck } from './access.ts';
import { checkUnmoved } from './alignment.ts';
import { setBtfPointer } from './btf-access.ts';
import { btfCtxAccess, hasBtfContext } from './btf-ctx.ts';
import { KERNEL } from './btf-objects.ts';
import type { Env } from './env.ts';
import { boundLsmReturn } from './lsm.ts';
import { setPointer, setScalar, word } from './regs.ts';
import { regAt } from './state/frame.ts';
import { ID, OFF } from './state/layout.ts';
import { baseType, mayBeNull, type RegType, regTypes, typeFlags, typeFlagsOf } from './state/reg-types.ts';

const ctxPointers: Readonly<Record<CtxPointer, RegType>> = {
  packet: regTypes.packet,
  packetMeta: regTypes.packetMeta,
  packetEnd: regTypes.packetEnd,
  flowKeys: regTypes.flowKeys,
  socket: regTypes.socket,
  socketOrNull: regTypes.socket | typeFlags.maybeNull,
  sockCommonOrNull: regTypes.sockCommon | typeFlags.maybeNull,
  tpBuffer: regTypes.tpBuffer,
};

/** An access through a pointer to the context. */
export function accessCtx(env: Env, access: Access): void {
  const { reg, write, value } = access;
  leakCheck(env, access, 'ctx');
  checkUnmoved(env, reg);
  const off = access.off + word(env.frame, regAt(reg), OFF);
  if (hasBtfContext(env)) {
    accessBtfCtx(env, access, off);
    return;
  }
  const field =
    env.context === undefined
      ? undefined
      : ctxField(env.context, {
          off,
          size: access.size,
          write,
          signed: access.signed === true,
          attachType: env.attachType,
        });
  const needsBpf =
    field?.pointer !== undefined && env.progType === 'cgroup_skb' && isPacketPointer(field.pointer);
  if (field === undefined || (needsBpf && !env.input.capabilities.bpf)) {
    env.reject('EACCES', `invalid bpf_context access off=${off} size=${access.size}`);
  }
  env.maxCtxOffset = Math.max(env.maxCtxOffset, off + access.size);
  if (write || value < 0) return;
  const to = regAt(value);
  if (field.pointer === undefined) {
    setScalar(env.frame, to);
    return;
  }
  const type = ctxPointers[field.pointer];
  setPointer(env.frame, to, type);
  if (mayBeNull(type)) env.frame.i32[2 * to + ID] = env.newId();
}

/** A context that is typed by BTF. */
function accessBtfCtx(env: Env, access: Access, off: number): void {
  const found = btfCtxAccess(env, { off, size: access.size, write: access.write });
  if (found === undefined) {
    env.reject('EACCES', `invalid bpf_context access off=${off} size=${access.size}`);
  }
  env.maxCtxOffset = Math.max(env.maxCtxOffset, off + access.size);
  if (access.value < 0) return;
  const to = regAt(access.value);
  const base = baseType(found.type);
  if (base === regTypes.scalar) {
    setScalar(env.frame, to);
    if (found.isReturn === true) boundLsmReturn(env, to);
  } else if (base === regTypes.btfId) {
    setBtfPointer(env, to, { object: KERNEL, id: found.btfId, flags: typeFlagsOf(found.type) });
  } else {
    setPointer(env.frame, to, found.type);
    if (mayBeNull(found.type)) env.frame.i32[2 * to + ID] = env.newId();
  }
}

const isPacketPointer = (pointer: CtxPointer): boolean => pointer === 'packet' || pointer === 'packetEnd';
