import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assemble } from '../asm/index.ts';
import { SkepError } from '../base/errors.ts';
import { encode } from '../isa/index.ts';
import { type BpfAttr, type Cmd, commands } from '../uapi/commands.ts';
import type { Task } from '../vm/types.ts';
import { EmbeddedKernel, type KernelOptions } from './kernel.ts';
import type { Process } from './process.ts';

const XDP = { progType: 6, attachType: 37 };
const TRACEPOINT = 5;
const RAW_TRACEPOINT = 17;

function load(process: Process, text: string, attr: BpfAttr<'progLoad'>): number {
  const insns = encode(assemble(text));
  return process.bpf('progLoad', { insns, insnCnt: insns.length / 8, license: 'GPL', ...attr });
}

const makeArray = (process: Process): number =>
  process.bpf('mapCreate', { mapType: 2, keySize: 4, valueSize: 8, maxEntries: 1 });

function firstValue(process: Process, mapFd: number): bigint {
  const value = new Uint8Array(8);
  process.bpf('mapLookupElem', { mapFd, key: new Uint8Array(4), value });
  return new DataView(value.buffer).getBigUint64(0, true);
}

/** Stores r6 into the first element of an array. */
const store = (mapFd: number): string => `
  *(u32 *)(r10 -4) = 0
  r2 = r10
  r2 += -4
  r1 = map[fd:${mapFd}]
  call 1
  if r0 == 0 goto out
  *(u64 *)(r0 +0) = r6
out:
  r0 = 0
  exit`;

const task: Task = { pid: 42, tgid: 40, uid: 1, gid: 2, comm: 'reader' };

test('what is verified-only is loaded, and says so when it is to run', () => {
  const process = new EmbeddedKernel().spawn();
  const dataIn = new Uint8Array(64);
  const run = (progFd: number) => () =>
    process.bpf('progTestRun', { progFd, dataIn, dataSizeIn: dataIn.length });
  const jiffies = load(process, 'call bpf_jiffies64\nr0 = 2\nexit', { progType: XDP.progType });
  assert.throws(run(jiffies), /bpf_jiffies64\(\) is verified-only/);
  const sampler = load(process, 'r0 = 0\nexit', { progType: 7 });
  assert.throws(run(sampler), { hint: /type perf_event are verified-only/ });
});

test('a device without a program passes packets on', () => {
  const device = new EmbeddedKernel().devices.add('eth0');
  const packet = Uint8Array.of(1, 2, 3);
  assert.deepEqual(device.receive(packet), { action: 2, packet });
  assert.equal(device.stats.pass, 1);
});

test('verdicts are counted, and one that is none counts as aborted', () => {
  const rows = [
    { verdict: 0, action: 0, stat: 'aborted' },
    { verdict: 1, action: 1, stat: 'drop' },
    { verdict: 2, action: 2, stat: 'pass' },
    { verdict: 3, action: 3, stat: 'tx' },
    { verdict: 4, action: 4, stat: 'redirect' },
    { verdict: 77, action: 0, stat: 'aborted' },
    { verdict: -1, action: 0, stat: 'aborted' },
  ] as const;
  for (const { verdict, action, stat } of rows) {
    const kernel = new EmbeddedKernel();
    const process = kernel.spawn();
    const device = kernel.devices.add('eth0');
    const progFd = load(process, `r0 = ${verdict}\nexit`, { progType: XDP.progType });
    process.bpf('linkCreate', { progFd, targetIfindex: device.ifindex, attachType: XDP.attachType });
    assert.equal(device.receive(new Uint8Array(64)).action, action);
    assert.equal(device.stats[stat], 1, stat);
  }
});

