/**
 * A place in a chain of programs (tcx, netkit; cgroups since 6.17): before or behind another, or at an end.
 */
import { Link } from '../link.ts';
import { type Attaching, cannot } from './types.ts';

/** Flags of attaching (enum in linux/bpf.h). */
const F_BEFORE = 1 << 3;
const F_AFTER = 1 << 4;
const F_LINK = 1 << 13;

export interface ChainFields {
  readonly flags: number;
  readonly relativeFd?: number;
  readonly expectedRevision: bigint | undefined;
}

/** @throws {SkepError} 'attach' for a place that contradicts itself */
export function chainPlace({ program, options }: Attaching): ChainFields {
  const { before, after, place, expectedRevision, flags = 0 } = options;
  if ([before, after, place].filter((each) => each !== undefined).length > 1) {
    throw cannot(program, 'a chain has one place for it', "give one of 'before', 'after' and 'place'");
  }
  const neighbour = before ?? after;
  const side = before !== undefined || place === 'first' ? F_BEFORE : F_AFTER;
  if (neighbour === undefined) return { flags: flags | (place === undefined ? 0 : side), expectedRevision };
  const kind = neighbour instanceof Link ? F_LINK : 0;
  return { flags: flags | side | kind, relativeFd: neighbour.fd, expectedRevision };
}
