/**
 * PROG_LOAD of one program: names and references resolved, and the log fetched when the kernel says no.
 * As libbpf does, a program is loaded without a log first and again with one when that fails.
 */
import { SkepError } from '../base/errors.ts';
import type { CoreResolver } from '../btf/index.ts';
import { explainPoison, type RelocatedCode, relocateCore } from '../object/core.ts';
import { findSectionName, sectionMeaning, sectionTable } from '../object/sections.ts';
import { within } from '../object/source.ts';
import type { ProgramSpec } from '../object/spec.ts';
import { BpfError } from '../uapi/errno.ts';
import type { System } from '../uapi/seam.ts';
import type { AttachTarget } from './attach-target.ts';
import type { KernelSymbol } from './externs.ts';
import { type Feature, supports } from './features.ts';
import { LoadError } from './load-error.ts';

/** src fields of two-slot loads (RFC 9669, section 5.4). */
const pseudo = { map: 1, mapValue: 2, btfId: 3 } as const;

/** BPF_LOG_LEVEL1 and 2: logs with instructions in them. */
const instructionLevels = 3;

const firstLogSize = 1 << 20;
/** The largest log that Linux takes: UINT_MAX >> 2. */
const maxLogSize = 0x3fffffff;

export interface LoadContext {
  readonly system: System;
  readonly mapFds: ReadonlyMap<string, number>;
  readonly btfFd: number | undefined;
  /** Answers to CO-RE's questions; undefined for programs without BTF. */
  readonly core?: CoreResolver | undefined;
  /** The kernel's variables and functions that programs may name. */
  readonly symbols?: ReadonlyMap<string, KernelSymbol> | undefined;
  /** What a program is verified against; undefined for one that attaches to nothing by its types. */
  readonly attachTarget?: ((spec: ProgramSpec) => AttachTarget | undefined) | undefined;
  /** SEC("version"), for kernels that still look at it. */
  readonly kernVersion?: number | undefined;
  /** What may be behind a failure that the log does not explain. */
  readonly note?: string | undefined;
  /** Whether the kernel takes no names. */
  readonly nameless?: boolean | undefined;
  /** 0: a log only when it fails. Bits as the verifier's log levels. */
  readonly logLevel: number;
}

/** At most 15 of the characters that the kernel takes in the name of an object. */
export function objectName(name: string): string {
  return name.replace(/[^A-Za-z0-9_.]/g, '_').slice(0, 15);
}

/**
 * Loads a program; its fd and the log.
 * @throws {LoadError} with the verifier's log
 */
export function loadProgram(spec: ProgramSpec, context: LoadContext): { fd: number; log: string } {
  // libbpf opens sections that it does not know, and does not load them.
  if (spec.progType === 0 && spec.section !== '') {
    within(`program '${spec.name}'`, () => sectionMeaning(spec.section));
  }
  const code = relocated(spec, context);
  const { logLevel } = context;
  try {
    return loadWithLog(spec, { ...context, ...code }, logLevel);
  } catch (error) {
    if (error instanceof LoadError && (error.errno === 'EINVAL' || error.errno === 'E2BIG')) {
      const older = forOlderKernel(spec, code, context);
      if (older !== undefined) return loadProgram(older.spec, { ...context, ...older.context });
    }
    // Which field is missing is known by the instruction, which only a log of instructions tells.
    const isVague = logLevel === 0 || ((logLevel & instructionLevels) === 0 && code.unresolved.size > 0);
    if (!(error instanceof LoadError) || !isVague) throw error;
    return loadWithLog(spec, { ...context, ...code }, logLevel | 1);
  }
}

