/** Packets in batches: the same as one by one, on each engine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '../asm/index.ts';
import { Kernel, type Program } from '../user/index.ts';
import { interpreter, jit, xdpActions } from './index.ts';

/** Programs that are collected are detached. */
const kept: Program[] = [];

interface Setup {
  /** What the program calls a map is its fd. */
  readonly text: (fds: { readonly counts: number; readonly jumps: number }) => string;
  /** In the program array, at 0. */
  readonly target?: string;
  readonly fuel?: number;
}

function start(engine: typeof jit, { text, target, fuel }: Setup) {
  const kernel = new Kernel({ engine, cpus: 2, now: () => 5n, ...(fuel === undefined ? {} : { fuel }) });
  const device = kernel.embedded.devices.add('eth0');
  const counts = kernel.createMap<number, Uint8Array>({ type: 'array', maxEntries: 16, valueSize: 8 });
  const jumps = kernel.createMap({ type: 'prog_array', maxEntries: 1 });
  if (target !== undefined) {
    const program = kernel.loadProgram({ type: 'xdp', insns: assemble(target) });
    kept.push(program);
    jumps.set(0, program.fd);
  }
  const insns = assemble(text({ counts: counts.fd, jumps: jumps.fd }));
  const program = kernel.loadProgram({ type: 'xdp', insns });
  kept.push(program);
  program.attach({ device: 'eth0' });
  const close = (): void => {
    for (const handle of [counts, jumps, kernel]) handle.close();
  };
  return { kernel, device, counts, close };
}

const lengths = [14, 64, 60, 1500, 0, 9000, 15, 590];
/** More than there is room for at a time; the first byte is a number, the others random. */
const packets = Array.from({ length: 500 }, (_, n) =>
  Uint8Array.from({ length: lengths[n % lengths.length]! }, (_, i) =>
    i === 0 ? n & 0xff : (n * 31 + i * 7) & 0xff,
  ),
);

/** r2 and r3 are the packet; leaves with `verdict` where it has no first byte. */
const firstByte = (verdict: number): string => `r2 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r4 = r2
  r4 += 1
  r0 = ${verdict}
  if r4 > r3 goto out
  r5 = *(u8 *)(r2 + 0)`;

const cases: { name: string; setup: Setup }[] = [
  { name: 'one verdict', setup: { text: () => 'r0 = 2\nexit' } },
  { name: 'verdicts that are none', setup: { text: () => `${firstByte(77)}\nr0 = r5\nout: exit` } },
  { name: 'a verdict of more than 32 bits', setup: { text: () => 'r0 = 0x100000001 ll\nexit' } },
  {
    name: 'a packet that is written, and counted',
    setup: {
      text: ({ counts }) => `${firstByte(1)}
        r5 ^= 0xff
        *(u8 *)(r2 + 0) = r5
        r5 &= 15
        *(u32 *)(r10 - 4) = r5
        r1 = map[fd:${counts}]
        r2 = r10
        r2 += -4
        call 1
        if r0 == 0 goto none
        r1 = *(u64 *)(r0 + 0)
        r1 += 1
        *(u64 *)(r0 + 0) = r1
        none: r0 = 2
        out: exit`,
    },
  },
  {
    // The verdict says what is in the new bytes: zeros, whatever packet was there before.
    name: 'headers that are pushed',
    setup: {
      text: () => `r6 = r1
        r2 = -100
        call 44
        if r0 != 0 goto fail
        r2 = *(u32 *)(r6 + 0)
        r3 = *(u32 *)(r6 + 4)
        r4 = r2
        r4 += 100
        if r4 > r3 goto fail
        r0 = *(u64 *)(r2 + 0)
        r1 = *(u64 *)(r2 + 88)
        r0 |= r1
        r1 = 3
        *(u64 *)(r2 + 80) = r1
        exit
        fail: r0 = 1
        exit`,
    },
  },
  {
    name: 'packets that are cut, and grow as far as there is room',
    setup: {
      text: () => `r6 = r1
        ${firstByte(1)}
        r7 = r5
        r7 <<= 1
        r7 += -250
        r1 = r6
        r2 = r7
        call 65
        if r0 == 0 goto good
        r0 = 1
        exit
        good: r0 = 2
        out: exit`,
    },
  },
  {
    name: 'metadata',
    setup: {
      text: () => `r6 = r1
        r2 = -8
        call 54
        r0 <<= 1
        r2 = *(u32 *)(r6 + 0)
        r3 = *(u32 *)(r6 + 8)
        r2 -= r3
        r0 += r2
        exit`,
    },
  },
  {
    name: 'where it came from',
    setup: { text: () => 'r0 = *(u32 *)(r1 + 12)\nr2 = *(u32 *)(r1 + 16)\nr0 += r2\nexit' },
  },
  {
    name: 'a tail call each',
    setup: {
      text: ({ jumps }) => `r2 = map[fd:${jumps}]\nr3 = 0\ncall 12\nr0 = 0\nexit`,
      target: `${firstByte(4)}\nr0 = r5\nr0 &= 3\nout: exit`,
    },
  },
  {
    name: 'the CPU and the clock',
    setup: { text: () => 'call 8\nr6 = r0\ncall 5\nr0 += r6\nr0 -= 4\nexit' },
  },
];

