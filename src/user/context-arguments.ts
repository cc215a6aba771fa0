/**
 * Global functions whose argument has the tag `arg:ctx`, a program's context, for kernels before 6.8, which know a
 * context by its type alone (libbpf: bpf_program_fixup_func_info). There a program gets types of its own for such
 * functions, in which the argument points to the struct that the kernel calls a context of that program's type.
 */
import { type Btf, BtfBuilder, type BtfType, btfLinkages, readBtf, resolvedType } from '../btf/index.ts';
import type { CollectionSpec, ProgramSpec } from '../object/spec.ts';
import { type ProgTypeName, progTypes } from '../uapi/prog-types.ts';
import type { System } from '../uapi/seam.ts';
import { supports } from './features.ts';

const tagName = 'arg:ctx';
/** struct bpf_func_info: slot, type. */
const infoSize = 8;
const bytesAsText = new TextDecoder('latin1');

/** How kernels call the context of a type of program in BTF; of other types it has no name. */
const contextNames: Partial<Record<ProgTypeName, string>> = {
  cgroup_device: 'bpf_cgroup_dev_ctx',
  cgroup_skb: '__sk_buff',
  cgroup_sock: 'bpf_sock',
  cgroup_sock_addr: 'bpf_sock_addr',
  cgroup_sockopt: 'bpf_sockopt',
  cgroup_sysctl: 'bpf_sysctl',
  flow_dissector: '__sk_buff',
  kprobe: 'bpf_user_pt_regs_t',
  lwt_in: '__sk_buff',
  lwt_out: '__sk_buff',
  lwt_seg6local: '__sk_buff',
  lwt_xmit: '__sk_buff',
  netfilter: 'bpf_nf_ctx',
  perf_event: 'bpf_perf_event_data',
  raw_tracepoint: 'bpf_raw_tracepoint_args',
  raw_tracepoint_writable: 'bpf_raw_tracepoint_args',
  sched_act: '__sk_buff',
  sched_cls: '__sk_buff',
  sk_lookup: 'bpf_sk_lookup',
  sk_msg: 'sk_msg_md',
  sk_reuseport: 'sk_reuseport_md',
  sk_skb: '__sk_buff',
  sock_ops: 'bpf_sock_ops',
  socket_filter: '__sk_buff',
  xdp: 'xdp_md',
};

const nameOfType: ReadonlyMap<number, ProgTypeName> = new Map(
  Object.entries(progTypes).map(([name, { id }]) => [id, name as ProgTypeName]),
);

/** The object for a kernel: itself where it has no such tags, or the kernel knows them. */
export function withContextTypes(spec: CollectionSpec, system: System): CollectionSpec {
  // To look for the text is less work than to read the types.
  if (spec.btf === undefined || !bytesAsText.decode(spec.btf).includes(`\0${tagName}\0`)) return spec;
  const btf = readBtf(spec.btf);
  const tagged = taggedArguments(btf);
  if (tagged.size === 0 || supports(system, 'argCtxTag')) return spec;
  const types = new ContextTypes(btf, tagged);
  const programs = Object.entries(spec.programs).map(
    ([name, program]) => [name, { ...program, funcInfo: types.infoFor(program) }] as const,
  );
  return { ...spec, programs: Object.fromEntries(programs), btf: types.builder.build() };
}

/** Places of arguments with the tag, by the ids of global functions. */
function taggedArguments(btf: Btf): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const id of btf.idsOf('declTag')) {
    const tag = btf.type(id);
    if (tag.kind !== 'declTag' || tag.name !== tagName || tag.component < 0) continue;
    const func = btf.type(tag.type);
    if (func.kind !== 'func' || func.linkage !== btfLinkages.global) continue;
    const places = found.get(tag.type);
    if (places === undefined) found.set(tag.type, [tag.component]);
    else places.push(tag.component);
  }
  return found;
}

/** The object's types, and more for each type of program. */
class ContextTypes {
  readonly builder: BtfBuilder;
  readonly #btf: Btf;
  readonly #tagged: ReadonlyMap<number, readonly number[]>;
  /** A pointer to a context, by its name; a function, by context and its own id. */
  readonly #pointers = new Map<string, number>();
  readonly #functions = new Map<string, number>();

  constructor(btf: Btf, tagged: ReadonlyMap<number, readonly number[]>) {
    this.builder = new BtfBuilder(btf);
    this.#btf = btf;
    this.#tagged = tagged;
  }

  /** What a program is loaded with in place of its func_info. */
  infoFor({ progType, funcInfo }: ProgramSpec): Uint8Array | undefined {
    const typeName = nameOfType.get(progType);
    const context = typeName === undefined ? undefined : contextNames[typeName];
    if (funcInfo === undefined || typeName === undefined || context === undefined) return funcInfo;
    const changed = new Uint8Array(funcInfo);
    const view = new DataView(changed.buffer);
    for (let at = 4; at < changed.length; at += infoSize) {
      const id = this.#functionFor(view.getUint32(at, true), typeName, context);
      if (id !== undefined) view.setUint32(at, id, true);
    }
    return changed;
  }

  /** The function with the type of its context; undefined where it needs no other. */
  #functionFor(id: number, typeName: ProgTypeName, context: string): number | undefined {
    const places = this.#tagged.get(id);
    const func = places === undefined ? undefined : this.#btf.type(id);
    const proto = func?.kind === 'func' ? this.#btf.type(func.type) : undefined;
    if (places === undefined || func?.kind !== 'func' || proto?.kind !== 'funcProto') return undefined;
    const key = `${context} ${id}`;
    const known = this.#functions.get(key);
    if (known !== undefined) return known;
    const unclear = places.filter((place) => {
      const parameter = proto.parameters[place];
      return parameter !== undefined && isUnclear(this.#btf, parameter.type, typeName);
    });
    if (unclear.length === 0) return undefined;
    const pointer = this.#pointerTo(context);
    const parameters = proto.parameters.map((parameter, i) =>
      unclear.includes(i) ? { ...parameter, type: pointer } : parameter,
    );
    const made = this.builder.add({ ...func, type: this.builder.add({ ...proto, parameters }) });
    this.#functions.set(key, made);
    return made;
  }

  #pointerTo(context: string): number {
    let pointer = this.#pointers.get(context);
    if (pointer === undefined) {
      const struct = this.builder.add({ kind: 'struct', name: context, size: 0, members: [] });
      this.#pointers.set(context, (pointer = this.builder.add({ kind: 'ptr', name: '', type: struct })));
    }
    return pointer;
  }
}

/** Whether a kernel that goes by types would not take the argument for a context: void *, and what stands for one. */
function isUnclear(btf: Btf, typeId: number, typeName: ProgTypeName): boolean {
  const pointer = resolvedType(btf, typeId);
  if (pointer.kind !== 'ptr') return false;
  const target = resolvedType(btf, pointer.type);
  return target.kind === 'void' || standsFor(target, typeName);
}

function standsFor(target: BtfType, typeName: ProgTypeName): boolean {
  switch (typeName) {
    case 'kprobe':
    case 'perf_event':
      return target.kind === 'struct' && target.name === 'pt_regs';
    case 'raw_tracepoint':
    case 'raw_tracepoint_writable':
      return target.kind === 'int' && target.size === 8;
    default:
      return false;
  }
}