/** The same in the words of a kernel that lacks what it uses; undefined where there is nothing to change. */
function forOlderKernel(
  spec: ProgramSpec,
  { insns }: RelocatedCode,
  { system, btfFd, nameless }: LoadContext,
): { spec: ProgramSpec; context: Partial<LoadContext> } | undefined {
  const section = findSectionName(spec.section);
  const lacks = (feature: Feature): boolean => !supports(system, feature);
  const isOptional = section !== undefined && sectionTable[section.name].optional === true;
  const attachType = spec.expectedAttachType !== 0 && isOptional && lacks('expectedAttachType');
  const name = nameless !== true && lacks('progName');
  const types = btfFd !== undefined && lacks('btfFunc');
  const reads = callsProbeRead(insns) && lacks('probeReadKernel');
  if (!attachType && !name && !types && !reads) return undefined;
  return {
    spec: {
      ...spec,
      expectedAttachType: attachType ? 0 : spec.expectedAttachType,
      insns: reads ? withProbeRead(spec.insns) : spec.insns,
    },
    context: { nameless: nameless === true || name, ...(types ? { btfFd: undefined } : {}) },
  };
}

/** Helpers that read memory of the kernel, and those of kernels before 5.5, which read any. */
const probeReads = new Map([
  [113, 4],
  [115, 45],
]);
const callOpcode = 0x85;

function callsProbeRead(insns: Uint8Array): boolean {
  const view = new DataView(insns.buffer, insns.byteOffset, insns.byteLength);
  for (let at = 0; at < insns.length; at += 8) {
    if (isHelperCall(view, at) && probeReads.has(view.getInt32(at + 4, true))) return true;
  }
  return false;
}

function isHelperCall(view: DataView, at: number): boolean {
  return view.getUint8(at) === callOpcode && view.getUint8(at + 1) === 0;
}

function withProbeRead(insns: Uint8Array): Uint8Array {
  const older = new Uint8Array(insns);
  const view = new DataView(older.buffer);
  for (let at = 0; at < older.length; at += 8) {
    const id = isHelperCall(view, at) ? probeReads.get(view.getInt32(at + 4, true)) : undefined;
    if (id !== undefined) view.setInt32(at + 4, id, true);
  }
  return older;
}

/** The instructions with CO-RE relocations applied: a copy, as more will be put in. */
function relocated(spec: ProgramSpec, { core }: LoadContext): RelocatedCode {
  if (core !== undefined) return relocateCore(spec, core);
  if (!spec.coreRelocations?.length) return { insns: new Uint8Array(spec.insns), unresolved: new Map() };
  throw new SkepError({
    code: 'core',
    where: `program '${spec.name}'`,
    message: 'it has CO-RE relocations, and there is no BTF of the object that they refer to',
    hint: 'load it with its collection',
  });
}

/** Loads with a log of the level, in a buffer that is grown until the log fits. */
function loadWithLog(
  spec: ProgramSpec,
  context: LoadContext & RelocatedCode,
  logLevel: number,
): { fd: number; log: string } {
  const insns = patched(spec, context);
  const fdArray = patchSymbols(spec, context);
  let size = logLevel === 0 ? 0 : firstLogSize;
  for (;;) {
    const logBuf = size === 0 ? undefined : new Uint8Array(size);
    const attr = {
      ...progLoadAttr(spec, context),
      insns,
      insnCnt: insns.length / 8,
      ...(fdArray === undefined ? {} : { fdArray }),
      logLevel,
      logSize: size,
      logBuf,
      logTrueSize: 0,
    };
    try {
      const fd = context.system.bpf('progLoad', attr);
      return { fd, log: logText(logBuf) };
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      if (error.errno !== 'ENOSPC' || size === 0 || size === maxLogSize) {
        throw new LoadError(spec.name, error.errno, {
          log: explainPoison(logText(logBuf), context.unresolved),
          hint: error.hint ?? context.note,
        });
      }
      size = Math.min(Math.max(attr.logTrueSize, 2 * size), maxLogSize);
    }
  }
}

