/**
 * The tour that `npm start` prints: four things to do with BPF programs, on the embedded kernel. It uses
 * nothing but the package and the files beside it.
 */
import { createReadStream, readFileSync } from 'node:fs';
import {
  assemble,
  type Map as BpfMap,
  encode,
  formatInsn,
  Kernel,
  LoadError,
  openObject,
  setVariables,
} from 'skep';
import { rawInsns } from 'skep/isa';
import { dissect, ethernet } from 'skep/packet';
import { parseStrace, playCapture, playStrace, syscallName } from 'skep/sources';
import { bar, bold, cyan, dim, green, heading, print, quote, red, show, table, yellow } from './print.ts';

const file = (name: string): URL => new URL(name, import.meta.url);
const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
/** The verifier's walk in its log, without the tables before and the statistics after it. */
function walkOf(log: string): string[] {
  const lines = log.split('\n').filter((line) => line !== '');
  const start = lines.findIndex((line) => line.startsWith('0: '));
  const end = lines.findIndex((line) => /^(processed|verification time|stack depth) /.test(line));
  return lines.slice(Math.max(start, 0), end < 0 ? lines.length : end);
}

/** 1. The smallest program, from text to its result. */
function smallest(kernel: Kernel): void {
  heading(1, 'The smallest program');
  const slots = assemble('r0 = 11\nexit');
  const bytes = encode(slots);
  print('Two instructions, assembled from text. Eight bytes each, in five fields:', '');
  table(
    ['bytes', '>opcode', '>dst', '>src', '>off', '>imm', 'text'],
    rawInsns(bytes).map((raw, slot) => {
      const insn = slots[slot];
      const text = insn === undefined ? '' : formatInsn(insn);
      const opcode = `0x${raw.opcode.toString(16)}`;
      const fields = [opcode, `r${raw.dst}`, `r${raw.src}`, String(raw.off), String(raw.imm)];
      return [dim(hex(bytes.subarray(8 * slot, 8 * slot + 8))), ...fields, bold(text)];
    }),
  );
  const program = kernel.loadProgram(
    { type: 'socket_filter', name: 'smallest', insns: slots },
    { logLevel: 2 },
  );
  print('', 'Before it may run, the verifier walks every path through it and follows each register:', '');
  quote(walkOf(program.log));
  const { retval } = program.testRun({ data: ethernet().ipv4().tcp().build() });
  print('', `Run on a packet, it returns ${bold(String(retval))}.`);
  program.close();
}

/** 2. A program that the verifier does not let in. */
function refused(kernel: Kernel): void {
  heading(2, 'A program that is refused');
  print(`Only ${bold('exit')}. The verifier's own words:`, '');
  try {
    kernel
      .loadProgram({ type: 'socket_filter', name: 'refused', insns: assemble('exit') }, { logLevel: 2 })
      .close();
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    quote(walkOf(error.log).map((line) => (line === error.reason ? red(line) : line)));
    print('', 'Why: r0 is what a program returns, and nothing has been written to it on the way to exit.');
  }
}

const protocols = new Map([
  [0, 'not IP'],
  [1, 'ICMP'],
  [6, 'TCP'],
  [17, 'UDP'],
  [58, 'ICMPv6'],
]);
/** Those of which only a later fragment has no port. */
const hasPorts = [6, 17];
const services = new Map([
  [53, 'DNS'],
  [80, 'HTTP'],
  [443, 'HTTPS'],
]);

interface Flow {
  protocol: number;
  port: number;
}

interface Traffic {
  passed: bigint;
  dropped: bigint;
  bytes: bigint;
}

/** The packets that the tour shows one by one: the first of each kind. */
class Samples {
  private readonly seen = new Set<string>();

  /** True for the first packet of its kind. */
  isNew(data: Uint8Array): boolean {
    const { arp, vlans, ipv6, tcp, udp, icmp, fragment } = dissect(data);
    const ports = tcp ?? udp;
    const port = ports === undefined ? '' : Math.min(ports.srcPort, ports.dstPort);
    const layers = [
      arp && 'arp',
      ipv6 && 6,
      tcp && 'tcp',
      udp && 'udp',
      icmp && 'icmp',
      fragment && fragment.offset > 0,
    ];
    const kind = [vlans.length, ...layers, port].join();
    if (this.seen.has(kind)) return false;
    this.seen.add(kind);
    return true;
  }
}