type Device = ReturnType<typeof start>['device'];
const oneByOne = (device: Device, options: { cpu: number }) =>
  packets.map((packet) => device.receive(packet, options));

for (const { name, setup } of cases) {
  test(`${name}: as one by one`, () => {
    const seen = [interpreter, jit].flatMap((engine) =>
      [oneByOne, (device: Device, options: { cpu: number }) => device.receiveAll(packets, options)].map(
        (play) => {
          const { kernel, device, counts, close } = start(engine, setup);
          // Engines keep the stack of the first run.
          device.receive(packets[1]!);
          const before = kernel.embedded.memory.bytesInUse;
          const received = play(device, { cpu: 1 });
          assert.equal(kernel.embedded.memory.bytesInUse, before, 'all of it is freed');
          const found = { received, stats: { ...device.stats }, counts: [...counts.entries()] };
          const verdicts = device.verdicts(packets, { cpu: 1 });
          assert.deepEqual(
            [...verdicts],
            received.map(({ action }) => action),
          );
          close();
          return found;
        },
      ),
    );
    for (const other of seen.slice(1)) assert.deepEqual(other, seen[0]);
  });
}

test('a run that is stopped leaves what came before it done', () => {
  const text: Setup['text'] = ({ counts }) => `r6 = r1
    *(u32 *)(r10 - 4) = 0
    r1 = map[fd:${counts}]
    r2 = r10
    r2 += -4
    call 1
    if r0 == 0 goto none
    r1 = *(u64 *)(r0 + 0)
    r1 += 1
    *(u64 *)(r0 + 0) = r1
    none: r1 = r6
    ${firstByte(2)}
    r0 = 2
    if r5 != 200 goto out
    l: may_goto +1
    goto l
    out: exit`;
  for (const engine of [interpreter, jit]) {
    const { kernel, device, counts, close } = start(engine, { text, fuel: 1000 });
    device.receive(packets[1]!);
    const before = kernel.embedded.memory.bytesInUse;
    assert.throws(() => device.receiveAll(packets), { code: 'budget' });
    assert.equal(counts.get(0)?.[0], 202, engine.name);
    assert.equal(device.stats.pass, 201);
    assert.equal(kernel.embedded.memory.bytesInUse, before);
    close();
  }
});

test('with programs behind it each packet goes all the way before the next comes', () => {
  const { kernel, device, counts, close } = start(jit, { text: () => 'r0 = 2\nexit' });
  const text = `*(u32 *)(r10 - 4) = 0
    r1 = map[fd:${counts.fd}]
    r2 = r10
    r2 += -4
    call 1
    if r0 == 0 goto none
    r1 = *(u64 *)(r0 + 0)
    r1 += 1
    *(u64 *)(r0 + 0) = r1
    none: r0 = 2
    exit`;
  const program = kernel.loadProgram({ type: 'sched_cls', insns: assemble(text) });
  kept.push(program);
  program.attach({ device: 'eth0', attachType: 'tcx_ingress' });
  const received = device.receiveAll(packets.slice(0, 8));
  assert.deepEqual(
    received.map(({ tcx }) => tcx),
    lengths.map((length) => (length < 14 ? undefined : 2)),
  );
  assert.equal(counts.get(0)?.[0], 7);
  assert.deepEqual([...device.verdicts(packets.slice(0, 2))], [xdpActions.pass, xdpActions.pass]);
  close();
});

test('none, and a device without a program', () => {
  const { kernel, device, close } = start(jit, { text: () => 'r0 = 1\nexit' });
  assert.deepEqual(device.receiveAll([]), []);
  assert.deepEqual(device.verdicts([]), new Uint8Array());
  const bare = kernel.embedded.devices.add('eth1');
  assert.deepEqual(bare.receiveAll(packets.slice(0, 1)), [{ action: xdpActions.pass, packet: packets[0] }]);
  assert.throws(() => device.receiveAll(packets, { cpu: 2 }), { code: 'no-such-cpu' });
  close();
});