function progLoadAttr(spec: ProgramSpec, { btfFd, kernVersion, attachTarget, nameless }: LoadContext) {
  const { funcInfo, lineInfo } = spec;
  return {
    progType: spec.progType,
    expectedAttachType: spec.expectedAttachType,
    progFlags: spec.progFlags,
    ...(nameless === true ? {} : { progName: objectName(spec.name) }),
    license: spec.license,
    kernVersion,
    ...attachTarget?.(spec),
    ...(btfFd !== undefined && funcInfo !== undefined
      ? { progBtfFd: btfFd, funcInfo, funcInfoRecSize: 8, funcInfoCnt: funcInfo.length / 8 }
      : {}),
    ...(btfFd !== undefined && funcInfo !== undefined && lineInfo !== undefined
      ? { lineInfo, lineInfoRecSize: 16, lineInfoCnt: lineInfo.length / 16 }
      : {}),
  };
}

function logText(buffer: Uint8Array | undefined): string {
  if (buffer === undefined) return '';
  const end = buffer.indexOf(0);
  return new TextDecoder().decode(end < 0 ? buffer : buffer.subarray(0, end));
}

/** The instructions, in which loads of maps and of their values now name live fds. */
function patched(spec: ProgramSpec, { insns, mapFds }: LoadContext & RelocatedCode): Uint8Array {
  const view = new DataView(insns.buffer);
  for (const reference of spec.references) {
    const { slot, map } = reference;
    const at = slot * 8;
    const fd = mapFds.get(map);
    if (fd === undefined || at < 0 || at + 16 > insns.length) {
      throw new SkepError({
        code: 'reference',
        where: `program '${spec.name}', instruction ${slot}`,
        message:
          fd === undefined
            ? `it refers to map '${map}', which the spec does not have`
            : `a reference to map '${map}' lies outside the program`,
      });
    }
    view.setUint8(at + 1, (view.getUint8(at + 1) & 0x0f) | (pseudo[reference.kind] << 4));
    view.setInt32(at + 4, fd, true);
    if (reference.kind === 'mapValue') view.setInt32(at + 12, reference.offset, true);
  }
  return insns;
}

/**
 * Puts kernel symbols into the loads and calls that name them, as libbpf does.
 * @returns descriptors of the modules that have them, in the order that calls refer to; undefined where none has
 */
function patchSymbols(
  spec: ProgramSpec,
  { insns, symbols }: LoadContext & RelocatedCode,
): Uint8Array | undefined {
  // The first is the kernel's own, and never looked at.
  const modules = [0];
  const view = new DataView(insns.buffer);
  for (const { slot, symbol, isCall } of spec.symbols ?? []) {
    const found = symbols?.get(symbol);
    const at = slot * 8;
    const length = isCall ? 8 : 16;
    if (found === undefined || at < 0 || at + length > insns.length) {
      throw new SkepError({
        code: 'reference',
        where: `program '${spec.name}', instruction ${slot}`,
        message:
          found === undefined
            ? `it names '${symbol}' of the kernel, which the spec does not have`
            : `a reference to '${symbol}' lies outside the program`,
      });
    }
    if (isCall) {
      // Of a function that is not there, the call must not be reached: the verifier sees to that.
      view.setUint32(at + 4, found.btfId ?? 0, true);
      if (found.moduleFd !== undefined) view.setInt16(at + 2, indexIn(modules, found.moduleFd), true);
      continue;
    }
    const value = found.btfId === undefined ? found.address : BigInt(found.btfId);
    if (found.btfId !== undefined)
      view.setUint8(at + 1, (view.getUint8(at + 1) & 0x0f) | (pseudo.btfId << 4));
    view.setUint32(at + 4, Number(BigInt.asUintN(32, value)), true);
    view.setUint32(at + 12, found.moduleFd ?? Number(value >> 32n), true);
  }
  return modules.length === 1 ? undefined : new Uint8Array(Int32Array.from(modules).buffer);
}

/** The place of a descriptor in a list, where it is put. */
function indexIn(fds: number[], fd: number): number {
  const index = fds.indexOf(fd, 1);
  return index > 0 ? index : fds.push(fd) - 1;
}