function printFlows(flows: BpfMap<Flow, Traffic>): void {
  const packets = ({ passed, dropped }: Traffic): number => Number(passed + dropped);
  const rows = [...flows.entries()].sort(
    ([f, a], [g, b]) => packets(b) - packets(a) || f.protocol - g.protocol || f.port - g.port,
  );
  const most = Math.max(...rows.map(([, traffic]) => packets(traffic)));
  table(
    ['protocol', '>port', 'service', '>passed', '>dropped', '>bytes', ''],
    rows.map(([{ protocol, port }, { passed, dropped, bytes }]) => [
      protocols.get(protocol) ?? String(protocol),
      port === 0 ? dim('–') : String(port),
      services.get(port) ?? (port === 0 && hasPorts.includes(protocol) ? dim('later fragments') : ''),
      passed > 0n ? green(String(passed)) : dim('0'),
      dropped > 0n ? red(String(dropped)) : dim('0'),
      String(bytes),
      green(bar(Number(passed), most, 20)) + red(bar(Number(dropped), most, 20, '░')),
    ]),
  );
}

/** 3. An object that clang compiled, on packets that tcpdump recorded. */
async function firewall(kernel: Kernel): Promise<void> {
  heading(3, 'A firewall, on real packets');
  const collection = kernel.load(readFileSync(file('firewall.bpf.o')));
  const program = collection.program('firewall');
  const blocked = collection.map<number, number>('blocked');
  const flows = collection.map<Flow, Traffic>('flows');
  print(
    `examples/firewall.bpf.c, compiled by clang to ${program.instructions().length / 8} instructions, attached to a device (XDP).`,
    'User space puts port 80 into the map of blocked ports, and two hosts start to talk:',
    '',
  );
  blocked.set(80, 1);
  const device = kernel.embedded.devices.add('eth0');
  const link = program.attach({ device: 'eth0' });
  const samples = new Samples();
  const count = await playCapture(
    createReadStream(file('captures/network.pcap')),
    device,
    ({ data }, { action }) => {
      if (!samples.isNew(data)) return;
      const summary = dissect(data).summary;
      print(
        `${action === 1 ? red('drop') : green('pass')}  ${summary.length > 88 ? `${summary.slice(0, 87)}…` : summary}`,
      );
    },
  );
  print(dim(`      … ${count} packets in all, of examples/captures/network.pcap`), '');
  printFlows(flows);
  print('', 'The maps, typed by what clang says of their C types (BTF):', '');
  const dump = (name: string, map: BpfMap<unknown, unknown>): void => {
    for (const [key, value] of map.entries()) print(`${cyan(name)}  ${show(key)} ${dim('→')} ${show(value)}`);
  };
  dump('blocked', collection.map('blocked'));
  dump('flows  ', collection.map('flows'));
  link.close();
  collection.close();
}

/** 4. System calls of a recorded command, counted in the kernel. */
async function syscalls(kernel: Kernel): Promise<void> {
  heading(4, 'Counting system calls');
  const lines = readFileSync(file('captures/ls.strace'), 'utf8').trimEnd().split('\n');
  let pid = 0;
  for await (const { task } of parseStrace(lines)) if (task.comm === 'ls') pid = task.pid;

  const spec = openObject(readFileSync(file('syscount.bpf.o')));
  setVariables(spec, { target_pid: pid });
  const collection = kernel.load(spec);
  const link = collection.program('count_syscall').attach();
  const count = await playStrace(lines, kernel.embedded.tracepoints);
  print(
    `examples/syscount.bpf.c, attached to the tracepoint raw_syscalls:sys_enter. Into it are played`,
    `the ${count} system calls that strace recorded of \`ls -l /usr | wc -l\`. It counts those of`,
    `process ${pid}, which is ls:`,
    '',
  );
  const calls = [...collection.map<number, bigint>('calls').entries()].sort(([, a], [, b]) => Number(b - a));
  const most = Number(calls[0]?.[1] ?? 1n);
  const top = calls.slice(0, 10);
  table(
    ['system call', '>number', '>calls', ''],
    top.map(([nr, n]) => [
      bold(syscallName(nr) ?? '?'),
      dim(String(nr)),
      String(n),
      yellow(bar(Number(n), most, 40)),
    ]),
  );
  const others = calls.slice(10);
  if (others.length > 0) {
    const sum = others.reduce((total, [, n]) => total + n, 0n);
    print(dim(`and ${others.length} others, ${sum} calls`));
  }
  print('', 'It also writes each read() to the trace pipe:', '');
  const trace = kernel.embedded.tracePipe.take().map((line) => line.trimStart());
  quote([...trace.slice(0, 6), dim(`… ${trace.length - 6} more`)]);
  link.close();
  collection.close();
}

print(
  '',
  `${bold('skep')}: the eBPF system in TypeScript. All of this ran in one process, on no kernel but its own.`,
);
const kernel = new Kernel();
try {
  smallest(kernel);
  refused(kernel);
  await firewall(kernel);
  await syscalls(kernel);
} finally {
  kernel.close();
}
print('', `Next: ${bold('npx skep --help')}, examples/, README.md`, '');
