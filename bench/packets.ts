/**
 * `npm run bench -- packets`: a million packets through the firewall of examples/, beside the running kernel's
 * TEST_RUN of the same object, and beside libpcap with a filter that lets the same packets through (bench/c/pcap.c).
 * All in turns, on one core each. Writes its part of docs/performance.md.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Collection, jit, Kernel, type KernelHandle } from '../src/index.ts';
import { ethernet } from '../src/packet/index.ts';
import { playCapture } from '../src/sources/index.ts';
import { Lines } from './lines.ts';
import { markdown, writeSection } from './section.ts';
import { exampleObject } from './suite.ts';

const COUNT = 1_000_000;
/** Packets that differ; which of them comes next is random. */
const KINDS = 1000;
/** Packets that are handed over at a time. */
const BATCH = 1000;
const ROUNDS = 5;
const BLOCKED = [80, 53];
const FILTER = `not (${BLOCKED.map((port) => `port ${port}`).join(' or ')})`;

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** The same numbers each time. */
function generator(): (below: number) => number {
  let state = 1;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** TCP and UDP over IPv4 and IPv6, one in eight from or to a blocked port, with up to 200 bytes in them. */
function kinds(random: (below: number) => number): Uint8Array[] {
  return Array.from({ length: KINDS }, (_, i) => {
    const srcPort = 1024 + random(60_000);
    const dstPort = i % 8 === 0 ? BLOCKED[i % 16 === 0 ? 0 : 1]! : [443, 22, 8080, 123, 5432][random(5)]!;
    const ends = i % 16 < 8 ? { srcPort, dstPort } : { srcPort: dstPort, dstPort: srcPort };
    const network =
      i % 4 === 3
        ? ethernet().ipv6({ src: `2001:db8::${i}`, dst: '2001:db8::1' })
        : ethernet().ipv4({ src: `192.0.2.${i & 255}`, dst: '198.51.100.1' });
    const transport = i % 3 === 0 ? network.udp(ends) : network.tcp(ends);
    return transport.payload(new Uint8Array(random(200))).build();
  });
}

/** All packets one behind the other, as in a capture file: each behind its header of 16 bytes. */
interface Ring {
  readonly file: Uint8Array;
  /** Where each packet starts and ends. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  /** How many there are of each kind. */
  readonly times: Uint32Array;
}

const [FILE_HEADER, PACKET_HEADER] = [24, 16];

function ringOf(templates: readonly Uint8Array[], random: (below: number) => number): Ring {
  const order = Uint16Array.from({ length: COUNT }, () => random(KINDS));
  const bytes = order.reduce((sum, kind) => sum + PACKET_HEADER + templates[kind]!.length, FILE_HEADER);
  const file = new Uint8Array(bytes);
  const view = new DataView(file.buffer);
  // pcap 2.4 with microseconds, Ethernet.
  [0xa1b2c3d4, 0x0004_0002, 0, 0, 262_144, 1].forEach((word, i) => {
    view.setUint32(4 * i, word, true);
  });
  const [starts, ends] = [new Uint32Array(COUNT), new Uint32Array(COUNT)];
  const times = new Uint32Array(KINDS);
  let at = FILE_HEADER;
  order.forEach((kind, i) => {
    const packet = templates[kind]!;
    for (const field of [8, 12]) view.setUint32(at + field, packet.length, true);
    file.set(packet, at + PACKET_HEADER);
    starts[i] = at + PACKET_HEADER;
    at = ends[i] = at + PACKET_HEADER + packet.length;
    times[kind]!++;
  });
  return { file, starts, ends, times };
}

interface Case {
  readonly name: string;
  /** Nanoseconds of one round over all packets, and how many of them passed. */
  run(): Promise<{ ns: number; passed: number }>;
}

const now = (): number => Number(process.hrtime.bigint());
const XDP_PASS = 2;

function loaded(kernel: KernelHandle): Collection {
  const collection = kernel.load(exampleObject());
  for (const port of BLOCKED) collection.map<number, number>('blocked').set(port, 1);
  return collection;
}

function embeddedCases(ring: Ring, capture: string): Exclude<Peer, string> {
  const kernel = new Kernel({ engine: jit });
  const collection = loaded(kernel);
  const device = kernel.embedded.devices.add('eth0');
  const link = collection.program('firewall').attach({ device: 'eth0' });
  const timed = (work: () => number): Case['run'] => {
    return async () => {
      const start = now();
      const passed = work();
      return { ns: now() - start, passed };
    };
  };
  const packet = (i: number): Uint8Array => ring.file.subarray(ring.starts[i], ring.ends[i]);
  const batch: Uint8Array[] = Array(BATCH).fill(ring.file);
  const inBatches = (play: () => number): Case['run'] =>
    timed(() => {
      let passed = 0;
      for (let from = 0; from < COUNT; from += BATCH) {
        for (let i = 0; i < BATCH; i++) batch[i] = packet(from + i);
        passed += play();
      }
      return passed;
    });
  const cases: Case[] = [
    {
      name: 'skep: `device.verdicts()`, the verdicts alone',
      run: inBatches(() => {
        let passed = 0;
        for (const action of device.verdicts(batch)) if (action === XDP_PASS) passed++;
        return passed;
      }),
    },
    {
      name: 'skep: `device.receiveAll()`, verdicts and packets',
      run: inBatches(() => {
        let passed = 0;
        for (const { action } of device.receiveAll(batch)) if (action === XDP_PASS) passed++;
        return passed;
      }),
    },
    {
      name: 'skep: `device.receive()`, packet by packet',
      run: timed(() => {
        let passed = 0;
        for (let i = 0; i < COUNT; i++) if (device.receive(packet(i)).action === XDP_PASS) passed++;
        return passed;
      }),
    },
    {
      name: 'skep: `playCapture()` from the file',
      async run() {
        const start = now();
        let passed = 0;
        await playCapture([readFileSync(capture)], device, (_, { action }) => {
          if (action === XDP_PASS) passed++;
        });
        return { ns: now() - start, passed };
      },
    },
  ];
  const close = (): void => {
    link.close();
    collection.close();
    kernel.close();
  };
  return { cases, close };
}

/** Linux tells whole nanoseconds a run, rounded down. */
const ROUNDED_OFF = 0.5;

type Peer = { readonly cases: readonly Case[]; close(): void } | string;

async function linuxCase(templates: readonly Uint8Array[], { times }: Ring): Promise<Peer> {
  try {
    const { LinuxKernel } = await import('../src/linux-kernel.ts');
    const collection = loaded(new LinuxKernel());
    const program = collection.program('firewall');
    const one: Case = {
      name: 'Linux: `BPF_PROG_TEST_RUN`, each packet as often as it comes',
      async run() {
        let [ns, passed] = [0, 0];
        templates.forEach((data, kind) => {
          const repeat = times[kind]!;
          const { retval, durationNs } = program.testRun({ data, repeat });
          ns += (durationNs + ROUNDED_OFF) * repeat;
          if (retval === XDP_PASS) passed += repeat;
        });
        return { ns, passed };
      },
    };
    await one.run();
    return { cases: [one], close: () => collection.close() };
  } catch (error) {
    return `Linux: ${error instanceof Error ? error.message : error}`;
  }
}

function libpcapCases(folder: string, capture: string): Peer {
  const program = join(folder, 'pcap');
  const made = spawnSync('cc', ['-O2', '-Wall', here('c/pcap.c'), '-o', program, '-lpcap'], {
    encoding: 'utf8',
  });
  if (made.status !== 0) return 'libpcap: its peer is not compiled, which needs cc and libpcap-dev';
  const lines = new Lines(program, [capture, FILTER]);
  const ask = (what: string): Case['run'] => {
    return async () => {
      const [ns, passed] = ((await lines.ask(what)) ?? '').split(' ').map(Number);
      return { ns: ns ?? Number.NaN, passed: passed ?? Number.NaN };
    };
  };
  return {
    cases: [
      { name: 'libpcap: the filter over packets in memory', run: ask('memory') },
      { name: 'libpcap: the filter and the reading of the file, as `tcpdump -r`', run: ask('read') },
    ],
    close: () => lines.end(),
  };
}

/** Measures, prints the table and puts it into the report. */
export async function packets(): Promise<void> {
  const random = generator();
  const templates = kinds(random);
  const ring = ringOf(templates, random);
  const folder = mkdtempSync(join(tmpdir(), 'skep-bench-'));
  const capture = join(folder, 'ring.pcap');
  writeFileSync(capture, ring.file);
  const all = [embeddedCases(ring, capture), await linuxCase(templates, ring), libpcapCases(folder, capture)];
  const peers = all.filter((peer) => typeof peer !== 'string');
  const missing = all.filter((peer) => typeof peer === 'string');
  const cases = peers.flatMap((peer) => peer.cases);
  try {
    const times = new Map(cases.map(({ name }) => [name, [] as number[]]));
    const passed = new Set<number>();
    for (let round = 0; round < ROUNDS; round++) {
      for (const { name, run } of cases) {
        const sample = await run();
        times.get(name)!.push(sample.ns / COUNT);
        passed.add(sample.passed);
      }
    }
    if (passed.size !== 1)
      throw new Error(`not the same packets passed everywhere: ${[...passed].join(', ')}`);
    const text = report(times, { ring, passed: [...passed][0]!, missing });
    console.log(text);
    writeSection('Packets', text);
  } finally {
    for (const peer of peers) peer.close();
    rmSync(folder, { recursive: true });
  }
}

/** Who is faster than the fastest way of skep, and how much. */
function losses(times: ReadonlyMap<string, readonly number[]>): string {
  const all = [...times].map(([name, samples]) => ({ name, best: Math.min(...samples) }));
  const ours = Math.min(...all.filter(({ name }) => name.startsWith('skep')).map(({ best }) => best));
  const faster = all
    .filter(({ name, best }) => !name.startsWith('skep') && best < ours)
    .map(
      ({ name, best }) => `- ${name}: ${(ours / best).toFixed(1)} times as fast as \`device.verdicts()\`\n`,
    );
  return faster.length === 0 ? '' : `What loses:\n\n${faster.join('')}\n`;
}

interface Facts {
  readonly ring: Ring;
  readonly passed: number;
  readonly missing: readonly string[];
}

function report(times: ReadonlyMap<string, readonly number[]>, { ring, passed, missing }: Facts): string {
  const rows = [...times].map(([name, all]) => {
    const sorted = all.toSorted((a, b) => a - b);
    const [best, middle] = [sorted[0]!, sorted[sorted.length >> 1]!];
    const rate = (ns: number): string => Math.round(1e9 / ns).toLocaleString('en');
    return [name, best.toFixed(1), middle.toFixed(1), rate(best), rate(middle)];
  });
  const head = ['', 'ns a packet', 'median', 'packets a second', 'median'];
  const average = (ring.file.length - FILE_HEADER) / COUNT - PACKET_HEADER;
  return `Made by \`npm run bench -- packets\`, Node ${process.version}: the firewall of examples/ over a ring of ${COUNT.toLocaleString('en')} packets in
memory, TCP and UDP of ${KINDS.toLocaleString('en')} kinds at random, ${average.toFixed(0)} bytes on average, of which it lets ${passed.toLocaleString('en')} pass and counts all by
protocol and port. One core; ${ROUNDS} rounds in turns, the best and the median.

${markdown([head, ...rows])}

${losses(times)}The device copies each packet into a buffer of its own with room around it, and \`receiveAll\` copies it out again.
Linux is given each kind of packet once and runs it as often as it comes, in its cache, and its own time is what it
tells: no packet is handed over one by one. libpcap (\`bench/c/pcap.c\`) has the filter \`${FILTER}\`,
which counts nothing and keeps no flows.
${missing.map((what) => `\n- Not there: ${what}.`).join('')}`.trimEnd();
}
