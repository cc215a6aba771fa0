/**
 * What modules written by `skep gen ts` stand on: a `Collection` whose maps, programs and variables are known by
 * name and type.
 */

import type { Value } from '../../btf/index.ts';
import { type CollectionSpec, openObject } from '../../object/index.ts';
import type { Collection } from '../collection.ts';
import type { KernelHandle } from '../kernel-handle.ts';
import type { LoadOptions } from '../load.ts';
import type { Variable } from '../variable.ts';
import { setVariables } from '../variable.ts';

/**
 * A loaded object: `P` its programs, `M` its maps, `V` the values of its variables, each by name, and `I` what may be
 * written to them.
 */
export interface Bindings<P, M, V, I = V> extends Omit<Collection, 'programs' | 'maps' | 'variables'> {
  readonly programs: Readonly<P>;
  readonly maps: Readonly<M>;
  readonly variables: {
    readonly [Name in keyof V]: Variable<
      V[Name],
      Name extends keyof I ? Exclude<I[Name], undefined> : V[Name]
    >;
  };
}

/** How to load one: as any object, with initial values of variables, constants among them. */
export interface BindingsOptions<I> extends LoadOptions {
  readonly variables?: Partial<I>;
  /** Changes the spec before it is loaded: sizes of maps, which programs are loaded. */
  readonly edit?: (spec: CollectionSpec) => void;
}

/**
 * Loads the object that bindings were written for.
 * @param object its bytes, and its file's name, which names its data maps
 * @throws {LoadError} where the verifier rejects a program
 * @throws {SkepError} where the bytes are another object, or a variable's value does not fit its type
 */
export function loadBindings<P, M, V, I>(
  kernel: KernelHandle,
  object: { readonly bytes: Uint8Array; readonly name: string },
  options: BindingsOptions<I> = {},
): Bindings<P, M, V, I> {
  const spec = openObject(object.bytes, { name: object.name });
  const { variables = {}, edit, ...rest } = options;
  const given = Object.entries(variables).filter(([, value]) => value !== undefined);
  setVariables(spec, Object.fromEntries(given) as Record<string, Value>);
  edit?.(spec);
  return kernel.load(spec, rest) as unknown as Bindings<P, M, V, I>;
}
