/**
 * Loads that fail, at each call of bpf(2) in turn: on both kernels every descriptor is given back, every mapping
 * unmapped, and no pin is left.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { whyNoLinux } from '../../test/support/linux.ts';
import { SkepError } from '../base/errors.ts';
import { LinuxKernel } from '../linux-kernel.ts';
import { type CollectionSpec, openObject } from '../object/index.ts';
import type { BpfAttr, Cmd } from '../uapi/commands.ts';
import { BpfError } from '../uapi/errno.ts';
import type { Mapping, System } from '../uapi/seam.ts';
import { Kernel, KernelHandle } from './index.ts';

/** Calls that return a new descriptor. */
const makers: ReadonlySet<Cmd> = new Set([
  'mapCreate',
  'progLoad',
  'btfLoad',
  'objGet',
  'mapGetFdById',
  'progGetFdById',
  'btfGetFdById',
  'linkCreate',
] as const);

/** A system that counts what is open, and whose calls fail as it is told. */
class Failing {
  readonly open = new Set<number>();
  readonly pins = new Set<string>();
  /** The same for all loads: what is known of a kernel is known by its system. */
  readonly system: System;
  mapped = 0;
  calls = 0;
  #failAt = Infinity;
  #always = false;

  constructor(real: System) {
    this.system = this.#over(real);
  }

  /** The `failAt`th call from now on fails; with `always` all behind it too. */
  arm(failAt: number, always: boolean): void {
    this.calls = 0;
    this.#failAt = failAt;
    this.#always = always;
  }

  #step(what: string): void {
    const at = this.calls++;
    if (at === this.#failAt || (this.#always && at > this.#failAt))
      throw new BpfError('EPERM', what, 'made to fail');
  }

  #over(real: System): System {
    const own: Partial<System> = {
      bpf: <C extends Cmd>(cmd: C, attr: BpfAttr<C>): number => {
        this.#step(cmd);
        const result = real.bpf(cmd, attr);
        if (makers.has(cmd)) this.open.add(result);
        if (cmd === 'objPin') this.pins.add((attr as BpfAttr<'objPin'>).pathname ?? '');
        return result;
      },
      close: (fd) => {
        real.close(fd);
        assert.ok(this.open.delete(fd), `${fd} was closed, and is not of this load`);
      },
      mmap: (fd, options): Mapping => {
        this.#step('mmap');
        const mapping = real.mmap(fd, options);
        this.mapped++;
        return {
          get bytes() {
            return mapping.bytes;
          },
          unmap: () => {
            this.mapped--;
            mapping.unmap();
          },
        };
      },
      removePin: (path) => {
        real.removePin?.(path);
        this.pins.delete(path);
      },
    };
    return new Proxy(real, {
      get: (target, name) => {
        const value = (Reflect.get(own, name) ?? Reflect.get(target, name)) as unknown;
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }
}

/** Objects that between them have everything that a load makes. */
const objects = ['globals', 'maps', 'arena', 'struct-ops', 'externs', 'core', 'programs'];

function open(name: string): CollectionSpec {
  const path = fileURLToPath(new URL(`../../fixtures/objects/${name}.bpf.o`, import.meta.url));
  const spec = openObject(readFileSync(path), { name });
  for (const map of Object.values(spec.maps)) {
    // The machine is others' too.
    map.maxEntries = Math.min(map.maxEntries, 4096);
  }
  return spec;
}

/** Loads with a failure at each call until the load makes no more; says how many failures there were. */
function failEverywhere(spec: CollectionSpec, always: boolean, real: System): number {
  const failing = new Failing(real);
  const kernel = new KernelHandle(failing.system);
  for (let failAt = 0; ; failAt++) {
    failing.arm(failAt, always);
    try {
      kernel.load(spec).close();
      for (const pin of failing.pins) failing.system.removePin?.(pin);
    } catch (error) {
      assert.ok(error instanceof SkepError, String(error));
    }
    const { open, mapped, pins } = failing;
    const left = { descriptors: [...open], mapped, pins: [...pins] };
    assert.deepEqual(left, { descriptors: [], mapped: 0, pins: [] }, `after call ${failAt}`);
    if (failing.calls <= failAt) return failAt;
  }
}

describe('nothing is left of a load that fails', () => {
  for (const name of objects) {
    for (const always of [false, true]) {
      test(`${name}: ${always ? 'every call from one on' : 'one call'} fails`, () => {
        using kernel = new Kernel();
        assert.ok(failEverywhere(open(name), always, kernel.sys) > 0);
      });
    }
  }

  test('a map whose variables do not fit is not mapped', () => {
    using kernel = new Kernel();
    const spec = open('arena');
    const arena = Object.values(spec.maps).find(({ type }) => type === 33)!;
    arena.contents.push({ key: new Uint8Array(), value: new Uint8Array(arena.maxEntries * 4096 + 1) });
    assert.throws(
      () => kernel.load(spec),
      (error) => error instanceof SkepError && /its variables are \d+ bytes/.test(error.line),
    );
  });

  describe('on the running kernel', { skip: whyNoLinux() }, () => {
    for (const name of ['maps', 'arena', 'struct-ops', 'programs']) {
      test(name, () => {
        const spec = open(name);
        for (const map of Object.values(spec.maps)) map.pinning = 'none';
        const { sys } = new LinuxKernel();
        assert.ok(failEverywhere(spec, true, sys) > 0);
      });
    }
  });
});
