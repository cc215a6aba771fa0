/**
 * The one table of commands. Parsing, help and dispatch read it; nothing heavy is imported until a command
 * runs.
 */
import type { Invocation } from './invocation.ts';
import type { CommandSyntax, Option } from './syntax.ts';

export interface Command extends CommandSyntax {
  /** Runs it; the exit code. */
  readonly run: (invocation: Invocation) => Promise<number>;
}

const help = { short: 'h', summary: 'show this help' } as const;
const json = { summary: 'print JSON: 64-bit integers beyond 2^53 as decimal strings, bytes as hex' } as const;
const common = { json, help } as const;
const prog = { value: 'NAME', summary: 'the program of that name only' } as const;
const kernel = {
  value: 'NAME',
  summary: "'embedded' (the default), or 'linux': the running kernel, by bpf(2)",
} as const;
const engine = {
  value: 'NAME',
  summary: "what runs programs: 'interp' (the default), which checks every access, or 'jit', WebAssembly",
} as const;
const map = {
  value: 'NAME',
  summary: 'the map of that name only; with --kernel linux, also by its id or pin',
} as const;

/** How a program gets its input: shared by the commands that run one. */
const sources = {
  pcap: { value: 'FILE', summary: 'play a capture (pcap or pcapng; - is standard input) into the device' },
  strace: {
    value: 'FILE',
    optional: true,
    summary: 'play a recorded strace, or (before -- CMD) trace a command now, into raw_syscalls',
  },
  attach: {
    value: '[PROG=]HOOK',
    multiple: true,
    summary: 'attach to xdp, tracepoint:GROUP/NAME or raw_tracepoint:NAME, not by the section',
  },
  device: { value: 'NAME', summary: 'the name of the network device (default eth0)' },
  set: {
    value: 'NAME=VALUE',
    multiple: true,
    summary: 'set a global variable, or an element of a map: MAP.KEY=VALUE',
  },
  engine,
} as const satisfies Record<string, Option>;

const noObject = 'without a FILE there is nothing to show: each command line starts a fresh embedded kernel';

