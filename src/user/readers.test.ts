/**
 * Ring buffers and perf buffers as a user reads them, on each kernel that has them: nothing lost that was
 * accepted, whatever is in the way.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { whyNoLinux } from '../../test/support/linux.ts';
import { assemble } from '../asm/index.ts';
import { LinuxKernel } from '../linux-kernel.ts';
import { openObject } from '../object/index.ts';
import { type MapTypeName, mapTypes } from '../uapi/map-types.ts';
import type { System } from '../uapi/seam.ts';
import type { Collection } from './collection.ts';
import { Kernel } from './kernel.ts';
import type { KernelHandle } from './kernel-handle.ts';
import { BpfMap } from './map.ts';
import type { Program } from './program.ts';

const PAGE = 4096;
const readers = readFileSync(new URL('../../fixtures/readers/readers.bpf.o', import.meta.url));

/** The object of the readers, with that program alone. */
function loadReaders(kernel: KernelHandle, program: string): Collection {
  const spec = openObject(readers);
  for (const [name, each] of Object.entries(spec.programs)) each.autoload = name === program;
  return kernel.load(spec);
}
const noLinux = whyNoLinux();

interface Place {
  readonly name: string;
  readonly start: () => KernelHandle & { close?: () => void };
  readonly skip: (kind: MapTypeName) => string | false;
}

const places: readonly Place[] = [
  {
    name: 'embedded',
    start: () => new Kernel(),
    skip: (kind) =>
      mapTypes[kind].label !== ('real' as string) && `the embedded kernel does not run ${kind} maps yet`,
  },
  { name: 'linux', start: () => new LinuxKernel(), skip: () => noLinux },
];

/** A test on every kernel that has the kind of map; handles that it makes are closed. */
function each(
  kind: MapTypeName,
  name: string,
  run: (kernel: KernelHandle, own: <T extends { close(): void }>(made: T) => T) => void | Promise<void>,
): void {
  for (const place of places) {
    test(`${place.name}: ${name}`, { skip: place.skip(kind) }, async () => {
      const kernel = place.start();
      const made: { close(): void }[] = [];
      try {
        await run(kernel, (handle) => {
          made.push(handle);
          return handle;
        });
      } finally {
        for (const handle of made.reverse()) handle.close();
        kernel.close?.();
      }
    });
  }
}

/** A program whose n-th run writes n into a ring buffer, as `size` bytes; it drops what finds no room. */
function producer(
  kernel: KernelHandle,
  ring: BpfMap,
  { size = 8, flags = 0 } = {},
): { run(times: number): number; close(): void } {
  const counts = kernel.createMap<number, Uint8Array>({ type: 'array', maxEntries: 1, valueSize: 16 });
  const refused = () => Number(new DataView((counts.get(0) as Uint8Array).buffer).getBigUint64(8, true));
  const stores = Array.from({ length: size / 8 }, (_, i) => `*(u64 *)(r10 - ${size - 8 * i}) = r6`).join(
    '\n',
  );
  const program = kernel.loadProgram({
    type: 'socket_filter',
    insns: assemble(`r1 = map[fd:${counts.fd}][0]+0
      r6 = 1
      r6 = atomic_fetch_add((u64 *)(r1 + 0), r6)
      ${stores}
      r1 = map[fd:${ring.fd}]
      r2 = r10
      r2 += -${size}
      r3 = ${size}
      r4 = ${flags}
      call 130
      if r0 == 0 goto done
      r1 = map[fd:${counts.fd}][0]+8
      r2 = 1
      lock *(u64 *)(r1 + 0) += r2
      done: r0 = 0
      exit`),
  });
  return {
    /** How many of the records found room. */
    run(times) {
      const before = refused();
      program.testRun({ data: new Uint8Array(64), repeat: times });
      return times - (refused() - before);
    },
    close() {
      program.close();
      counts.close();
    },
  };
}

const number = (bytes: Uint8Array): number =>
  Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));

function ringOf(kernel: KernelHandle, pages = 1): BpfMap {
  return kernel.createMap({ type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: pages * PAGE });
}

each('ringbuf', 'records come in order, through many rounds of the buffer', (kernel, own) => {
  const map = own(ringOf(kernel));
  const reader = own(map.ringBuffer());
  for (const size of [8, 24, 56]) {
    const program = own(producer(kernel, map, { size }));
    let next = 0;
    for (let round = 0; round < 50; round++) {
      assert.equal(program.run(37), 37);
      assert.equal(reader.unread, 37 * (size + 8));
      const count = reader.drain((bytes) => {
        assert.equal(bytes.length, size);
        assert.equal(number(bytes), next++);
      });
      assert.equal(count, 37);
      assert.equal(reader.unread, 0);
    }
  }
});