test('an XDP program sees the packet and the device, and may rewrite both ends of the header', () => {
  const kernel = new EmbeddedKernel();
  const process = kernel.spawn();
  const device = kernel.devices.add('eth0');
  const text = `
    r6 = r1
    r2 = 2
    call 44
    r2 = *(u32 *)(r6 +0)
    r3 = *(u32 *)(r6 +4)
    r4 = r2
    r4 += 14
    if r4 > r3 goto drop
    r1 = *(u32 *)(r6 +12)
    *(u8 *)(r2 +0) = r1
    r0 = 3
    exit
  drop:
    r0 = 1
    exit`;
  const progFd = load(process, text, { progType: XDP.progType });
  process.bpf('linkCreate', { progFd, targetIfindex: device.ifindex, attachType: XDP.attachType });
  const { action, packet } = device.receive(new Uint8Array(20).fill(9));
  assert.equal(action, 3);
  assert.deepEqual([...packet], [device.ifindex, ...Array(17).fill(9)]);
  assert.equal(device.receive(new Uint8Array(15)).packet.length, 15, 'a header of 14 bytes must be left');
});

test('names of devices', () => {
  const { devices } = new EmbeddedKernel();
  devices.add('eth0');
  for (const name of ['', '.', '..', 'a/b', 'a b', 'a:b', 'sixteen-letters!', 'eth0', 'lo']) {
    assert.throws(() => devices.add(name), SkepError, JSON.stringify(name));
  }
  assert.deepEqual(
    [...devices].map(({ name, ifindex }) => [name, ifindex]),
    [
      ['lo', 1],
      ['eth0', 2],
    ],
  );
});

test('a tracepoint program gets the record, a raw one the arguments', () => {
  const kernel = new EmbeddedKernel();
  const process = kernel.spawn();
  const rows = [
    { name: 'the number of the call', progType: TRACEPOINT, text: 'r6 = *(u64 *)(r1 +8)', want: 1n },
    { name: 'the first argument', progType: TRACEPOINT, text: 'r6 = *(u64 *)(r1 +16)', want: 3n },
    { name: 'the last argument', progType: TRACEPOINT, text: 'r6 = *(u64 *)(r1 +56)', want: 8n },
    { name: 'the raw number', progType: RAW_TRACEPOINT, text: 'r6 = *(u64 *)(r1 +8)', want: 1n },
    { name: 'the task', progType: RAW_TRACEPOINT, text: 'call 14\nr6 = r0', want: (40n << 32n) | 42n },
    { name: 'the CPU', progType: TRACEPOINT, text: 'call 8\nr6 = r0', want: 0n },
  ];
  for (const { name, progType, text, want } of rows) {
    const map = makeArray(process);
    const progFd = load(process, `${text}\n${store(map)}`, { progType });
    const link =
      progType === RAW_TRACEPOINT
        ? process.bpf('rawTracepointOpen', { progFd, name: 'sys_enter' })
        : attachTracepoint(process, progFd);
    kernel.tracepoints.fire('raw_syscalls:sys_enter', { task, id: 1n, args: [3n, 4n, 5n, 6n, 7n, 8n] });
    assert.equal(firstValue(process, map), want, name);
    process.close(link);
    kernel.tracepoints.fire('raw_syscalls:sys_enter', { task, id: 99n, args: [] });
    assert.equal(firstValue(process, map), want, `${name}, once detached`);
  }
});

test('sys_exit carries the result', () => {
  const kernel = new EmbeddedKernel();
  const process = kernel.spawn();
  const map = makeArray(process);
  const progFd = load(process, `r6 = *(u64 *)(r1 +8)\n${store(map)}`, { progType: RAW_TRACEPOINT });
  process.bpf('rawTracepointOpen', { progFd, name: 'sys_exit' });
  kernel.tracepoints.fire('raw_syscalls:sys_exit', { task, id: 1n, ret: -2n });
  assert.equal(firstValue(process, map), BigInt.asUintN(64, -2n));
});

