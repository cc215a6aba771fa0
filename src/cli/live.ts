/**
 * What commands about a running kernel share: that one is asked for, and who is meant by a word.
 */
import { SkepError } from '../base/errors.ts';
import { type Map as BpfMap, type KernelHandle, Link } from '../user/index.ts';
import { usageError } from './args.ts';
import type { Invocation } from './invocation.ts';
import { openKernel } from './kernel.ts';
import { findMaps } from './live-maps.ts';
import { Words } from './words.ts';

/** Whether `--kernel` names one that was there before this command. */
export function isLive(invocation: Invocation): boolean {
  return (invocation.value('kernel') ?? 'embedded') !== 'embedded';
}

/**
 * Runs a command on a running kernel, with its words.
 * @throws {SkepError} 'usage' without one: what an embedded kernel is told ends with the command
 */
export async function onLiveKernel(
  invocation: Invocation,
  act: (kernel: KernelHandle, words: Words) => number | Promise<number>,
): Promise<number> {
  const { command } = invocation;
  const usage = `skep ${command.name} ${command.usage}`;
  if (!isLive(invocation)) {
    throw usageError(
      `'skep ${command.name}' is about a running kernel; an embedded one ends with the command`,
      'add --kernel linux',
    );
  }
  const words = new Words(invocation.operands, { command: `skep ${command.name}`, usage });
  return act(await openKernel(invocation), words);
}

/** The one map that a word means; its caller closes it. */
export function oneMap(kernel: KernelHandle, wanted: string): BpfMap {
  const [map, ...others] = findMaps(kernel, wanted);
  for (const each of others) each.close();
  if (map !== undefined && others.length === 0) return map;
  map?.close();
  throw new SkepError({
    code: 'no-map',
    message: `several maps are named '${wanted}'`,
    hint: 'a map is also found by its id or its pin',
  });
}

/** The link that an id or the path of a pin means; its caller closes it. */
export function oneLink(kernel: KernelHandle, wanted: string): Link {
  if (/^\d{1,10}$/.test(wanted)) return kernel.linkById(Number(wanted));
  const handle = kernel.openPinned(wanted);
  if (handle instanceof Link) return handle;
  handle.close();
  throw new SkepError({ code: 'no-link', message: `${wanted} is not a link: it is a ${handle.what}` });
}
