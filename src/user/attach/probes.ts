/**
 * Probes on functions: of the kernel (kprobes) and of executables and libraries (uprobes), one at a time as perf
 * events or many by one link. Kernels before 4.17 have no such source of events; there the probe is defined in
 * tracefs first, as a tracepoint. Probes that programs carry themselves (USDT) are in usdt.ts.
 */
import { type AttachKindName, attachKinds } from '../../uapi/attach-kinds.ts';
import { attachTypes } from '../../uapi/attach-types.ts';
import { BpfError, type Errno } from '../../uapi/errno.ts';
import type { BinaryFunctions, KernelFunction, PerfEventAttr, System } from '../../uapi/seam.ts';
import { isOlder } from './missing.ts';
import { attachToEvents, tracepointEvent } from './perf.ts';
import { type Attaching, type Attachment, cannot, wanted } from './types.ts';

/** The first bit of config; where the kernel says otherwise, in the format of the event, it never has. */
const RETPROBE = 1n;
/** BPF_F_KPROBE_MULTI_RETURN and BPF_F_UPROBE_MULTI_RETURN. */
const MULTI_RETURN = 1;

const isReturn = ({ program, options }: Attaching): boolean =>
  options.retprobe ?? /^(kret|uret)/.test(program.section);

/** 'name', 'name+0x10', and with a binary in front 'path:name'. */
function splitOffset(text: string): { name: string; offset: bigint } {
  const [, name = text, offset = '0'] = /^(.*?)\+(0x[0-9a-f]+|\d+)$/i.exec(text) ?? [];
  return { name, offset: BigInt(offset) };
}

/** Whether a name fits a pattern with * and ?; both may be long, so without backtracking into the past. */
export function matcher(pattern: string): (name: string) => boolean {
  if (!/[*?]/.test(pattern)) return (name) => name === pattern;
  return (name) => {
    let [at, p] = [0, 0];
    let star = -1;
    let resume = 0;
    while (at < name.length) {
      if (pattern[p] === '*') {
        star = p++;
        resume = at;
      } else if (pattern[p] === '?' || pattern[p] === name[at]) {
        p++;
        at++;
      } else if (star >= 0) {
        p = star + 1;
        at = ++resume;
      } else {
        return false;
      }
    }
    while (pattern[p] === '*') p++;
    return p === pattern.length;
  };
}

interface Probe {
  readonly kind: 'kprobe' | 'uprobe';
  /** The function of a kprobe, the path of a uprobe. */
  readonly place: string;
  readonly offset: bigint;
}

export function attachKprobe(attaching: Attaching): Attachment {
  const { program, options } = attaching;
  const text = wanted(attaching, options.function ?? program.attachTo, {
    name: 'function',
    example: "{ function: 'do_exit' }",
  });
  const { name, offset } = splitOffset(text);
  const isSyscall = options.function === undefined && /^kr?e?t?syscall$/.test(program.section.split('/')[0]!);
  const place = isSyscall ? syscallFunction(attaching, name) : name;
  const more = options.offset === undefined ? 0n : BigInt(options.offset);
  return attachProbe(attaching, { kind: 'kprobe', place, offset: offset + more });
}

/** What the function of a system call is called, on x86-64, arm64 and kernels before 4.17. */
function syscallFunction({ system, program }: Attaching, name: string): string {
  const names = [`__x64_sys_${name}`, `__arm64_sys_${name}`, `__se_sys_${name}`, `sys_${name}`];
  const found = names.find((each) => system.symbolAddress?.(each) !== undefined);
  if (found !== undefined) return found;
  throw cannot(program, `the kernel has no function of a system call '${name}'`, 'ksyscall/read, for one');
}

function attachProbe(attaching: Attaching, probe: Probe): Attachment {
  const { system, options } = attaching;
  const type = sourceOfEvents(system, probe.kind);
  if (type === undefined) {
    if (isOlder(system, [4, 17])) return attachByTracefs(attaching, probe);
    const { config } = attachKinds[probe.kind];
    throw new BpfError('ENOENT', `${probe.kind} events`, `this kernel was built without ${config}`);
  }
  const event: PerfEventAttr = {
    type,
    config: isReturn(attaching) ? RETPROBE : 0n,
    config1: probe.place,
    config2: probe.offset,
    ...target(probe.kind === 'uprobe' ? options.pid : undefined),
  };
  try {
    return attachToEvents(attaching, [{ event, cookie: options.cookie }]);
  } catch (error) {
    throw probe.kind === 'kprobe' ? unknownFunction(probe.place, error) : error;
  }
}