each(
  'ringbuf',
  "what finds no room is the program's loss, and all that was accepted comes",
  (kernel, own) => {
    const map = own(ringOf(kernel));
    const reader = own(map.ringBuffer());
    const program = own(producer(kernel, map));
    const accepted = program.run(1000);
    assert.ok(accepted > 200 && accepted < 257, String(accepted));
    const seen: number[] = [];
    assert.equal(
      reader.drain((bytes) => seen.push(number(bytes))),
      accepted,
    );
    assert.deepEqual(
      seen,
      Array.from({ length: accepted }, (_, i) => i),
    );
    assert.equal(program.run(10), 10);
  },
);

each('ringbuf', 'a limit, and a visitor that throws', (kernel, own) => {
  const map = own(ringOf(kernel));
  const reader = own(map.ringBuffer());
  const program = own(producer(kernel, map));
  program.run(10);
  const seen: number[] = [];
  assert.equal(
    reader.drain((bytes) => seen.push(number(bytes)), 3),
    3,
  );
  assert.throws(
    () =>
      reader.drain((bytes) => {
        seen.push(number(bytes));
        if (seen.length === 5) throw new Error('stop');
      }),
    /stop/,
  );
  reader.drainBytes((view, start) => seen.push(Number(view.getBigUint64(start, true))));
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

each(
  'ringbuf',
  'a visitor that closes the reader ends its drain; one that drains is refused',
  (kernel, own) => {
    const map = own(ringOf(kernel));
    const program = own(producer(kernel, map));
    program.run(10);
    for (const how of ['drain', 'drainBytes'] as const) {
      const reader = own(map.ringBuffer());
      let seen = 0;
      reader[how](() => {
        if (++seen === 3) reader.close();
      });
      assert.equal(seen, 3, how);
    }
    // What was read before the close was not given back, so it is still there.
    const reader = own(map.ringBuffer());
    assert.throws(() => reader.drain(() => reader.drain(() => {})), { code: 'busy' });
    assert.equal(
      reader.drain(() => {}),
      9,
    );
  },
);

each('ringbuf', 'two that wait for one reader both wake', async (kernel, own) => {
  const map = own(ringOf(kernel));
  const reader = own(map.ringBuffer());
  const program = own(producer(kernel, map));
  const waiting = [
    reader.wait({ timeoutMs: 5000 }),
    reader.wait({ timeoutMs: 5000 }),
    reader.wait({ timeoutMs: 1 }),
  ];
  await setTimeout(3);
  program.run(1);
  assert.deepEqual(await Promise.all(waiting), [true, true, false]);
});

each(
  'ringbuf',
  'an iterator waits for records, ends at the abort, and leaves the rest to the next',
  async (kernel, own) => {
    const map = own(ringOf(kernel));
    const reader = own(map.ringBuffer());
    const program = own(producer(kernel, map));
    const controller = new AbortController();
    const seen: number[] = [];
    const reading = (async () => {
      for await (const record of reader.records({ signal: controller.signal })) {
        seen.push(number(record));
        if (seen.length === 12) controller.abort();
      }
    })();
    for (let i = 0; i < 4; i++) {
      await setTimeout(2);
      program.run(5);
    }
    await reading;
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    for await (const record of reader) {
      seen.push(number(record));
      if (seen.length === 15) break;
    }
    reader.drain((bytes) => seen.push(number(bytes)));
    assert.deepEqual(
      seen,
      Array.from({ length: 20 }, (_, i) => i),
    );
  },
);

each('ringbuf', 'a wait ends with a record, the time, the abort, and the close', async (kernel, own) => {
  const map = own(ringOf(kernel));
  const reader = own(map.ringBuffer());
  const program = own(producer(kernel, map));
  assert.equal(await reader.wait({ timeoutMs: 1 }), false);
  const woken = reader.wait({ timeoutMs: 5000 });
  program.run(1);
  assert.equal(await woken, true);
  // Not read yet, so there is nothing to wait for.
  assert.equal(await reader.wait({ timeoutMs: 5000 }), true);
  reader.drain(() => {});
  const controller = new AbortController();
  const aborted = reader.wait({ signal: controller.signal });
  controller.abort();
  assert.equal(await aborted, false);
  const closed = reader.wait();
  reader.close();
  assert.equal(await closed, false);
  assert.throws(() => reader.drain(() => {}), { code: 'closed' });
  for await (const _ of reader) assert.fail('it is closed');
});

/** A ring buffer whose producer is the test. */
function scriptedRing() {
  const pages = new ArrayBuffer(4 * PAGE);
  const view = new DataView(pages);
  let waits = 0;
  let wake = (_event: boolean): void => {};
  const mmap = (_fd: number, { length, offset }: { length: number; offset: number }) => ({
    bytes: new Uint8Array(pages, offset, length),
    unmap: () => {},
  });
  const watch = () => ({
    wait: () => {
      waits++;
      return new Promise<boolean>((resolve) => {
        wake = resolve;
      });
    },
    close: () => wake(false),
  });
  const system = { mmap, watch, pageSize: () => PAGE, close: () => {} } as unknown as System;
  const info = { kind: 'map', type: mapTypes.ringbuf.id, maxEntries: PAGE, name: 'events' } as const;
  return {
    map: new BpfMap(system, 3, { info, types: undefined }),
    view,
    wake: () => wake(true),
    waits: () => waits,
  };
}

test('records that are not finished hold up the reader without spinning; those discarded are passed over', async () => {
  const { map, view, wake, waits } = scriptedRing();
  const data = 2 * PAGE;
  const [BUSY, DISCARDED] = [2 ** 31, 2 ** 30];
  // Far along, so that the low halves of the positions wrap, and the last record crosses the end.
  const start = 2n ** 32n - 24n;
  view.setBigUint64(0, start, true);
  view.setBigUint64(PAGE, start + 40n, true);
  const at = PAGE - 24;
  view.setUint32(data + at, 8 + DISCARDED, true);
  view.setUint32(data + at + 16, BUSY + 16, true);
  view.setBigUint64(data + at + 24, 77n, true);
  const reader = map.ringBuffer();
  assert.equal(reader.unread, 40);
  assert.equal(
    reader.drain(() => {}),
    0,
  );
  assert.equal(reader.unread, 24, 'what was discarded is room again');
  const waiting = reader.wait();
  await setTimeout(5);
  wake();
  await setTimeout(5);
  assert.equal(waits(), 2);
  view.setUint32(data + at + 16, 16, true);
  wake();
  assert.equal(await waiting, true);
  const seen: number[][] = [];
  assert.equal(
    reader.drain((bytes) => seen.push([bytes.length, number(bytes)])),
    1,
  );
  assert.deepEqual(seen, [[16, 77]]);
  assert.equal(view.getBigUint64(0, true), start + 40n);
  reader.close();
  map.close();
});

each('ringbuf', 'a loop over a flood leaves timers their turn', async (kernel, own) => {
  const map = own(ringOf(kernel, 16));
  const reader = own(map.ringBuffer());
  const program = own(producer(kernel, map));
  const controller = new AbortController();
  void setTimeout(50).then(() => controller.abort());
  program.run(1000);
  let count = 0;
  for await (const _ of reader.records({ signal: controller.signal })) {
    if (++count % 500 === 0) program.run(1000);
    if (count > 10_000_000) assert.fail('never aborted');
  }
  assert.ok(count > 1000, String(count));
});

each('ringbuf', 'two readers of two buffers', async (kernel, own) => {
  const maps = [own(ringOf(kernel)), own(ringOf(kernel))];
  const counts = await Promise.all(
    maps.map(async (map) => {
      const reader = own(map.ringBuffer());
      const program = own(producer(kernel, map));
      void setTimeout(1).then(() => program.run(3));
      let count = 0;
      for await (const _ of reader) if (++count === 3) break;
      return count;
    }),
  );
  assert.deepEqual(counts, [3, 3]);
});

each('ringbuf', 'records as values of a type', (kernel, own) => {
  const object = own(loadReaders(kernel, 'emit'));
  const map = object.map('events');
  const reader = own(map.ringBuffer<{ n: number; name: string; total: bigint }>({ type: 'event' }));
  for (let i = 0; i < 5; i++) object.program('emit').testRun({ data: new Uint8Array(64) });
  const seen: unknown[] = [];
  reader.drain((event) => seen.push(event));
  const event = (n: number) => ({ n, delta: 0 - n, name: 'readers', total: BigInt(3 * n) });
  assert.deepEqual(seen, [event(0), event(1), event(3), event(4)]);
  const untyped = own(ringOf(kernel));
  assert.throws(() => map.ringBuffer({ type: 'nothing' }), { code: 'no-type' });
  assert.throws(() => untyped.ringBuffer({ type: 'event' }), { code: 'no-type' });
  assert.throws(() => untyped.perfBuffer(), { code: 'map-kind' });
});

each(
  'perf_event_array',
  'samples of every CPU, and the count of those that found no room',
  async (kernel, own) => {
    const map = own(kernel.createMap({ type: 'perf_event_array', maxEntries: kernel.sys.possibleCpus() }));
    const lost: number[] = [];
    const reader = own(map.perfBuffer({ pages: 1, onLost: (_cpu, count) => lost.push(count) }));
    const program: Program = own(
      kernel.loadProgram({
        type: 'raw_tracepoint',
        insns: assemble(`r3 = *(u64 *)(r1 + 0)
        *(u64 *)(r10 - 24) = r3
        *(u64 *)(r10 - 16) = r3
        *(u64 *)(r10 - 8) = r3
        r2 = map[fd:${map.fd}]
        r3 = 0xffffffff ll
        r4 = r10
        r4 += -24
        r5 = 20
        call 25
        exit`),
      }),
    );
    const fire = (n: number, cpu: number): number =>
      program.testRun({ ctx: new Uint8Array(new BigUint64Array([BigInt(n)]).buffer), cpu }).retval;
    const cpus = Math.min(2, kernel.sys.possibleCpus());
    let sent = 0;
    const seen: number[] = [];
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 7; i++) assert.equal(fire(sent++, round % cpus), 0);
      reader.drain(({ cpu, data }) => {
        assert.equal(cpu, round % cpus);
        // 20 bytes, and what the kernel pads them with.
        assert.equal(data.length, 20 + 4 - 4 + ((8 - ((20 + 4) % 8)) % 8));
        seen.push(number(data));
      });
    }
    assert.deepEqual(
      seen,
      Array.from({ length: sent }, (_, i) => i),
    );
    assert.equal(reader.lost, 0);
    // A page holds about 128 of them.
    let refused = 0;
    for (let i = 0; i < 300; i++) if (fire(i, 0) !== 0) refused++;
    const held = reader.drain(() => {});
    fire(0, 0);
    reader.drain(() => {});
    assert.ok(held > 90 && held < 140, String(held));
    assert.equal(reader.lost, 300 - held);
    assert.equal(
      lost.reduce((sum, count) => sum + count, 0),
      300 - held,
    );
    assert.equal(refused, 300 - held);
    const counts: number[] = [];
    setTimeout(1).then(() => fire(5, 0));
    for await (const { data } of reader) {
      counts.push(number(data));
      break;
    }
    assert.deepEqual(counts, [5]);
    reader.close();
    assert.notEqual(fire(0, 0), 0, 'nothing is in the map any more');
  },
);