test('a program that reads more than a tracepoint has is not attached', () => {
  const kernel = new EmbeddedKernel();
  const process = kernel.spawn();
  const record = load(process, 'r0 = *(u64 *)(r1 +64)\nexit', { progType: TRACEPOINT });
  assert.throws(() => attachTracepoint(process, record), { errno: 'EACCES' });
  const raw = load(process, 'r0 = *(u64 *)(r1 +16)\nexit', { progType: RAW_TRACEPOINT });
  assert.throws(() => process.bpf('rawTracepointOpen', { progFd: raw, name: 'sys_enter' }), {
    errno: 'EINVAL',
  });
});

function attachTracepoint(process: Process, progFd: number): number {
  const config = BigInt(process.resolveTarget('tracepoint', 'raw_syscalls:sys_enter'));
  const event = process.perfEventOpen({ type: 2, config, pid: -1, cpu: 0 });
  const link = process.bpf('linkCreate', { progFd, targetFd: event, attachType: 41 });
  assert.throws(() => process.bpf('linkCreate', { progFd, targetFd: event, attachType: 41 }), {
    errno: 'EEXIST',
  });
  process.close(event);
  return link;
}

test('a tail call runs the program that is in the slot now', () => {
  const kernel = new EmbeddedKernel();
  const process = kernel.spawn();
  const device = kernel.devices.add('eth0');
  const array = process.bpf('mapCreate', { mapType: 3, keySize: 4, valueSize: 4, maxEntries: 1 });
  const jump = load(process, `r2 = map[fd:${array}]\nr3 = 0\ncall 12\nr0 = 2\nexit`, {
    progType: XDP.progType,
  });
  process.bpf('linkCreate', { progFd: jump, targetIfindex: device.ifindex, attachType: XDP.attachType });
  const verdict = (): number => device.receive(new Uint8Array(64)).action;
  const put = (verdict: number): void => {
    const fd = load(process, `r0 = ${verdict}\nexit`, { progType: XDP.progType });
    process.bpf('mapUpdateElem', {
      mapFd: array,
      key: new Uint8Array(4),
      value: new Uint8Array(Uint32Array.of(fd).buffer),
    });
    process.close(fd);
  };
  assert.equal(verdict(), 2, 'an empty slot falls through');
  put(1);
  assert.equal(verdict(), 1);
  put(3);
  assert.equal(verdict(), 3);
  process.bpf('mapDeleteElem', { mapFd: array, key: new Uint8Array(4) });
  assert.equal(verdict(), 2);
});

test('with a fixed clock and fixed randomness a run repeats', () => {
  const run = (): unknown => {
    let tick = 0n;
    const kernel = new EmbeddedKernel({ now: () => (tick += 1000n), random: () => 7 });
    const process = kernel.spawn({ comm: 'fixed' });
    const map = makeArray(process);
    const progFd = load(process, `call 7\nr6 = r0\ncall 5\nr6 += r0\n${store(map)}`, {
      progType: RAW_TRACEPOINT,
    });
    process.bpf('progTestRun', { progFd });
    return firstValue(process, map);
  };
  assert.equal(run(), run());
});

test('a CPU that is not there runs nothing', () => {
  const kernel = new EmbeddedKernel({ cpus: 2 });
  const process = kernel.spawn();
  const device = kernel.devices.add('eth0');
  const progFd = load(process, 'call 8\nexit', { progType: XDP.progType });
  process.bpf('linkCreate', { progFd, targetIfindex: device.ifindex, attachType: XDP.attachType });
  assert.equal(device.receive(new Uint8Array(64), { cpu: 1 }).action, 1, 'the verdict is the CPU');
  for (const cpu of [-1, 2, 0.5, Number.NaN]) {
    assert.throws(() => device.receive(new Uint8Array(64), { cpu }), { code: 'no-such-cpu' });
  }
});

test('options that no kernel has', () => {
  const rows: KernelOptions[] = [{ cpus: 0 }, { cpus: 1.5 }, { cpus: 5000 }, { cpus: Number.NaN }];
  for (const options of rows) assert.throws(() => new EmbeddedKernel(options), { code: 'kernel-options' });
});

