/** The example programs on the embedded kernel with each engine, and the firewall beside the real one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ethernet, etherTypes, readCapture } from '../../src/packet/index.ts';
import { playCapture, playStrace } from '../../src/sources/index.ts';
import { type Collection, Kernel } from '../../src/user/index.ts';
import { interpreter, jit } from '../../src/vm/index.ts';

const file = (name: string): URL => new URL(`../../examples/${name}`, import.meta.url);
const capture = file('captures/network.pcap');

/** On each engine in turn. */
async function withObject(
  name: string,
  act: (collection: Collection, kernel: Kernel) => void | Promise<void>,
): Promise<void> {
  for (const engine of [interpreter, jit]) {
    const kernel = new Kernel({ now: () => 0n, random: () => 0, engine });
    try {
      await act(kernel.load(readFileSync(file(`${name}.bpf.o`))), kernel);
    } finally {
      kernel.close();
    }
  }
}

const tcp = ethernet().ipv4().tcp().payload(60).build();
const arp = ethernet({ etherType: etherTypes.arp }).payload(28).build();

test('minimal counts in a global variable', () =>
  withObject('minimal', ({ programs, variables }) => {
    assert.equal(programs['minimal']?.testRun({ data: tcp, repeat: 3 }).retval, 2);
    assert.equal(variables['packets']?.get(), 3n);
  }));

test('tailcall dispatches by EtherType; an empty slot falls through', () =>
  withObject('tailcall', (collection) => {
    const dispatch = collection.program('dispatch');
    const run = (data: Uint8Array): number => dispatch.testRun({ data }).retval;
    assert.equal(run(tcp), 2);
    assert.equal(run(ethernet().ipv6().udp().build()), 2);
    assert.equal(run(ethernet().ipv6().udp().build()), 2);
    assert.equal(run(arp), 1);
    assert.deepEqual([...collection.map('packets').values()], [1n, 2n, 0n, 1n]);
  }));

test('socket keeps 96 bytes of TCP', () =>
  withObject('socket', (collection) => {
    // A test run takes the first 14 bytes off, and the filter of a packet socket sees them: so once more.
    const run = (packet: Uint8Array): number =>
      collection.program('filter').testRun({ data: Uint8Array.of(...new Uint8Array(14), ...packet) }).retval;
    assert.equal(run(tcp), 96);
    assert.equal(run(ethernet().ipv4().udp().payload(60).build()), 0);
    assert.equal(run(arp), 0);
    const protocols = collection.map<number, bigint>('protocols');
    assert.equal(protocols.get(6), 1n);
    assert.equal(protocols.get(17), 1n);
  }));

test('callers counts by process and name', () =>
  withObject('callers', async (collection, kernel) => {
    collection.program('count_caller').attach();
    const lines = readFileSync(file('captures/ls.strace'), 'utf8').trimEnd().split('\n');
    const want = new Map<string, bigint>();
    await playStrace(lines, kernel.embedded.tracepoints, {
      onCall: ({ task }) => {
        const caller = `${task.pid} ${task.comm}`;
        want.set(caller, (want.get(caller) ?? 0n) + 1n);
      },
    });
    const callers = collection.map<{ pid: number; comm: string }, bigint>('callers');
    const got = [...callers.entries()].map(([{ pid, comm }, calls]) => [`${pid} ${comm}`, calls] as const);
    assert.deepEqual(new Map(got), want);
    assert.equal(collection.variables['highest']?.get(), 334n); // rseq
  }));

test('pcapng gives the firewall the same packets as pcap', () =>
  withObject('firewall', async (collection, kernel) => {
    const device = kernel.embedded.devices.add('eth0');
    collection.program('firewall').attach({ device: 'eth0' });
    collection.map('blocked').set(53, 1);
    const play = async (name: string): Promise<number[]> => {
      const actions: number[] = [];
      await playCapture(createReadStream(file(name)), device, (_, { action }) => actions.push(action));
      return actions;
    };
    const actions = await play('captures/network.pcap');
    assert.deepEqual(await play('captures/network.pcapng'), actions);
    assert.equal(actions.filter((action) => action === 1).length, 6);
  }));

/** One verdict a line, then the map, of the real kernel. */
const onLinux = `mount -t bpf bpf "$1" || exit 77; fs=$1; packets=$2
  mkdir "$fs/maps" && bpftool prog load "$3" "$fs/program" pinmaps "$fs/maps" || exit 1
  bpftool map update pinned "$fs/maps/blocked" key 80 0 value 1 0 0 0 || exit 1
  for packet in "$packets"/*; do bpftool -j prog run pinned "$fs/program" data_in "$packet" || exit 1; done
  bpftool -j map dump pinned "$fs/maps/flows"`;

type Formatted = { key: { protocol: number; port: number }; value: Record<string, number> };

test('the firewall judges and counts as on the real kernel', async (t) => {
  if (process.getuid?.() !== 0) return t.skip('only root may load programs');
  if (spawnSync('bpftool', ['version']).status !== 0) return t.skip('bpftool is not installed');
  const packets = mkdtempSync(join(tmpdir(), 'skep-packets-'));
  const bpffs = mkdtempSync(join(tmpdir(), 'skep-bpffs-'));
  try {
    let count = 0;
    for await (const { data } of readCapture(createReadStream(capture))) {
      writeFileSync(join(packets, String(1000 + count++)), data);
    }
    const object = fileURLToPath(file('firewall.bpf.o'));
    const args = ['-m', 'sh', '-c', onLinux, 'sh', bpffs, packets, object];
    const { status, stdout, stderr } = spawnSync('unshare', args, { encoding: 'utf8' });
    if (status === 77) return t.skip('the BPF file system cannot be mounted here');
    assert.equal(status, 0, stderr);
    const answers = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const wantFlows = (answers.pop() as { formatted: Formatted }[]).map(({ formatted }) => formatted);
    const wantVerdicts = answers.map(({ retval }: { retval: number }) => retval);

    await withObject('firewall', async (collection) => {
      collection.map('blocked').set(80, 1);
      const firewall = collection.program('firewall');
      const verdicts: number[] = [];
      for await (const { data } of readCapture(createReadStream(capture))) {
        verdicts.push(firewall.testRun({ data }).retval);
      }
      assert.deepEqual(verdicts, wantVerdicts);
      const flows = [...collection.map<Formatted['key'], Record<string, bigint>>('flows').entries()];
      const text = (key: Formatted['key'], value: Record<string, bigint | number>): string =>
        [key.protocol, key.port, value['passed'], value['dropped'], value['bytes']].join(' ');
      assert.deepEqual(
        flows.map(([key, value]) => text(key, value)).sort(),
        wantFlows.map(({ key, value }) => text(key, value)).sort(),
      );
    });
  } finally {
    rmSync(packets, { recursive: true });
    rmSync(bpffs, { recursive: true });
  }
});