/** What the kernel says of a name that it does not have, has twice, or does not let anyone probe. */
const refusals: ReadonlySet<Errno> = new Set<Errno>(['ENOENT', 'EADDRNOTAVAIL', 'EINVAL', 'EILSEQ']);

function unknownFunction(name: string, error: unknown): unknown {
  if (!(error instanceof BpfError) || error.hint !== undefined || !refusals.has(error.errno)) return error;
  const hint =
    error.errno === 'EADDRNOTAVAIL'
      ? 'the kernel has several functions of that name'
      : 'the kernel has no such function that can be probed: /proc/kallsyms has their names';
  return new BpfError(error.errno, `kprobe on '${name}'`, hint);
}

/** Of a process, wherever it runs, or of all, for which any CPU stands. */
export const target = (pid: number | undefined): { pid: number; cpu: number } =>
  pid === undefined ? { pid: -1, cpu: 0 } : { pid, cpu: -1 };

export function sourceOfEvents(system: System, kind: Probe['kind']): number | undefined {
  try {
    return system.resolveTarget('pmu', kind);
  } catch (error) {
    if (error instanceof BpfError && error.errno === 'ENOENT') return undefined;
    throw error;
  }
}

/** Where events of tracefs come from; each has a name of its own for as long as it is there. */
function attachByTracefs(attaching: Attaching, { kind, place, offset }: Probe): Attachment {
  const { system, options } = attaching;
  const random = crypto.getRandomValues(new Uint32Array(2));
  const name = `skep/${kind}_${[...random].map((word) => word.toString(16).padStart(8, '0')).join('')}`;
  const where =
    kind === 'uprobe' ? `${place}:0x${offset.toString(16)}` : offset === 0n ? place : `${place}+${offset}`;
  system.defineProbe(kind, `${isReturn(attaching) ? 'r' : 'p'}:${name} ${where}`);
  const forget = (): void => system.defineProbe(kind, `-:${name}`);
  let made: Attachment;
  try {
    const event = {
      ...tracepointEvent(system, name),
      ...target(kind === 'uprobe' ? options.pid : undefined),
    };
    made = attachToEvents(attaching, [{ event, cookie: options.cookie }]);
  } catch (error) {
    forget();
    throw error;
  }
  // The probe is busy until its event is closed.
  return { ...made, after: forget };
}

/** Functions of the kernel, by names or a pattern. */
export function attachKprobeMulti(attaching: Attaching): Attachment {
  const { system, program } = attaching;
  const functions = chosen(attaching, (wantedName) => system.kernelFunctions(wantedName), {
    where: 'the kernel',
    hint: '/proc/kallsyms has their names, and their addresses for those with CAP_SYSLOG',
  });
  const addresses = words(functions.map(({ address }) => address));
  return {
    fd: system.bpf('linkCreate', {
      progFd: program.fd,
      attachType: attaching.attachType,
      kprobeMultiFlags: isReturn(attaching) ? MULTI_RETURN : 0,
      kprobeMultiCnt: functions.length,
      kprobeMultiAddrs: addresses,
      ...cookies(attaching, functions.length, 'kprobeMultiCookies'),
    }),
  };
}

const patternExample = "{ function: 'tcp_*' }";

/** The functions that the options or the section ask for, of those that there are. */
function chosen(
  { program, options }: Attaching,
  find: (wanted: (name: string) => boolean) => readonly KernelFunction[],
  { where, hint }: { where: string; hint: string },
): readonly KernelFunction[] {
  const { functions, function: pattern = program.attachTo } = options;
  if (functions === undefined && pattern === undefined) {
    throw cannot(
      program,
      'its section does not say which functions to attach to',
      `attach(${patternExample})`,
    );
  }
  const names = functions === undefined ? undefined : new Set(functions);
  const found = find(names === undefined ? matcher(pattern ?? '') : (name) => names.has(name));
  const missing = functions?.filter((name) => !found.some((each) => each.name === name)) ?? [];
  if (found.length > 0 && missing.length === 0) return found;
  const what = functions === undefined ? `'${pattern}'` : missing.join(', ');
  throw cannot(program, `${where} has no function ${what} that can be probed`, hint);
}