test('memory has a limit', () => {
  const process = new EmbeddedKernel({ memoryLimit: 1 << 20 }).spawn();
  const big = (): number =>
    process.bpf('mapCreate', { mapType: 2, keySize: 4, valueSize: 4096, maxEntries: 1024 });
  assert.throws(big, { errno: 'ENOMEM' });
});

test('an ended process can do nothing, and ends but once', () => {
  const process = new EmbeddedKernel().spawn();
  const fd = makeArray(process);
  process.end();
  process.end();
  assert.throws(() => makeArray(process), { errno: 'ESRCH' });
  assert.throws(() => process.close(fd), { errno: 'ESRCH' });
});

test('an absent command fails as an unknown one, and says what is missing', () => {
  const process = new EmbeddedKernel().spawn();
  const absent = Object.entries(commands).filter(([, row]) => row.label === 'absent');
  assert.ok(absent.length > 0);
  for (const [cmd, { name }] of absent) {
    assert.throws(() => process.bpf(cmd as Cmd, {}), { errno: 'EINVAL', hint: `this kernel has no ${name}` });
  }
  assert.throws(() => process.bpf('nope' as Cmd, {}), { errno: 'EINVAL' });
  assert.throws(() => process.bpf('toString' as Cmd, {}), { errno: 'EINVAL' });
  assert.throws(() => process.bpf('mapCreate', null as never), { errno: 'EFAULT' });
});

test('attributes of the wrong sort are one clear line', () => {
  const process = new EmbeddedKernel().spawn();
  const rows: { attr: object; want: RegExp }[] = [
    { attr: { mapType: -1 }, want: /mapType must be an unsigned 32-bit number/ },
    { attr: { mapType: 1.5 }, want: /mapType must be/ },
    { attr: { mapExtra: 1 }, want: /mapExtra must be an unsigned 64-bit bigint/ },
    { attr: { mapName: 7 }, want: /mapName must be a string/ },
    { attr: { nope: 7 }, want: /there is no field nope/ },
  ];
  for (const { attr, want } of rows) {
    assert.throws(
      () => process.bpf('mapCreate', attr),
      (error) => error instanceof SkepError && want.test(error.line) && !error.line.includes('\n'),
    );
  }
});

test('no attributes, however odd, do anything but fail with an errno', () => {
  const value = fc.oneof(
    fc.integer({ min: -2, max: 40 }),
    fc.nat({ max: 0xffffffff }),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.uint8Array({ maxLength: 64 }),
    fc.constantFrom('GPL', '', 'name', '/sys/fs/bpf/x', 'sys_enter', '/sys/fs/bpf'),
    fc.constantFrom(
      { kind: 'map' },
      { kind: 'nope' },
      { kind: 'prog', mapIds: 7 },
      { kind: 'prog', nrMapIds: 3 },
      { kind: 'link' },
      {},
      null,
      undefined,
    ),
  );
  const call = fc
    .constantFrom(...(Object.keys(commands) as Cmd[]))
    .chain((cmd) =>
      fc.tuple(
        fc.constant(cmd),
        fc.dictionary(fc.constantFrom(...Object.keys(commands[cmd].fields)), value, { maxKeys: 8 }),
      ),
    );
  fc.assert(
    fc.property(fc.array(call, { maxLength: 20 }), (calls) => {
      const process = new EmbeddedKernel({ memoryLimit: 8 << 20 }).spawn();
      makeArray(process);
      load(process, 'r0 = 0\nexit', { progType: 1 });
      for (const [cmd, attr] of calls) {
        try {
          process.bpf(cmd, attr as never);
        } catch (error) {
          assert.ok(error instanceof SkepError, error instanceof Error ? error.stack : String(error));
        }
      }
      process.end();
    }),
    { numRuns: Number(globalThis.process.env['FUZZ_RUNS'] ?? 300) },
  );
});
