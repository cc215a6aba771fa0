/**
 * What a kernel has of what an object asks it for by name: values of its configuration, and the places of its
 * variables and functions. What is weak and not there is 0; what is strong and not there ends the load.
 */
import { SkepError } from '../base/errors.ts';
import { type Btf, codec, cType, resolvedType, typesCompatible, type Value } from '../btf/index.ts';
import type { CollectionSpec, ExternSpec, MapSpec } from '../object/spec.ts';
import type { System } from '../uapi/seam.ts';
import { supports } from './features.ts';
import type { Modules } from './modules.ts';

/** By name: 'y', 'n' or 'm', a number, or a text. */
export type KernelConfig = Readonly<Record<string, string | number | bigint | boolean>>;

/** A variable or function of the kernel: by its BTF, or where its type is of no interest, its address. */
export interface KernelSymbol {
  readonly btfId: number | undefined;
  readonly address: bigint;
  /** BTF of the module that has it; undefined for the kernel itself. */
  readonly moduleFd?: number | undefined;
}

/** Comparing one prototype with the kernel's takes some tens of steps. */
const maxSteps = 1 << 16;

/** Reads a kernel's .config: lines of NAME=value, texts in quotes; the rest are comments. */
export function parseConfig(text: string): KernelConfig {
  const config: Record<string, string> = Object.create(null);
  for (const line of text.split('\n')) {
    const [, name, value] = /^(CONFIG_\w+)=(.*)$/.exec(line.trim()) ?? [];
    if (name === undefined || value === undefined) continue;
    config[name] = /^".*"$/.test(value) ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value;
  }
  return config;
}

function unresolved(name: string, message: string, hint?: string): SkepError {
  return new SkepError({ code: 'extern', where: `extern '${name}'`, message, hint });
}

const tristate: Readonly<Record<string, number>> = { n: 0, y: 1, m: 2 };

/** The value of C that stands for one of the configuration. */
function configValue(btf: Btf, typeId: number, given: KernelConfig[string]): Value {
  const type = resolvedType(btf, typeId);
  if (type.kind === 'array') {
    const text = String(given);
    if (resolvedType(btf, type.type).kind === 'int' && text.length < type.length) return text;
    throw new SkepError({
      code: 'value',
      message: `${JSON.stringify(text)} does not fit into ${cType(btf, typeId)}`,
    });
  }
  if (typeof given !== 'string') return given;
  if (Object.hasOwn(tristate, given)) {
    if (type.kind === 'int' && type.bool && given !== 'm') return given === 'y';
    if (type.kind === 'int' && type.size === 1 && !type.bool) return given.charCodeAt(0);
    if (type.kind === 'enum') return tristate[given]!;
  } else if (type.kind === 'int' && !type.bool && /^-?(0x[0-9a-f]+|\d+)$/i.test(given)) {
    const value = given.startsWith('-') ? -BigInt(given.slice(1)) : BigInt(given);
    return type.size > 4 ? value : Number(value);
  }
  throw new SkepError({ code: 'value', message: `'${given}' is no value of ${cType(btf, typeId)}` });
}

/** Names of libbpf's own, whose values are found out from the kernel. */
const builtIn: Readonly<Record<string, (system: System) => number | undefined>> = {
  LINUX_KERNEL_VERSION: (system) => system.kernelVersion?.(),
  LINUX_HAS_BPF_COOKIE: (system) => Number(supports(system, 'bpfCookie')),
  LINUX_HAS_SYSCALL_WRAPPER: (system) => Number(supports(system, 'syscallWrapper')),
};

/** A kernel's own configuration, read when it is first asked for. */
function ownConfig(system: System): (name: string) => KernelConfig[string] | undefined {
  let parsed: KernelConfig | undefined;
  return (name) => {
    const known = Object.hasOwn(builtIn, name) ? builtIn[name] : undefined;
    if (known !== undefined) return known(system);
    parsed ??= parseConfig(system.kernelConfig?.() ?? '');
    return parsed[name];
  };
}

/**
 * Specs of the maps that hold values of the configuration, with these in them.
 * @throws {SkepError} 'extern' for a value that is not weak and that nobody gave, or of another type
 */