const words = (values: readonly bigint[]): Uint8Array => new Uint8Array(new BigUint64Array(values).buffer);

function cookies<F extends string>(
  { options: { cookie } }: Attaching,
  count: number,
  field: F,
): Partial<Record<F, Uint8Array>> {
  if (cookie === undefined) return {};
  return { [field]: words(Array.from({ length: count }, () => cookie)) } as Record<F, Uint8Array>;
}

/** 'path:name', of which the options may say either part. */
function binaryTarget(attaching: Attaching): { binary: string; name: string | undefined } {
  const { program, options } = attaching;
  const [, path, symbol] = /^(.+?):([^/]+)$/.exec(program.attachTo ?? '') ?? [];
  const binary = wanted(attaching, options.binary ?? path, {
    name: 'executable',
    example: "{ binary: 'libc.so.6', function: 'malloc' }",
  });
  return { binary, name: options.function ?? (options.offset === undefined ? symbol : undefined) };
}

export function attachUprobe(attaching: Attaching): Attachment {
  const { binary, name } = binaryTarget(attaching);
  const more = BigInt(attaching.options.offset ?? 0);
  const { name: symbol, offset } = splitOffset(name ?? '');
  // A number is a place in the file itself.
  const isNumber = /^(0x[0-9a-f]+|\d+)$/i.test(symbol);
  if (symbol === '' || isNumber) {
    const { path } = attaching.system.binaryFunctions(binary, () => false);
    const start = isNumber ? BigInt(symbol) : 0n;
    return attachProbe(attaching, { kind: 'uprobe', place: path, offset: start + offset + more });
  }
  const file = attaching.system.binaryFunctions(binary, (each) => each === symbol);
  return attachProbe(attaching, {
    kind: 'uprobe',
    place: file.path,
    offset: oneOf(attaching, file, symbol) + offset + more,
  });
}

/** The offset of the one function of a name: a global one, else the only local one. */
function oneOf({ program }: Attaching, { path, functions }: BinaryFunctions, symbol: string): bigint {
  const globals = functions.filter((each) => each.global);
  const offsets = new Set((globals.length > 0 ? globals : functions).map(({ offset }) => offset));
  const [offset] = offsets;
  if (offset === undefined) {
    throw cannot(program, `${path} has no function '${symbol}'`, 'nm -D lists what a library exports');
  }
  if (offsets.size === 1) return offset;
  const all = [...offsets].map((each) => `0x${each.toString(16)}`).join(', ');
  throw cannot(
    program,
    `${path} has ${offsets.size} functions '${symbol}'`,
    `say which by its offset: ${all}`,
  );
}

/** Functions of a file, by names or a pattern. */
export function attachUprobeMulti(attaching: Attaching): Attachment {
  const { system, program, options } = attaching;
  const { binary, name } = binaryTarget(attaching);
  let path = binary;
  const pattern = { ...attaching, program: { ...program, attachTo: name } };
  const find = (wantedName: (each: string) => boolean): KernelFunction[] => {
    const file = system.binaryFunctions(binary, wantedName);
    path = file.path;
    return file.functions.map((each) => ({ name: each.name, address: each.offset }));
  };
  const functions = chosen(pattern, find, { where: binary, hint: 'nm -D lists what a library exports' });
  const offsets = [...new Set(functions.map(({ address }) => address))];
  return {
    fd: system.bpf('linkCreate', {
      progFd: program.fd,
      attachType: attaching.attachType,
      uprobeMultiPath: path,
      uprobeMultiOffsets: words(offsets),
      uprobeMultiCnt: offsets.length,
      uprobeMultiFlags: isReturn(attaching) ? MULTI_RETURN : 0,
      uprobeMultiPid: options.pid,
      ...cookies(attaching, offsets.length, 'uprobeMultiCookies'),
    }),
  };
}

/** The attach types of probes on many functions. */
export const multiProbes: ReadonlyMap<number, AttachKindName> = new Map([
  [attachTypes.trace_kprobe_multi.id, 'kprobe_multi'],
  [attachTypes.trace_kprobe_session.id, 'kprobe_session'],
  [attachTypes.trace_uprobe_multi.id, 'uprobe_multi'],
  [attachTypes.trace_uprobe_session.id, 'uprobe_session'],
] as const);
