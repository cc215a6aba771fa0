/**
 * What a kernel can do, found out by trying: as libbpf's feature probes, one small BTF, map or program each.
 * An answer is kept for each system. Kernels are asked only after they refused something, or where an object
 * itself asks; a recent one is never bothered.
 */
import { assemble } from '../asm/index.ts';
import { BtfBuilder, type BtfType } from '../btf/index.ts';
import { encode } from '../isa/index.ts';
import { attachTypes } from '../uapi/attach-types.ts';
import { BpfError } from '../uapi/errno.ts';
import { mapTypes } from '../uapi/map-types.ts';
import { progTypes } from '../uapi/prog-types.ts';
import type { System } from '../uapi/seam.ts';

const int: BtfType = {
  kind: 'int',
  name: 'int',
  size: 4,
  signed: true,
  char: false,
  bool: false,
  bitOffset: 0,
  bits: 32,
};

/** BTF of an int, type 1, and what `add` makes of it. */
function takesTypes(add: (builder: BtfBuilder) => void = () => undefined): (system: System) => number {
  return (system) => {
    const builder = new BtfBuilder();
    builder.add(int);
    add(builder);
    const btf = builder.build();
    return system.bpf('btfLoad', { btf, btfSize: btf.length });
  };
}

function addFunc(builder: BtfBuilder, linkage: number): void {
  const type = builder.add({ kind: 'funcProto', name: '', type: 0, parameters: [{ name: 'a', type: 1 }] });
  builder.add({ kind: 'func', name: 'f', type, linkage });
}

function addVar(builder: BtfBuilder): number {
  return builder.add({ kind: 'var', name: 'x', type: 1, linkage: 0 });
}

const code = (text: string): Uint8Array => encode(assemble(text));

interface Probe {
  readonly type: number;
  readonly insns: Uint8Array;
  readonly name?: string;
  readonly expectedAttachType?: number;
  readonly functions?: { readonly progBtfFd: number; readonly funcInfo: Uint8Array };
}

function load(system: System, { type, insns, name, expectedAttachType = 0, functions }: Probe): number {
  return system.bpf('progLoad', {
    progType: type,
    expectedAttachType,
    insns,
    insnCnt: insns.length / 8,
    license: 'GPL',
    kernVersion: system.kernelVersion?.() ?? 0,
    ...(name === undefined ? {} : { progName: name }),
    ...(functions === undefined
      ? {}
      : { ...functions, funcInfoRecSize: 8, funcInfoCnt: functions.funcInfo.length / 8 }),
  });
}

function arrayMap(system: System, mapFlags: number): number {
  return system.bpf('mapCreate', {
    mapType: mapTypes.array.id,
    keySize: 4,
    valueSize: 32,
    maxEntries: 1,
    mapFlags,
  });
}

/** A store into a map's value, whose address the program holds. */
function usesGlobalData(system: System): number {
  const map = arrayMap(system, 0);
  try {
    const insns = code(`r1 = map[fd:${map}][0]+16
      *(u64 *)(r1 +0) = 42
      r0 = 0
      exit`);
    return load(system, { type: progTypes.socket_filter.id, insns });
  } finally {
    system.close(map);
  }
}

/** A function that hands on its argument, which is a context by a tag alone. */
function takesContextTag(system: System): number {
  const builder = new BtfBuilder();
  const result = builder.add(int);
  const pointer = builder.add({ kind: 'ptr', name: '', type: 0 });
  const type = builder.add({
    kind: 'funcProto',
    name: '',
    type: result,
    parameters: [{ name: 'ctx', type: pointer }],
  });
  const [main, called] = ['main', 'called'].map((name) =>
    builder.add({ kind: 'func', name, type, linkage: 1 }),
  );
  builder.add({ kind: 'declTag', name: 'arg:ctx', type: called!, component: 0 });
  const btf = builder.build();
  const progBtfFd = system.bpf('btfLoad', { btf, btfSize: btf.length });
  try {
    const insns = code('call pc+1\nexit\ncall bpf_get_socket_cookie\nexit');
    return load(system, {
      type: progTypes.socket_filter.id,
      insns,
      functions: { progBtfFd, funcInfo: new Uint8Array(Uint32Array.of(0, main!, 2, called!).buffer) },
    });
  } finally {
    system.close(progBtfFd);
  }
}

const returnZero = 'r0 = 0\nexit';
const readKernel = `r1 = r10
  r1 += -8
  r2 = 8
  r3 = 0
  call bpf_probe_read_kernel
  exit`;
const readCookie = 'call bpf_get_attach_cookie\nexit';

/** Where the kernel keeps its system calls under other names: one such name for each architecture. */
const wrappers = ['__x64_sys_bpf', '__arm64_sys_bpf', '__s390x_sys_bpf', '__riscv_sys_bpf'];

/** Each makes something and returns its fd, or whether it is so. */
const probes = {
  /** 4.18 */
  btf: takesTypes(),
  btfFunc: takesTypes((builder) => addFunc(builder, 0)),
  btfGlobalFunc: takesTypes((builder) => addFunc(builder, 1)),
  btfDatasec: takesTypes((builder) => {
    const variables = [{ type: addVar(builder), offset: 0, size: 4 }];
    builder.add({ kind: 'datasec', name: '.data', size: 4, variables });
  }),
  btfFloat: takesTypes((builder) => {
    builder.add({ kind: 'float', name: 'f', size: 4 });
  }),
  btfDeclTag: takesTypes((builder) => {
    builder.add({ kind: 'declTag', name: 'tag', type: addVar(builder), component: -1 });
  }),
  btfTypeTag: takesTypes((builder) => {
    builder.add({ kind: 'ptr', name: '', type: builder.add({ kind: 'typeTag', name: 'tag', type: 1 }) });
  }),
  btfEnum64: takesTypes((builder) => {
    builder.add({ kind: 'enum64', name: 'e', size: 8, signed: false, values: [] });
  }),
  argCtxTag: takesContextTag,
  progName: (system: System) =>
    load(system, { type: progTypes.socket_filter.id, insns: code(returnZero), name: 'skep_name' }),
  expectedAttachType: (system: System) =>
    load(system, {
      type: progTypes.cgroup_sock.id,
      insns: code('r0 = 1\nexit'),
      expectedAttachType: attachTypes.cgroup_inet_sock_create.id,
    }),
  globalData: usesGlobalData,
  /** BPF_F_MMAPABLE */
  arrayMmap: (system: System) => arrayMap(system, 1 << 10),
  probeReadKernel: (system: System) =>
    load(system, { type: progTypes.tracepoint.id, insns: code(readKernel) }),
  bpfCookie: (system: System) => load(system, { type: progTypes.kprobe.id, insns: code(readCookie) }),
  syscallWrapper: (system: System) => wrappers.some((name) => system.symbolAddress?.(name) !== undefined),
} satisfies Record<string, (system: System) => number | boolean>;

export type Feature = keyof typeof probes;

const known = new WeakMap<System, Map<Feature, boolean>>();

/** Whether a kernel can do something. */
export function supports(system: System, feature: Feature): boolean {
  let answers = known.get(system);
  if (answers === undefined) known.set(system, (answers = new Map()));
  let answer = answers.get(feature);
  if (answer === undefined) answers.set(feature, (answer = probe(system, feature)));
  return answer;
}

function probe(system: System, feature: Feature): boolean {
  try {
    const made = probes[feature](system);
    if (typeof made === 'boolean') return made;
    system.close(made);
    return true;
  } catch (error) {
    if (error instanceof BpfError) return false;
    throw error;
  }
}
