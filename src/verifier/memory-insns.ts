/** Instructions that load and store: their operands, then their access (check_load_mem, check_atomic …). */
import type { Insn } from '../isa/index.ts';
import { mapTypes } from '../uapi/map-types.ts';
import { checkUnmoved } from './alignment.ts';
import { pushBranch } from './branches.ts';
import { checkRead, checkWrite, isSecret, overwrite } from './checks.ts';
import type { Env } from './env.ts';
import { accessMemory, rememberPointer } from './memory.ts';
import { checkNothingHeld } from './references.ts';
import {
  isPacket,
  isSock,
  setKnownImm,
  setKnownPair,
  setNotInit,
  setPointer,
  setScalar,
  typeOf,
} from './regs.ts';
import { regAt } from './state/frame.ts';
import { AUX0, OFF, SUBREG_DEF } from './state/layout.ts';
import { baseType, regTypeName, regTypes } from './state/reg-types.ts';

type InsnOf<K extends Insn['op']> = Extract<Insn, { op: K }>;

export function doLoad(env: Env, insn: InsnOf<'load'> | InsnOf<'loadAcquire'>): void {
  checkRead(env, insn.src);
  checkWrite(env, insn.dst);
  const type = typeOf(env.frame, regAt(insn.src));
  const acquire = insn.op === 'loadAcquire';
  accessMemory(env, {
    reg: insn.src,
    off: insn.off,
    size: insn.size,
    write: false,
    value: insn.dst,
    imm: 0,
    signed: insn.op === 'load' && insn.signed,
    aligned: acquire,
  });
  rememberPointer(env, type, insn.op === 'load');
  if (acquire && !atomicAllowed(type)) {
    env.reject('EACCES', `BPF_ATOMIC loads from R${insn.src} ${regTypeName(type)} is not allowed`);
  }
}

export function doStore(env: Env, insn: InsnOf<'store'> | InsnOf<'storeRelease'>): void {
  const release = insn.op === 'storeRelease';
  const src = release ? insn.src : 'reg' in insn.src ? insn.src.reg : -1;
  if (src >= 0) checkRead(env, src);
  checkRead(env, insn.dst);
  const type = typeOf(env.frame, regAt(insn.dst));
  if (release && !atomicAllowed(type)) {
    env.reject('EACCES', `BPF_ATOMIC stores into R${insn.dst} ${regTypeName(type)} is not allowed`);
  }
  accessMemory(env, {
    reg: insn.dst,
    off: insn.off,
    size: insn.size,
    write: true,
    value: src >= 0 ? src : -2,
    imm: !release && 'imm' in insn.src ? insn.src.imm : 0,
    signed: false,
    aligned: release,
  });
  rememberPointer(env, type, false);
}

/** atomic_ptr_type_ok */
function atomicAllowed(type: number): boolean {
  return type !== regTypes.ctx && !isPacket(type) && type !== regTypes.flowKeys && !isSock(baseType(type));
}

export function doAtomic(env: Env, insn: InsnOf<'atomic'>): void {
  checkRead(env, insn.src);
  checkRead(env, insn.dst);
  if (insn.atomic === 'cmpxchg') {
    checkRead(env, 0);
    if (isSecret(env, 0)) env.reject('EACCES', 'R0 leaks addr into mem');
  }
  if (isSecret(env, insn.src)) env.reject('EACCES', `R${insn.src} leaks addr into mem`);
  const type = typeOf(env.frame, regAt(insn.dst));
  if (!atomicAllowed(type)) {
    env.reject('EACCES', `BPF_ATOMIC stores into R${insn.dst} ${regTypeName(type)} is not allowed`);
  }
  let loaded = -1;
  if (insn.fetch) {
    loaded = insn.atomic === 'cmpxchg' ? 0 : insn.src;
    overwrite(env, loaded);
  }
  const access = (write: boolean, value: number): void =>
    accessMemory(env, {
      reg: insn.dst,
      off: insn.off,
      size: insn.size,
      write,
      value,
      imm: 0,
      signed: false,
      aligned: true,
    });
  access(false, -1);
  if (loaded >= 0) access(false, loaded);
  access(true, -1);
}

export function doWideLoad(env: Env, insn: InsnOf<'ldimm64'>): void {
  overwrite(env, insn.dst);
  const r = regAt(insn.dst);
  const frame = env.frame;
  const load = env.wideLoads.get(env.insn);
  if (load === undefined) {
    setKnownPair(frame, r, insn.lo, insn.hi);
    return;
  }
  if (load.kind === 'func') {
    if (env.input.funcInfo === undefined) env.reject('EINVAL', 'missing btf func_info');
    if (env.subprogs[load.subprog]?.isGlobal !== false) env.reject('EINVAL', 'callback function not static');
    setPointer(frame, r, regTypes.func);
    frame.i32[2 * r + AUX0] = load.subprog;
    return;
  }
  if (load.kind === 'variable') {
    setPointer(frame, r, load.type);
    frame.i32[2 * r + AUX0] = load.typeId === 0 ? load.size : load.typeId;
    return;
  }
  if (load.kind === 'value' && env.map(load.map).type === mapTypes.arena.id) {
    setScalar(frame, r);
    return;
  }
  setPointer(frame, r, load.kind === 'map' ? regTypes.constMapPtr : regTypes.mapValue);
  frame.i32[2 * r + AUX0] = load.map;
  if (load.kind === 'value') frame.i32[2 * r + OFF] = load.offset;
}

const CALLER_SAVED = 6;
const CTX = 6;
const packetLoaders: readonly (string | undefined)[] = ['socket_filter', 'sched_cls', 'sched_act'];

/** may_access_skb */
export function checkPacketLoads(env: Env): void {
  if (packetLoaders.includes(env.progType)) return;
  env.reject('EINVAL', 'BPF_LD_[ABS|IND] instructions not allowed for this program type');
}

/** Classic packet loads: beyond the packet's end they end the program, or the subprogram, with r0 = 0. */
export function doPacketLoad(env: Env, insn: InsnOf<'ldPacket'>): void {
  checkPacketLoads(env);
  checkRead(env, CTX);
  checkNothingHeld(env, { where: 'BPF_LD_[ABS|IND]', locks: true });
  if (typeOf(env.frame, regAt(CTX)) !== regTypes.ctx) {
    env.reject('EINVAL', 'at the time of BPF_LD_ABS|IND R6 != pointer to skb');
  }
  if (insn.src !== undefined) checkRead(env, insn.src);
  checkUnmoved(env, CTX);
  for (let reg = 0; reg < CALLER_SAVED; reg++) {
    setNotInit(env.frame, regAt(reg));
    env.touchReg(reg);
  }
  setScalar(env.frame, regAt(0));
  env.frame.i32[2 * regAt(0) + SUBREG_DEF] = env.insn + 1;
  if (env.state.curFrame === 0) return;
  pushBranch(env, { insn: env.insn + 1, prev: env.insn });
  setKnownImm(env.frame, regAt(0), 0);
  env.returnNow = true;
}