export const commands: readonly Command[] = [
  {
    name: 'run',
    usage: 'FILE [options] [-- CMD [ARG...]]',
    operands: [1, 1],
    summary: 'load an object, attach its programs and feed them packets or system calls',
    details: [
      'Every program is attached by its section. The lines of the trace pipe are printed as they come, then a table of packets by verdict.',
    ],
    options: {
      ...sources,
      'dump-maps': { summary: 'print every map at the end' },
      ...common,
    },
    json: '{ programs: [{ name, attached }], verdicts?: { pass: { packets, bytes }, … }, syscalls?, trace: [line], traceOmitted, maps?: [{ name, type, entries: [{ key, value }] }] }',
    examples: [
      'skep run firewall.bpf.o --pcap traffic.pcap --set blocked.80=1 --dump-maps',
      'tcpdump -w - | skep run firewall.bpf.o --pcap -',
      'skep run syscount.bpf.o --strace -- ls -l',
    ],
    takesCommand: true,
    run: async (invocation) => (await import('./run.ts')).run(invocation),
  },
  {
    name: 'verify',
    usage: 'FILE [options]',
    operands: [1, 1],
    summary: 'verify every program of an object; exit code 1 when one is rejected',
    options: {
      prog,
      btf: {
        value: 'FILE',
        summary: 'resolve CO-RE relocations against the kernel types of that file (raw BTF, or an object)',
      },
      'log-level': {
        value: 'N',
        summary: 'print the verifier log: 1 the path that is rejected, 2 every path, 4 statistics',
      },
      kernel,
      ...common,
    },
    json: '[{ name, type, section, accepted, errno?, reason?, insns, processed?, totalStates?, peakStates?, microseconds?, log? }]',
    examples: [
      'skep verify firewall.bpf.o',
      'skep verify firewall.bpf.o --prog firewall --log-level 2',
      'skep verify firewall.bpf.o --kernel linux',
    ],
    run: async (invocation) => (await import('./verify.ts')).verify(invocation),
  },
  {
    name: 'prog show',
    usage: 'FILE [options]',
    operands: [1, 1],
    summary: 'list the programs of an object',
    options: common,
    json: '[{ name, type, section, insns, license, autoload, maps: [name] }]',
    examples: ['skep prog show firewall.bpf.o'],
    run: async (invocation) => (await import('./prog.ts')).show(invocation),
  },
  {
    name: 'prog dump',
    usage: '[raw|xlated] FILE [PROG] | id N | pinned PATH | name NAME [opcodes] [linum] [options]',
    operands: [1, 6],
    summary: 'print the instructions of programs, with their C source where the object has it',
    details: [
      'raw (the default) prints them as the object has them, xlated as the kernel runs them, which loads the object. opcodes adds the bytes of each instruction, linum the file and line of each line of source.',
      'With --kernel linux, id, pinned and name are of programs that the kernel has.',
    ],
    options: {
      prog,
      visual: {
        value: 'FORMAT',
        optional: true,
        summary: "the control flow, as 'dot' for Graphviz (the default) or as a picture, 'svg'",
      },
      kernel,
      ...common,
    },
    json: '[{ name, insns: [{ slot, opcode, text, proto?, source?, file?, line? }] }]',
    examples: [
      'skep prog dump firewall.bpf.o --prog firewall',
      'skep prog dump xlated firewall.bpf.o firewall linum',
      'skep prog dump firewall.bpf.o --visual svg > firewall.svg',
      'skep prog dump xlated id 42 --kernel linux',
    ],
    run: async (invocation) => (await import('./prog-dump.ts')).dump(invocation),
  },
  {
    name: 'prog run',
    usage: 'FILE [options]',
    operands: [1, 1],
    summary: 'run a program once or more on test input',
    options: {
      prog: { value: 'NAME', summary: 'which program (needed where the object has several)' },
      'data-in': { value: 'FILE', summary: 'the packet (- is standard input)' },
      'data-out': { value: 'FILE', summary: 'write the packet after the run (- is standard output)' },
      'ctx-in': { value: 'FILE', summary: 'the context' },
      'ctx-out': { value: 'FILE', summary: 'write the context after the run' },
      repeat: { value: 'N', summary: 'how many runs (default 1)' },
      set: sources.set,
      engine,
      kernel,
      ...common,
    },
    json: '{ retval, durationNs, dataSizeOut, ctxSizeOut }',
    examples: ['skep prog run firewall.bpf.o --data-in packet.bin --repeat 1000 --json'],
    run: async (invocation) => (await import('./prog-run.ts')).testRun(invocation),
  },
  {
    name: 'map show',
    usage: 'FILE [options] [-- CMD [ARG...]]',
    operands: [0, 1],
    summary: 'load an object, run it on what is given, and list its maps',
    details: [
      `A FILE is needed: ${noObject}. With --kernel linux, it is about the maps of the running kernel.`,
    ],
    options: { map, ...sources, kernel, ...common },
    json: '[{ id?, name, type, keySize, valueSize, maxEntries, flags, entries? }]',
    examples: ['skep map show firewall.bpf.o', 'skep map show --kernel linux'],
    takesCommand: true,
    run: async (invocation) => (await import('./map.ts')).show(invocation),
  },
  {
    name: 'map dump',
    usage: 'FILE [options] [-- CMD [ARG...]]',
    operands: [0, 1],
    summary: 'load an object, run it on what is given, and print what its maps hold, as bpftool does',
    details: [
      `A FILE is needed: ${noObject}. With --kernel linux, it is about the maps of the running kernel.`,
    ],
    options: {
      map,
      ...sources,
      kernel,
      json: { short: 'j', summary: "print JSON, as 'bpftool -j map dump'" },
      pretty: { short: 'p', summary: 'print JSON on several lines' },
      help,
    },
    json: '[{ key: [hex], value: [hex], formatted?: { key, value } }], of several maps [{ name, type, elements: […] }]',
    examples: [
      'skep map dump syscount.bpf.o --strace ls.strace --map counts --json',
      'skep map dump --kernel linux --map counts',
    ],
    takesCommand: true,
    run: async (invocation) => (await import('./map.ts')).dump(invocation),
  },
  {
    name: 'btf dump',
    usage: '[file] FILE | id N | map MAP [key|value|kv|all] | prog PROG [format raw|c]',
    operands: [1, 6],
    summary: 'print the types of an object, of raw BTF, or of what a running kernel has',
    details: [
      'raw lists them as they are numbered, as bpftool does. c writes a header for BPF programs, in which every struct has the layout that BTF says.',
      'id, map and prog ask the running kernel, with --kernel linux. A map or program is given by its id, name or pin. Of a map, the types of keys and values are printed, but all with the word all.',
    ],
    options: {
      'base-btf': {
        value: 'FILE',
        short: 'B',
        summary:
          "the types that a module's go on from (/sys/kernel/btf/vmlinux for those in /sys/kernel/btf)",
      },
      kernel,
      json: { short: 'j', summary: "print JSON, as 'bpftool -j btf dump'" },
      help,
    },
    json: '{ types: [{ id, kind, name, … }] }',
    examples: [
      'skep btf dump firewall.bpf.o',
      'skep btf dump file /sys/kernel/btf/vmlinux format c > vmlinux.h',
      'skep btf dump --kernel linux map counts kv',
    ],
    run: async (invocation) => (await import('./btf.ts')).dump(invocation),
  },
  {
    name: 'gen object',
    usage: 'OUTPUT FILE [FILE...]',
    operands: [2, 1024],
    summary: 'link objects into one',
    details: [
      'Sections of one name are put behind each other in the order of the files; what one declares (extern) another may define. A weak definition gives way to a strong one. Debug information is left out.',
    ],
    options: { help },
    examples: ['skep gen object all.bpf.o first.bpf.o second.bpf.o'],
    run: async (invocation) => (await import('./gen-object.ts')).genObject(invocation),
  },
  {
    name: 'gen ts',
    usage: 'FILE [-o FILE.ts] [--embed]',
    operands: [1, 1],
    summary: 'write a TypeScript module with the types of an object and a function that loads it',
    details: [
      'It has the types of every map, variable and program, by name. Without --embed, the module reads the object from where it is now.',
    ],
    options: {
      output: { value: 'FILE', short: 'o', summary: 'write to that file (- is standard output)' },
      embed: { summary: 'carry the bytes of the object in the module' },
      help,
    },
    examples: [
      'skep gen ts firewall.bpf.o -o firewall.ts',
      'skep gen ts firewall.bpf.o --embed > firewall.ts',
    ],
    run: async (invocation) => (await import('./gen.ts')).genTs(invocation),
  },
  {
    name: 'asm',
    usage: '[FILE|-] [options]',
    operands: [0, 1],
    summary: 'assemble text into instructions',
    details: ['Prints the bytes in hex, one instruction a line; -o writes them raw.'],
    options: {
      output: { value: 'FILE', short: 'o', summary: 'write raw bytes (- is standard output)' },
      ...common,
    },
    json: '{ insnCount, insns }',
    examples: ["echo 'r0 = 11; exit' | skep asm", 'skep asm prog.s -o prog.bin'],
    run: async (invocation) => (await import('./asm.ts')).asm(invocation),
  },
  {
    name: 'disasm',
    usage: 'FILE|- [options]',
    operands: [0, 1],
    summary: 'print the instructions of an object, of raw bytes, or of hex text',
    options: common,
    json: '[{ name?, text: [line] }]',
    examples: ['skep disasm firewall.bpf.o', "echo 'b7000000 0b000000 95000000 00000000' | skep disasm -"],
    run: async (invocation) => (await import('./asm.ts')).disasm(invocation),
  },
  {
    name: 'help',
    usage: '[COMMAND]',
    operands: [0, 2],
    summary: 'show help',
    options: { help },
    examples: ['skep help prog run'],
    run: async (invocation) => (await import('./help.ts')).help(invocation, commands),
  },
];
