/**
 * What every object of the kernel shares: a count of references (fds, pins, links and other objects) that
 * destroys it exactly once, and, for the four kinds that user space can enumerate, an id.
 */
import { Bug } from '../../base/errors.ts';

export type ObjectKind = 'map' | 'prog' | 'btf' | 'link' | 'perf_event';

/** Starts with one reference, its creator's, which the creator hands on or puts. */
export abstract class KernelObject {
  abstract readonly kind: ObjectKind;
  #refs = 1;

  /** Takes a reference and returns the object. */
  get(): this {
    if (this.#refs === 0) throw new Bug(`${this.kind} used after its last reference`);
    this.#refs++;
    return this;
  }

  /** Gives a reference back; the last one destroys the object. */
  put(): void {
    if (this.#refs === 0) throw new Bug(`${this.kind} released twice`);
    if (--this.#refs === 0) this.release();
  }

  /** As `get` and `put`, for references that user space holds: open files and pins. */
  userGet(): this {
    return this.get();
  }

  userPut(): void {
    this.put();
  }

  protected abstract release(): void;
}

/** Objects of one kind by id. Ids start at 1 and are not reused, as with Linux's cyclic allocation. */
export class Registry<T> {
  readonly #byId = new Map<number, T>();
  #last = 0;

  add(object: T): number {
    this.#byId.set(++this.#last, object);
    return this.#last;
  }

  remove(id: number): void {
    this.#byId.delete(id);
  }

  at(id: number): T | undefined {
    return this.#byId.get(id);
  }

  /** The smallest id above `id`. Insertion order is ascending. */
  after(id: number): number | undefined {
    for (const next of this.#byId.keys()) if (next > id) return next;
    return undefined;
  }

  get size(): number {
    return this.#byId.size;
  }
}
