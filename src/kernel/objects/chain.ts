/**
 * An ordered chain of programs at a hook (bpf_mprog): each is there once and held by a link, which gives it a place
 * before or behind another. Every change gives the chain another revision; an empty one starts anew.
 */
import type { Errno } from '../../uapi/errno.ts';
import type { ProgObject } from './program.ts';

/** What the chain holds. */
export interface ChainLink {
  readonly id: number;
  readonly program: ProgObject;
}

/** Next to one that is there, or at an end. */
export interface ChainPlace {
  readonly side: 'before' | 'after' | undefined;
  readonly relative: ChainLink | ProgObject | undefined;
}

/** One less than bpf_mprog_max(), as on Linux. */
const CHAIN_MAX = 63;
const FIRST_REVISION = 1n;

export class Chain {
  readonly #links: ChainLink[] = [];
  #revision = FIRST_REVISION;

  get links(): readonly ChainLink[] {
    return this.#links;
  }

  get revision(): bigint {
    return this.#revision;
  }

  has(program: ProgObject): boolean {
    return this.#links.some((link) => link.program === program);
  }

  /** Where a program would go; the errno where it may not be there. */
  placeFor(program: ProgObject, { side, relative }: ChainPlace): number | Errno {
    if (this.has(program)) return 'EEXIST';
    const at =
      relative === undefined
        ? side === 'before'
          ? 0
          : this.#links.length
        : this.#links.findIndex((link) => link === relative || link.program === relative);
    if (at < 0) return 'ENOENT';
    if (this.#links.length >= CHAIN_MAX) return 'ERANGE';
    return relative !== undefined && side === 'after' ? at + 1 : at;
  }

  insert(at: number, link: ChainLink): void {
    this.#links.splice(at, 0, link);
    this.#revision++;
  }

  remove(link: ChainLink): void {
    this.#links.splice(this.#links.indexOf(link), 1);
    this.#revision = this.#links.length === 0 ? FIRST_REVISION : this.#revision + 1n;
  }

  /** A link has another program now. */
  changed(): void {
    this.#revision++;
  }
}