each('user_ringbuf', 'records from user space: a program drains what was submitted', (kernel, own) => {
  const object = own(loadReaders(kernel, 'drain'));
  const program = object.program('drain');
  const ring = own(object.map('commands').userRingBuffer());
  const record = (n: number) => new Uint8Array(new BigUint64Array([BigInt(n)]).buffer);
  const drained = () => program.testRun({ data: new Uint8Array(64) }).retval;
  let sum = 0n;
  for (let round = 0; round < 100; round++) {
    for (let i = 0; i < 7; i++) {
      assert.equal(ring.write(record(i)), true);
      sum += BigInt(i);
    }
    const discarded = ring.reserve(8);
    discarded?.bytes.set(record(1000));
    discarded?.discard();
    assert.equal(drained(), 7);
  }
  assert.equal(object.variable('sum').get(), sum);
  let filled = 0;
  while (ring.write(record(0))) filled++;
  assert.equal(filled, PAGE / 16);
  assert.throws(() => ring.reserve(PAGE), { code: 'record' });
  assert.throws(() => ring.reserve(-1), { code: 'record' });
  assert.equal(drained(), filled);
  // A reservation that is not finished: nothing behind it comes.
  const first = ring.reserve(8);
  ring.write(record(1));
  assert.equal(drained(), 0);
  first?.submit();
  assert.equal(drained(), 2);
});
