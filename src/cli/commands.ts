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
  summary: "what runs programs: 'jit' (the default), WebAssembly, or 'interp', which checks every access",
} as const;
const interp = { summary: 'the same as --engine interp' } as const;
const map = {
  value: 'NAME',
  summary: 'the map of that name only; with --kernel linux, also by its id or pin',
} as const;

const kconfig = {
  value: 'FILE',
  summary: 'values of __kconfig externs: a .config, packed or not; the rest is what the kernel tells',
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
  kconfig,
  engine,
  interp,
} as const satisfies Record<string, Option>;

const noObject = 'without a FILE there is nothing to show: each command line starts a fresh embedded kernel';

const named = 'an id, a name or the path of a pin, after the word id, name or pinned or without it';
const mapWords = `MAP is ${named}. DATA is bytes (12 0 0 0, or hex 0c 00 00 00) or one value in the type that the map's BTF says (12, '{"port":80}').`;

export const commands: readonly Command[] = [
  {
    name: 'run',
    usage: 'FILE [options] [-- CMD [ARG...]]',
    operands: [1, 1],
    summary: 'load an object, attach its programs and feed them packets or system calls',
    details: [
      'Every program is attached by its section. The lines of the trace pipe are printed as they come, then a table of packets by verdict.',
      'With --kernel linux it is attached for real, until Ctrl-C or for as long as the command after -- runs. What programs write into ring buffers, perf buffers and the trace pipe is printed as it comes. A constant target_pid is set to the process of --pid, or to that of the command.',
    ],
    options: {
      ...sources,
      'dump-maps': { summary: 'print every map at the end' },
      kernel,
      pid: {
        value: 'PID',
        summary:
          'of that process alone: probes of user space, events, and programs with a constant target_pid',
      },
      cgroup: { value: 'PATH', summary: 'the cgroup that programs of cgroups are attached to' },
      type: { value: '[MAP=]TYPE', multiple: true, summary: 'the struct that the records of a buffer are' },
      ...common,
    },
    json: '{ programs: [{ name, attached }], verdicts?: { pass: { packets, bytes }, … }, syscalls?, records?: [{ map, record }], trace: [line], traceOmitted, maps?: [{ name, type, entries: [{ key, value }] }] }',
    examples: [
      'skep run firewall.bpf.o --pcap traffic.pcap --set blocked.80=1 --dump-maps',
      'tcpdump -w - | skep run firewall.bpf.o --pcap -',
      'skep run syscount.bpf.o --strace -- ls -l',
      'skep run firewall.bpf.o --kernel linux --device eth1 --dump-maps',
    ],
    takesCommand: true,
    run: async (invocation) => (await import('./run.ts')).run(invocation),
  },
  {
    name: 'verify',
    usage: 'FILE… [options]',
    operands: [1, Number.POSITIVE_INFINITY],
    summary: 'verify every program of objects, and explain what is rejected; exit code 1 when one is',
    options: {
      prog,
      btf: {
        value: 'FILE',
        summary: 'resolve CO-RE relocations against the kernel types of that file (raw BTF, or an object)',
      },
      kconfig,
      'log-level': {
        value: 'N',
        summary: 'print the verifier log: 1 the path that is rejected, 2 every path, 4 statistics',
      },
      baseline: {
        value: 'FILE',
        summary: 'compare with a run saved by --json, or with another object; exit code 1 when it got worse',
      },
      growth: {
        value: 'PERCENT',
        summary: 'with --baseline: more processed instructions than that are worse, too',
      },
      kernel,
      ...common,
    },
    json: '[{ file, name, type, section, accepted, errno?, reason?, insns, processed?, totalStates?, peakStates?, microseconds?, log?, explanation? }], or with --baseline [{ name, before?, after?, worse? }]',
    examples: [
      'skep verify firewall.bpf.o',
      'skep verify firewall.bpf.o --prog firewall --log-level 2',
      'skep verify *.bpf.o --json > baseline.json',
      'skep verify firewall.bpf.o --baseline baseline.json --growth 10',
      'skep verify firewall.bpf.o --kernel linux',
    ],
    run: async (invocation) => (await import('./verify.ts')).verify(invocation),
  },
  {
    name: 'prog show',
    aliases: ['prog list'],
    usage: 'FILE | [PROG] --kernel linux',
    operands: [0, 2],
    summary: 'list the programs of an object, or of the running kernel',
    details: [`A FILE is needed: ${noObject}. PROG is ${named}.`],
    options: { kernel, ...common },
    json: '[{ name, type, section, insns, license, autoload, maps: [name] }], or [{ id, name, typeName, tag, … }]',
    examples: ['skep prog show firewall.bpf.o', 'skep prog show --kernel linux'],
    run: async (invocation) => (await import('./prog.ts')).show(invocation),
  },
  {
    name: 'prog dump',
    usage: '[raw|xlated|jited] FILE [PROG] | id N | pinned PATH | name NAME [opcodes] [linum] [options]',
    operands: [1, 6],
    summary: 'print the instructions of programs, with their C source where the object has it',
    details: [
      'raw (the default) prints them as the object has them, xlated as the kernel runs them, which loads the object, jited as the WebAssembly that the embedded kernel makes of them. opcodes adds the bytes of each instruction, linum the file and line of each line of source.',
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
      'skep prog dump jited firewall.bpf.o',
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
      kconfig,
      engine,
      interp,
      kernel,
      ...common,
    },
    json: '{ retval, durationNs, dataSizeOut, ctxSizeOut }',
    examples: ['skep prog run firewall.bpf.o --data-in packet.bin --repeat 1000 --json'],
    run: async (invocation) => (await import('./prog-run.ts')).testRun(invocation),
  },
  {
    name: 'prog load',
    usage: 'FILE PATH [pinmaps DIRECTORY] --kernel linux',
    operands: [2, 4],
    summary: 'load a program into the running kernel and pin it in a BPF file system',
    options: {
      prog: { value: 'NAME', summary: 'which program (needed where the object has several)' },
      set: sources.set,
      kconfig,
      kernel,
      help,
    },
    examples: ['skep prog load firewall.bpf.o /sys/fs/bpf/firewall --kernel linux'],
    run: async (invocation) => (await import('./live-objects.ts')).load(invocation),
  },
  {
    name: 'prog loadall',
    usage: 'FILE DIRECTORY [pinmaps DIRECTORY] --kernel linux',
    operands: [2, 4],
    summary: 'load every program of an object into the running kernel and pin each under its name',
    options: { set: sources.set, kernel, help },
    examples: ['skep prog loadall tailcall.bpf.o /sys/fs/bpf/calls pinmaps /sys/fs/bpf/maps --kernel linux'],
    run: async (invocation) => (await import('./live-objects.ts')).loadAll(invocation),
  },
  {
    name: 'prog pin',
    usage: 'PROG PATH --kernel linux',
    operands: [2, 3],
    summary: 'give a program of the running kernel a name in a BPF file system',
    details: [`PROG is ${named}.`],
    options: { kernel, help },
    examples: ['skep prog pin id 27 /sys/fs/bpf/kept --kernel linux'],
    run: async (invocation) => (await import('./live-objects.ts')).pinProgram(invocation),
  },
  {
    name: 'prog tracelog',
    usage: '--kernel linux',
    operands: [0, 0],
    summary: 'print the trace pipe of the running kernel until Ctrl-C',
    options: { kernel, help },
    examples: ['skep prog tracelog --kernel linux'],
    run: async (invocation) => (await import('./live-objects.ts')).traceLog(invocation),
  },
  {
    name: 'link show',
    aliases: ['link list'],
    usage: '[LINK] --kernel linux',
    operands: [0, 2],
    summary: 'list what is attached by links to the running kernel',
    details: ['LINK is an id or the path of a pin, after the word id or pinned or without it.'],
    options: { kernel, ...common },
    json: '[{ id, type, typeName, programId }]',
    examples: ['skep link show --kernel linux'],
    run: async (invocation) => (await import('./live-objects.ts')).showLinks(invocation),
  },
  {
    name: 'link pin',
    usage: 'LINK PATH --kernel linux',
    operands: [2, 3],
    summary: 'keep a link of the running kernel under a name in a BPF file system',
    options: { kernel, help },
    examples: ['skep link pin id 4 /sys/fs/bpf/link --kernel linux'],
    run: async (invocation) => (await import('./live-objects.ts')).pinLink(invocation),
  },
  {
    name: 'link detach',
    usage: 'LINK --kernel linux',
    operands: [1, 2],
    summary: 'detach a link of the running kernel, whoever else refers to it',
    options: { kernel, help },
    examples: ['skep link detach pinned /sys/fs/bpf/link --kernel linux'],
    run: async (invocation) => (await import('./live-objects.ts')).detachLink(invocation),
  },
  {
    name: 'map show',
    aliases: ['map list'],
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
    name: 'map create',
    usage: 'PATH type TYPE key BYTES value BYTES entries N name NAME [flags N] --kernel linux',
    operands: [3, 13],
    summary: 'make a map of the running kernel and pin it in a BPF file system',
    options: { kernel, help },
    examples: [
      'skep map create /sys/fs/bpf/blocked type hash key 4 value 4 entries 64 name blocked --kernel linux',
    ],
    run: async (invocation) => (await import('./live-elements.ts')).create(invocation),
  },
  {
    name: 'map lookup',
    usage: 'MAP key DATA --kernel linux',
    operands: [3, 80],
    summary: 'print one element of a map of the running kernel',
    details: [mapWords],
    options: { kernel, ...common },
    json: '{ key?, value? }',
    examples: ['skep map lookup name blocked key 80 --kernel linux'],
    run: async (invocation) => (await import('./live-elements.ts')).lookup(invocation),
  },
  {
    name: 'map update',
    usage: 'MAP key DATA value DATA [any|exist|noexist] --kernel linux',
    operands: [5, 4096],
    summary: 'write one element',
    details: [mapWords],
    options: { kernel, help },
    examples: ['skep map update name blocked key 80 value 1 --kernel linux'],
    run: async (invocation) => (await import('./live-elements.ts')).update(invocation),
  },
  {
    name: 'map delete',
    usage: 'MAP key DATA --kernel linux',
    operands: [3, 80],
    summary: 'remove one element',
    details: [mapWords],
    options: { kernel, help },
    examples: ['skep map delete id 12 key hex 50 00 00 00 --kernel linux'],
    run: async (invocation) => (await import('./live-elements.ts')).remove(invocation),
  },
  {
    name: 'map getnext',
    usage: 'MAP [key DATA] --kernel linux',
    operands: [1, 80],
    summary: 'print the key behind a key, or the first one',
    details: [mapWords],
    options: { kernel, ...common },
    json: '{ key?, value? }',
    examples: ['skep map getnext name blocked --kernel linux'],
    run: async (invocation) => (await import('./live-elements.ts')).getNext(invocation),
  },
  {
    name: 'map push',
    aliases: ['map enqueue'],
    usage: 'MAP value DATA --kernel linux',
    operands: [3, 4096],
    summary: 'put a value into a queue, stack or Bloom filter',
    details: [mapWords],
    options: { kernel, help },
    examples: ['skep map push name jobs value 7 --kernel linux'],
    run: async (invocation) => (await import('./live-elements.ts')).push(invocation),
  },
  {
    name: 'map pop',
    aliases: ['map dequeue'],
    usage: 'MAP --kernel linux',
    operands: [1, 2],
    summary: 'take the next value out of a queue or stack',
    options: { kernel, ...common },
    json: '{ key?, value? }',
    examples: ['skep map pop name jobs --kernel linux'],
    run: async (invocation) => (await import('./live-elements.ts')).pop(invocation),
  },
  {
    name: 'map peek',
    usage: 'MAP --kernel linux',
    operands: [1, 2],
    summary: 'print the next value of a queue or stack',
    options: { kernel, ...common },
    json: '{ key?, value? }',
    examples: ['skep map peek name jobs --kernel linux'],
    run: async (invocation) => (await import('./live-elements.ts')).peek(invocation),
  },
  {
    name: 'map freeze',
    usage: 'MAP --kernel linux',
    operands: [1, 2],
    summary: 'forbid user space to write a map',
    options: { kernel, help },
    examples: ['skep map freeze name blocked --kernel linux'],
    run: async (invocation) => (await import('./live-elements.ts')).freeze(invocation),
  },
  {
    name: 'map pin',
    usage: 'MAP PATH --kernel linux',
    operands: [2, 3],
    summary: 'give a map a name in a BPF file system',
    options: { kernel, help },
    examples: ['skep map pin name blocked /sys/fs/bpf/blocked --kernel linux'],
    run: async (invocation) => (await import('./live-elements.ts')).pin(invocation),
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
      'Records of a ring buffer or perf buffer have the type that a declaration tag of its map says, record:NAME, or else the struct of its name, without an s at the end: events, struct event.',
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
