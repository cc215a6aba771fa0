/** The example programs on the running kernel, attached for real where only this test can notice. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, existsSync, readFileSync, writeSync } from 'node:fs';
import process from 'node:process';
import { test } from 'node:test';
import { assemble } from '../../src/asm/index.ts';
import { LinuxKernel } from '../../src/linux-kernel.ts';
import { openObject } from '../../src/object/index.ts';
import { readCapture } from '../../src/packet/index.ts';
import { type Collection, Kernel, type KernelHandle, type Link, setVariables } from '../../src/user/index.ts';
import { assertEventually } from '../contract/harness.ts';
import { enterSandbox, Tap } from '../support/linux-sandbox.ts';

const file = (name: string): URL => new URL(`../../examples/${name}`, import.meta.url);
const sandbox = enterSandbox();
const skip = 'reason' in sandbox ? sandbox.reason : false;

/** What the maps of the firewall say, in an order that means nothing. */
function report(collection: Collection): { actions: unknown; flows: Set<string> } {
  const text = (value: unknown): string =>
    JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part));
  return {
    // Which CPU takes a packet is Linux's business.
    actions: [...collection.map<number, bigint[]>('actions').values()].map((cpus) =>
      cpus.reduce((sum, count) => sum + count, 0n),
    ),
    flows: new Set([...collection.map('flows').entries()].map(text)),
  };
}

/** The firewall at work on the device. */
function start(kernel: KernelHandle): { collection: Collection; link: Link } {
  const collection = kernel.load(readFileSync(file('firewall.bpf.o')));
  for (const port of [53, 443]) collection.map<number, number>('blocked').set(port, 1);
  return { collection, link: collection.program('firewall').attach({ device: 'skepfw' }) };
}

test('the firewall on a device counts what it counts on the embedded kernel', { skip }, async () => {
  const tap = new Tap('skepfw');
  const embedded = new Kernel({ cpus: new LinuxKernel().sys.possibleCpus() });
  const device = embedded.embedded.devices.add('skepfw');
  const [real, model] = [start(new LinuxKernel()), start(embedded)];
  try {
    let packets = 0;
    for await (const { data } of readCapture(createReadStream(file('captures/network.pcap')))) {
      assert.equal(writeSync(tap.fd, data), data.length);
      device.receive(data);
      packets++;
    }
    assert.ok(packets > 20);
    const [got, want] = [report(real.collection), report(model.collection)];
    assert.deepEqual(got, want);
  } finally {
    real.link.close();
    real.collection.close();
    tap.close();
    embedded.close();
  }
});

test('the counter of system calls sees those of this process', { skip }, () => {
  const spec = openObject(readFileSync(file('syscount.bpf.o')));
  // No call has the number of read(2), so nothing is written to the trace pipe that the machine shares.
  setVariables(spec, { target_pid: process.pid, read_number: 0xffffffff });
  const collection = new LinuxKernel().load(spec);
  try {
    const link = collection.program('count_syscall').attach();
    for (let i = 0; i < 20; i++) assert.equal(existsSync(`/nonexistent/${i}`), false);
    link.close();
    const calls = () => [...collection.map<number, bigint>('calls').values()];
    const total = calls().reduce((sum, count) => sum + count, 0n);
    assert.ok(total >= 20n, `${total} calls`);
    existsSync('/nonexistent');
    assert.equal(
      calls().reduce((sum, count) => sum + count, 0n),
      total,
      'detached',
    );
  } finally {
    collection.close();
  }
});

test('a process that is killed leaves nothing attached', { skip }, async () => {
  const source = (name: string): string =>
    new URL(`../../src/${name}`, import.meta.url).href + import.meta.url.slice(-3);
  const script = `
    const { LinuxKernel } = await import('${source('linux-kernel')}');
    const { openObject, setVariables } = await import('${source('index')}');
    const { readFileSync } = await import('node:fs');
    const spec = openObject(readFileSync(new URL('${file('syscount.bpf.o')}')));
    setVariables(spec, { target_pid: process.pid, read_number: 0xffffffff });
    const link = new LinuxKernel().load(spec).program('count_syscall').attach();
    console.log(link.info().id);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--conditions=source', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const kernel = new LinuxKernel();
  const [line] = await once(child.stdout, 'data');
  const id = Number(String(line));
  assert.ok(kernel.linkIds().includes(id));
  child.kill('SIGKILL');
  await once(child, 'exit');
  await assertEventually(() => !kernel.linkIds().includes(id), 'the link should be gone');
});

test('a pin outlives its handle, and is opened as what it is', { skip }, () => {
  const kernel = new LinuxKernel();
  const path = `${(sandbox as { bpffs: string }).bpffs}/counts`;
  const made = kernel.createMap<number, bigint>({
    type: 'hash',
    maxEntries: 8,
    valueSize: 8,
    name: 'counts',
  });
  made.set(1, 7n);
  made.pin(path);
  const { id } = made;
  made.close();
  const opened = kernel.openPinned(path);
  assert.equal((opened as unknown as { id: number }).id, id);
  assert.ok(kernel.mapIds().includes(id));
  opened.close();
});

test('the trace pipe has the lines of bpf_trace_printk', { skip }, async (t) => {
  if (readFileSync('/sys/kernel/tracing/tracing_on', 'latin1') === '0\n')
    return t.skip('tracing_on is 0 here');
  const kernel = new LinuxKernel();
  const word = `skep${process.pid}`.padEnd(15, '.');
  const low = Buffer.from(`${word}\0`).readBigUInt64LE(0);
  const high = Buffer.from(`${word}\0`).readBigUInt64LE(8);
  const program = kernel.loadProgram({
    type: 'raw_tracepoint',
    insns: assemble(`r1 = ${low} ll
      *(u64 *)(r10 - 16) = r1
      r1 = ${high} ll
      *(u64 *)(r10 - 8) = r1
      r1 = r10
      r1 += -16
      r2 = 16
      call 6
      r0 = 0
      exit`),
  });
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), 10_000);
  const lines: string[] = [];
  // Whoever else reads the pipe takes lines away: there is one for the whole machine.
  const writer = setInterval(() => program.testRun(), 20);
  for await (const line of kernel.tracePipe({ signal: controller.signal })) {
    lines.push(line);
    if (line.includes(word)) break;
  }
  clearTimeout(timer);
  clearInterval(writer);
  program.close();
  assert.match(lines.at(-1) ?? '', new RegExp(`bpf_trace_printk: ${word}$`));
});
