/**
 * What `run` attaches where: each program by its section, or as `--attach [PROG=]HOOK` says.
 */
import type { CollectionSpec } from '../object/index.ts';
import { type ProgTypeName, progTypeName } from '../uapi/prog-types.ts';
import type { Collection, Program } from '../user/index.ts';
import { usageError } from './args.ts';

export interface Hook {
  /** Only this program; every one of the type without it. */
  readonly program: string | undefined;
  readonly type: ProgTypeName;
  readonly target: string | undefined;
}

/** By their names in SEC(). */
const hookTypes: Readonly<Record<string, ProgTypeName>> = {
  xdp: 'xdp',
  tracepoint: 'tracepoint',
  tp: 'tracepoint',
  raw_tracepoint: 'raw_tracepoint',
  raw_tp: 'raw_tracepoint',
};

export function parseHook(text: string): Hook {
  const [, program, word = '', target] = /^(?:([^=:]+)=)?([^:]+)(?::(.+))?$/.exec(text) ?? [];
  const type = Object.hasOwn(hookTypes, word) ? hookTypes[word] : undefined;
  if (type !== undefined && (type !== 'xdp' || target === undefined)) return { program, type, target };
  throw usageError(`--attach ${text}: no such hook`, 'xdp, tracepoint:GROUP/NAME or raw_tracepoint:NAME');
}

/**
 * Attaches what can be attached; what each program is attached to, by name. The links live as long as the
 * kernel.
 */
export function attachAll(
  { spec, collection, device }: { spec: CollectionSpec; collection: Collection; device: string },
  hookTexts: readonly string[],
): Map<string, string | undefined> {
  const hooks = hookTexts.map(parseHook);
  // A hook for a program that is not there is an error.
  for (const { program } of hooks) if (program !== undefined) collection.program(program);
  const xdp = xdpProgram(spec, collection, hooks);
  const attached = new Map<string, string | undefined>();
  for (const [name, program] of Object.entries(collection.programs)) {
    const hook = hookOf(hooks, name, program);
    attached.set(name, attachOne(program, { device: name === xdp ? device : undefined, hook }));
  }
  return attached;
}

/** The hook that a program is to be attached to. */
export function hookOf(hooks: readonly Hook[], name: string, { type }: { type: number }): Hook | undefined {
  const typeName = progTypeName(type);
  return hooks.find((each) => each.type === typeName && (each.program ?? name) === name);
}

/** The programs that are in program arrays, to be tail-called. */
export function calledPrograms(spec: CollectionSpec): Set<string> {
  const called = new Set<string>();
  for (const map of Object.values(spec.maps)) {
    for (const { value } of map.contents) if ('program' in value) called.add(value.program);
  }
  return called;
}

function attachOne(
  program: Program,
  { device, hook }: { device: string | undefined; hook: Hook | undefined },
): string | undefined {
  const type = progTypeName(program.type);
  if (type === 'xdp') {
    if (device === undefined) return undefined;
    program.attach({ device });
    return `xdp:${device}`;
  }
  if (type !== 'tracepoint' && type !== 'raw_tracepoint') return undefined;
  const tracepoint = hook?.target ?? program.attachTo;
  program.attach({ tracepoint });
  return `${type}:${tracepoint}`;
}

/**
 * A device runs one XDP program: the one that a hook names, else the first that is not in a program array to
 * be tail-called.
 */
function xdpProgram(
  spec: CollectionSpec,
  collection: Collection,
  hooks: readonly Hook[],
): string | undefined {
  const named = hooks.find(({ type, program }) => type === 'xdp' && program !== undefined);
  if (named !== undefined) return named.program;
  const called = calledPrograms(spec);
  const programs = Object.values(collection.programs).filter(({ type }) => progTypeName(type) === 'xdp');
  return (programs.find(({ name }) => !called.has(name)) ?? programs[0])?.name;
}