export function configContents(
  spec: CollectionSpec,
  { btf, system, config }: { btf: () => Btf; system: System; config: KernelConfig },
): ReadonlyMap<string, MapSpec> {
  const filled = new Map<string, MapSpec>();
  const own = ownConfig(system);
  for (const [name, extern] of Object.entries(spec.externs ?? {})) {
    if (extern.kind !== 'config') continue;
    const map = filled.get(extern.map) ?? withBytes(spec.maps[extern.map]);
    if (map === undefined) throw unresolved(name, `map '${extern.map}' for it is not in the spec`);
    filled.set(extern.map, map);
    const given = Object.hasOwn(config, name) ? config[name] : fitting(btf(), extern.btfTypeId, own(name));
    if (given === undefined && extern.weak) continue;
    if (given === undefined) {
      const hint = `give it: load(object, { kconfig: { ${name}: … } })`;
      throw unresolved(name, 'its value in the kernel configuration is not known', hint);
    }
    const value = map.contents[0]?.value;
    if (value instanceof Uint8Array) value.set(encoded(btf(), name, extern, given), extern.offset);
  }
  return filled;
}

/** A kernel's text, as much of it as there is room for; the rest as it is. */
function fitting(
  btf: Btf,
  typeId: number,
  value: KernelConfig[string] | undefined,
): KernelConfig[string] | undefined {
  const type = resolvedType(btf, typeId);
  return typeof value === 'string' && type.kind === 'array' ? value.slice(0, type.length - 1) : value;
}

function encoded(btf: Btf, name: string, extern: ExternSpec, given: KernelConfig[string]): Uint8Array {
  try {
    return codec(btf, extern.btfTypeId).encode(configValue(btf, extern.btfTypeId, given));
  } catch (error) {
    throw error instanceof SkepError ? error.at(`extern '${name}'`) : error;
  }
}

/** A copy whose one element has bytes to write into: those that a user set, or zeros. */
function withBytes(map: MapSpec | undefined): MapSpec | undefined {
  if (map === undefined) return undefined;
  const set = map.contents[0]?.value;
  const value = set instanceof Uint8Array ? Uint8Array.from(set) : new Uint8Array(map.valueSize);
  return { ...map, contents: [{ key: new Uint8Array(map.keySize), value }] };
}

/** The kernel's types, and the object's. */
interface Types {
  readonly btf: () => Btf;
  readonly types: () => Btf | undefined;
  readonly modules?: Modules | undefined;
}

function typedSymbol(name: string, extern: ExternSpec, from: Types): KernelSymbol | undefined {
  const { btf } = from;
  const own = from.types();
  const kind = extern.kind === 'function' ? 'func' : 'var';
  const ownId = own?.find(name, kind);
  const module = ownId === undefined ? from.modules?.find(name, kind) : undefined;
  const [kernel, id] = module === undefined ? [own, ownId] : [module.btf, module.typeId];
  if (kernel === undefined || id === undefined) {
    if (extern.weak) return undefined;
    const why = own === undefined ? ', which has no BTF' : '';
    throw unresolved(
      name,
      `there is no such ${extern.kind} in the kernel${why}`,
      'declare it __weak where it may be missing',
    );
  }
  const theirs = kernel.type(id);
  const typeId = 'type' in theirs ? theirs.type : 0;
  const pair = { local: btf(), target: kernel, budget: { steps: maxSteps } };
  if (!typesCompatible(pair, extern.btfTypeId, typeId)) {
    throw unresolved(
      name,
      `it is ${cType(btf(), extern.btfTypeId, name)} in the object and ${cType(kernel, typeId, name)} in the kernel`,
    );
  }
  return { btfId: id, address: 0n, ...(module === undefined ? {} : { moduleFd: module.fd }) };
}

/**
 * Finds the kernel's variables and functions that an object names.
 * @throws {SkepError} 'extern' for one that is not weak and not there, or of another type
 */
export function resolveSymbols(
  spec: CollectionSpec,
  from: Types & { system: System },
): ReadonlyMap<string, KernelSymbol> {
  const found = new Map<string, KernelSymbol>();
  for (const [name, extern] of Object.entries(spec.externs ?? {})) {
    if (extern.kind === 'config') continue;
    const isTyped = extern.kind === 'function' || extern.btfTypeId !== 0;
    const symbol = isTyped ? typedSymbol(name, extern, from) : addressOf(name, extern, from.system);
    found.set(name, symbol ?? { btfId: undefined, address: 0n });
  }
  return found;
}

function addressOf(name: string, extern: ExternSpec, system: System): KernelSymbol | undefined {
  const address = system.symbolAddress?.(name);
  if (address !== undefined) return { btfId: undefined, address };
  if (extern.weak) return undefined;
  throw unresolved(name, 'the kernel has no such symbol', 'declare it __weak where it may be missing');
}
