/**
 * What the commands print, for people and as JSON, and their exit codes.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { command, example, scratch, skep } from './skep.ts';

const files = scratch();
after(() => files.remove());

const firewall = example('firewall.bpf.o');
const pcap = example('captures/network.pcap');
const strace = example('captures/ls.strace');

/** The standard output of a command that succeeds, as JSON. */
function json<T>(args: readonly string[], input?: string): T {
  const ran = skep([...args, '--json'], input === undefined ? {} : { input });
  assert.equal(ran.code, 0, ran.stderr);
  return JSON.parse(ran.stdout) as T;
}

/** An object whose program the verifier rejects: its first instruction copies a register that is not set. */
function rejected(): string {
  const { insns } = json<{ insns: { slot: number }[] }[]>(['prog', 'dump', firewall])[0] ?? { insns: [] };
  assert.ok(insns.length > 0);
  const bytes = Uint8Array.from(readFileSync(firewall));
  // r8 = *(u32 *)(r1 +4), the program's first instruction.
  const first = Buffer.from(bytes.buffer).indexOf(Buffer.from('6118040000000000', 'hex'));
  assert.ok(first > 0);
  bytes.set(Buffer.from('bf08000000000000', 'hex'), first);
  return files.write('rejected.o', bytes);
}

interface Report {
  programs: { name: string; attached: string | null }[];
  verdicts?: Record<string, { packets: number; bytes: number }>;
  syscalls?: number;
  trace: string[];
  traceOmitted: number;
  maps?: { name: string; type: string; entries: { key: unknown; value: unknown }[] }[];
}

test('run: a capture through a firewall', () => {
  const args = ['run', firewall, '--pcap', pcap, '--set', 'blocked.80=1', '--dump-maps'];
  const open = json<Report>(['run', firewall, '--pcap', pcap]);
  const closed = json<Report>(args);
  assert.deepEqual(closed.programs, [{ name: 'firewall', attached: 'xdp:eth0' }]);
  assert.ok(open.verdicts !== undefined && closed.verdicts !== undefined);
  const { pass, drop, aborted } = closed.verdicts;
  assert.ok(pass !== undefined && drop !== undefined && pass.packets > 0 && drop.packets > 0);
  assert.deepEqual(open.verdicts['drop'], { packets: 0, bytes: 0 });
  assert.equal(pass.packets + drop.packets, open.verdicts['pass']?.packets);
  assert.equal(pass.bytes + drop.bytes, open.verdicts['pass']?.bytes);
  assert.equal(aborted?.packets, 0);
  const maps = Object.fromEntries((closed.maps ?? []).map(({ name, entries }) => [name, entries]));
  assert.deepEqual(maps['blocked'], [{ key: 80, value: 1 }]);
  const web = maps['flows']?.find(({ key }) => (key as { port: number }).port === 80);
  assert.ok(web !== undefined);
  assert.equal((web.value as { dropped: number }).dropped, drop.packets);

  const people = skep(args);
  assert.equal(people.code, 0);
  assert.match(people.stdout, /^VERDICT +PACKETS +BYTES\n/);
  assert.match(people.stdout, new RegExp(`^drop +${drop.packets} +${drop.bytes}$`, 'm'));
  assert.match(people.stdout, /^blocked \(hash, 1 of 1024\)\n {2}KEY {2}VALUE\n {2}80 {3}1$/m);
  assert.match(people.stdout, /\{ protocol: 6, port: 80 \} +\{ passed: 0, dropped: \d+, bytes: \d+ \}/);
  assert.ok(!people.stdout.includes('\u001b'), 'no colours into a pipe');
});

test('run: a capture on standard input', () => {
  const ran = skep(['run', firewall, '--pcap', '-', '--json'], { input: new Uint8Array(readFileSync(pcap)) });
  assert.equal(ran.code, 0, ran.stderr);
  assert.deepEqual(
    (JSON.parse(ran.stdout) as Report).verdicts,
    json<Report>(['run', firewall, '--pcap', pcap]).verdicts,
  );
});

test('run: recorded system calls', () => {
  const report = json<Report>(['run', example('callers.bpf.o'), '--strace', strace, '--dump-maps']);
  assert.deepEqual(report.programs, [{ name: 'count_caller', attached: 'raw_tracepoint:sys_enter' }]);
  assert.ok((report.syscalls ?? 0) > 100);
  const entries = report.maps?.find(({ name }) => name === 'callers')?.entries ?? [];
  const total = entries.reduce((sum, { value }) => sum + (value as number), 0);
  assert.equal(total, report.syscalls);
  const commands = entries.map(({ key }) => (key as { comm: string }).comm);
  for (const comm of ['sh', 'ls', 'wc']) assert.ok(commands.includes(comm), comm);
});

test('run: a command traced now', (t) => {
  if (spawnSync('strace', ['-f', 'true']).status !== 0) return t.skip('strace does not work here');
  const args = ['run', example('callers.bpf.o'), '--strace', '--dump-maps', '--json', '--', 'echo', 'hello'];
  const ran = skep(args);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stderr, /^hello$/m, 'its output does not mix with the report');
  const report = JSON.parse(ran.stdout) as Report;
  assert.ok((report.syscalls ?? 0) > 5);
  const entries = report.maps?.find(({ name }) => name === 'callers')?.entries ?? [];
  assert.ok(entries.some(({ key }) => (key as { comm: string }).comm === 'echo'));
});

test('run: what is counted before a capture breaks off is reported', () => {
  const whole = readFileSync(pcap);
  const cut = files.write('cut.pcap', whole.subarray(0, whole.length - 5));
  const ran = skep(['run', firewall, '--pcap', cut]);
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /cut\.pcap: the capture ends in the middle of/);
  assert.match(ran.stdout, /^total +\d{2,} +\d+$/m);
});

test('run: Ctrl-C stops it, and what was counted is reported', async () => {
  const [node = '', ...before] = command;
  const child = spawn(node, [...before, 'run', firewall, '--pcap', '-'], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.write(readFileSync(pcap));
  child.stdin.on('error', () => {});
  let stdout = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  // It says what it attached when it is about to read.
  await once(child.stderr, 'data');
  setTimeout(() => child.kill('SIGINT'), 300);
  const [code] = await once(child, 'close');
  assert.equal(code, 130);
  assert.match(stdout, /^total +\d+ +\d+$/m);
});

test('run: without input it says so', () => {
  const { code, stderr } = skep(['run', firewall]);
  assert.equal(code, 0);
  assert.match(stderr, /nothing to run the programs on \(give it --pcap FILE, or --strace\)/);
});

test('run: of several XDP programs the one that is not tail-called is attached, or the one named', () => {
  const tailcall = example('tailcall.bpf.o');
  const attached = (extra: string[]) =>
    json<Report>(['run', tailcall, ...extra]).programs.filter((each) => each.attached !== null);
  assert.deepEqual(attached([]), [{ name: 'dispatch', attached: 'xdp:eth0' }]);
  assert.deepEqual(attached(['--attach', 'on_ipv4=xdp', '--device', 'wan']), [
    { name: 'on_ipv4', attached: 'xdp:wan' },
  ]);
});

test('verify: accepted', () => {
  const ran = skep(['verify', firewall]);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(
    ran.stdout,
    /^PROGRAM +TYPE +VERDICT +INSNS +PROCESSED +STATES +TIME\nfirewall +xdp +accepted +\d+ +\d+ +\d+ +\d+ µs\n$/,
  );
  const [verdict] = json<{ name: string; accepted: boolean; processed: number; log?: string }[]>([
    'verify',
    firewall,
  ]);
  assert.equal(verdict?.accepted, true);
  assert.ok((verdict?.processed ?? 0) > 100);
  assert.equal(verdict?.log, undefined);
});

test('verify: rejected, and why', () => {
  const object = rejected();
  const ran = skep(['verify', object]);
  assert.equal(ran.code, 1);
  assert.equal(ran.stderr, "skep: program 'firewall' rejected: R0 !read_ok\n");
  assert.match(ran.stdout, /^ {2}insn 0: r8 = r0$/m);
  assert.match(ran.stdout, /^ {2}known: {2}on this path nothing was ever written to R0/m);
  assert.match(ran.stdout, /^ {2}needed: a value in R0 on every path/m);
  assert.match(ran.stdout, /firewall +xdp +rejected \(EACCES\)/);
  const { code, stdout } = skep(['verify', object, '--json']);
  assert.equal(code, 1);
  const [verdict] = JSON.parse(stdout) as { accepted: boolean; errno: string; reason: string; log: string }[];
  assert.deepEqual([verdict?.accepted, verdict?.errno, verdict?.reason], [false, 'EACCES', 'R0 !read_ok']);
  assert.match(verdict?.log ?? '', /R0 !read_ok/);
  const loaded = skep(['run', object]);
  assert.equal(loaded.code, 1);
  assert.match(
    loaded.stderr,
    /rejected\.o: program 'firewall' rejected: R0 !read_ok: Permission denied \(EACCES\)\n$/,
  );
});

test('verify: several files, and a run before', () => {
  const both = skep(['verify', firewall, example('tailcall.bpf.o')]);
  assert.equal(both.code, 0, both.stderr);
  assert.match(both.stdout, /^FILE +PROGRAM.*\n.*firewall\.bpf\.o +firewall/);
  const saved = files.write(
    'baseline.json',
    new TextEncoder().encode(skep(['verify', firewall, '--json']).stdout),
  );
  const same = skep(['verify', firewall, '--baseline', saved, '--growth', '0']);
  assert.equal(same.code, 0, same.stderr);
  assert.match(same.stdout, /^firewall +accepted +accepted +(\d+) +\1 +0\.0 % /m);
  const worse = skep(['verify', rejected(), '--baseline', saved]);
  assert.equal(worse.code, 1);
  assert.equal(worse.stderr, "skep: program 'firewall' was accepted, and is rejected now\n");
  const other = json<{ name: string; before?: object; after?: object }[]>([
    'verify',
    example('minimal.bpf.o'),
    '--baseline',
    firewall,
  ]);
  assert.deepEqual(
    other.map(({ name, before, after }) => [name, before !== undefined, after !== undefined]),
    [
      ['firewall', true, false],
      ['minimal', false, true],
    ],
  );
});

test('verify: programs of one name in several files, and a file that is no object', () => {
  const [good, bad] = [example('firewall.bpf.o'), rejected()];
  const saved = files.write(
    'both.json',
    new TextEncoder().encode(skep(['verify', good, example('minimal.bpf.o'), '--json']).stdout),
  );
  const two = skep(['verify', bad, example('minimal.bpf.o'), '--baseline', saved]);
  assert.match(two.stdout, /^firewall\.bpf\.o: firewall +accepted +absent/m);
  assert.match(two.stdout, /^rejected\.o: firewall +absent +rejected/m);
  assert.equal(two.code, 1);
  const text = files.write('text.o', new TextEncoder().encode('hello'));
  const mixed = skep(['verify', text, good]);
  assert.equal(mixed.code, 1);
  assert.match(mixed.stderr, /^skep: .*text\.o: .*\n$/);
  assert.match(mixed.stdout, /^firewall +xdp +accepted/m);
  const none = skep(['verify', text, text]);
  assert.deepEqual([none.code, none.stdout, none.stderr.split('\n').length], [1, '', 3]);
});

test('verify: a baseline that is none', () => {
  const cases = [
    { name: 'text', text: 'hello', want: /baseline\.json: it is neither an object nor JSON/ },
    { name: 'no list', text: '{}', want: /it is no list of verdicts/ },
    { name: 'other entries', text: '[{"name":1}]', want: /entry 0 is no verdict/ },
  ];
  for (const { name, text, want } of cases) {
    const saved = files.write('baseline.json', new TextEncoder().encode(text));
    const { code, stderr } = skep(['verify', firewall, '--baseline', saved]);
    assert.equal(code, 1, name);
    assert.match(stderr, want, name);
  }
  const { code, stderr } = skep(['verify', firewall, '--baseline', firewall, '--growth', 'much']);
  assert.equal(code, 2);
  assert.match(stderr, /option '--growth' wants a percentage/);
});

test('verify: the log at a level', () => {
  const { stdout } = skep(['verify', firewall, '--log-level', '2', '--prog', 'firewall']);
  assert.match(stdout, /0: R1=ctx\(\) R10=fp0/);
  assert.match(stdout, /processed \d+ insns/);
});

test('verify: every program of an object', () => {
  const verdicts = json<{ name: string; accepted: boolean }[]>(['verify', example('tailcall.bpf.o')]);
  assert.deepEqual(
    verdicts.map(({ name, accepted }) => [name, accepted]),
    [
      ['on_ipv4', true],
      ['on_ipv6', true],
      ['dispatch', true],
    ],
  );
});

test('prog show', () => {
  assert.deepEqual(json(['prog', 'show', firewall]), [
    {
      name: 'firewall',
      type: 'xdp',
      section: 'xdp',
      insns: 234,
      license: 'Dual MIT/GPL',
      autoload: true,
      maps: ['blocked', 'flows', 'actions'],
    },
  ]);
  assert.match(
    skep(['prog', 'show', firewall]).stdout,
    /^PROGRAM +TYPE +SECTION +INSNS +LICENSE +MAPS\nfirewall +xdp/,
  );
});

test('prog dump: instructions with source lines and the names of maps', () => {
  const { stdout } = skep(['prog', 'dump', example('tailcall.bpf.o'), '--prog', 'on_ipv4']);
  assert.match(
    stdout,
    /^int on_ipv4\(struct xdp_md \* ctx\):\n; seen\(SLOT_IPV4\);\n {3}0: \(b4\) w1 = 0\n {3}1: \(85\) call pc\+2\n/,
  );
  assert.match(stdout, /\(18\) r1 = map\[packets\]/);
  const [program] = json<{ name: string; insns: object[] }[]>([
    'prog',
    'dump',
    example('tailcall.bpf.o'),
    '--prog',
    'on_ipv4',
  ]);
  const { file, line, ...first } = (program?.insns[0] ?? {}) as Record<string, unknown>;
  assert.deepEqual(first, {
    slot: 0,
    opcode: 'b4',
    text: 'w1 = 0',
    proto: 'int on_ipv4(struct xdp_md * ctx)',
    source: 'seen(SLOT_IPV4);',
  });
  assert.match(String(file), /tailcall\.bpf\.c$/);
  assert.ok(Number(line) > 0);

  const generated = skep(['prog', 'dump', 'jited', example('tailcall.bpf.o'), 'on_ipv4']).stdout;
  assert.match(generated, /\(func \$main.*;; seen\(SLOT_IPV4\);\n *;; +0: \(b4\) w1 = 0\n.*return/s);

  const object = example('tailcall.bpf.o');
  const rewritten = skep(['prog', 'dump', 'xlated', object, 'on_ipv4', 'linum', 'opcodes']).stdout;
  assert.match(
    rewritten,
    /; seen\(SLOT_IPV4\); \[file:.* line_num:\d+ line_col:\d+\]\n {3}0: \(b4\) w1 = 0\n {7}b4 01 00 00/,
  );
  assert.match(rewritten, /\(18\) r1 = map\[id:\d+\]/);
  assert.match(skep(['prog', 'dump', object, 'on_ipv4', '--visual']).stdout, /^digraph /);
  assert.match(skep(['prog', 'dump', object, 'on_ipv4', '--visual', 'svg']).stdout, /^<svg /);
  for (const [words, want] of [
    [['raw'], /wants a FILE, or a live program/],
    [[object, '--visual', 'png'], /wants one of dot, svg, not 'png'/],
    [['xlated', 'id', '1'], /a live program is one of --kernel linux/],
    [['xlated', 'id'], /'id' wants what it is of/],
    [[object, 'a', 'b'], /unexpected argument 'b'/],
  ] as const) {
    const { code, stderr } = skep(['prog', 'dump', ...words]);
    assert.equal(code, 2);
    assert.match(stderr, want);
  }
});

test('--kconfig: values of externs, from a file that may be packed', () => {
  const object = fileURLToPath(new URL('../../fixtures/objects/externs.bpf.o', import.meta.url));
  const config = '# CONFIG_BOOL is not set\nCONFIG_NUMBER=1000\nCONFIG_TEXT="abc"\n';
  for (const bytes of [Buffer.from(config), gzipSync(config)]) {
    const args = [
      'map',
      'dump',
      object,
      '--map',
      'externs.kconfig',
      '--kconfig',
      files.write('kconfig', bytes),
    ];
    const text = JSON.stringify(json(args));
    assert.match(text, /"CONFIG_NUMBER":1000\b/);
    assert.match(text, /"CONFIG_TEXT":"abc"/);
  }
  const broken = files.write('broken.gz', Uint8Array.of(0x1f, 0x8b, 1, 2));
  const { code, stderr } = skep(['map', 'dump', object, '--kconfig', broken]);
  assert.equal(code, 1);
  assert.match(stderr, /broken\.gz: it is packed with gzip, and broken/);
});

test('prog run: return value, packet out, average time', () => {
  const packet = files.write('packet.bin', new Uint8Array(64).fill(1));
  const out = files.path('out.bin');
  const report = json<Record<string, number>>([
    'prog',
    'run',
    firewall,
    '--data-in',
    packet,
    '--data-out',
    out,
    '--repeat',
    '10',
  ]);
  assert.deepEqual(Object.keys(report), ['retval', 'durationNs', 'dataSizeOut', 'ctxSizeOut']);
  assert.equal(report['retval'], 2);
  assert.equal(report['dataSizeOut'], 64);
  assert.deepEqual(readFileSync(out), readFileSync(packet));
  const text = skep(['prog', 'run', firewall, '--data-in', packet, '--repeat', '10']);
  assert.match(text.stdout, /^Return value: 2, duration \(average\): \d+ns\n$/);
  const raw = skep(['prog', 'run', firewall, '--data-in', '-', '--data-out', '-'], { input: 'x'.repeat(20) });
  assert.equal(raw.stdout, 'x'.repeat(20));
  assert.match(raw.stderr, /^skep: Return value: 2, duration: \d+ns\n$/);
});

test('prog run: a raw tracepoint takes its arguments as a context', () => {
  const ctx = files.write('ctx.bin', new Uint8Array(new BigUint64Array([0n, 59n]).buffer));
  const report = json<{ retval: number }>(['prog', 'run', example('callers.bpf.o'), '--ctx-in', ctx]);
  assert.equal(report.retval, 0);
});

test('prog run: an object with several programs wants a choice', () => {
  const { code, stderr } = skep(['prog', 'run', example('tailcall.bpf.o')]);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /the object has several programs \(choose one with --prog: on_ipv4, on_ipv6, dispatch\)/,
  );
});

test('map show and dump', () => {
  const shown = json<{ name: string; entries: number }[]>(['map', 'show', firewall, '--set', 'blocked.22=1']);
  assert.deepEqual(
    shown.map(({ name, entries }) => [name, entries]),
    [
      ['blocked', 1],
      ['flows', 0],
      ['actions', 5],
    ],
  );
  const set = ['--map', 'blocked', '--set', 'blocked.22=1'];
  const element = {
    key: ['0x16', '0x00'],
    value: ['0x01', '0x00', '0x00', '0x00'],
    formatted: { key: 22, value: 1 },
  };
  assert.deepEqual(json(['map', 'dump', firewall, ...set, '--pcap', pcap]), [element]);
  assert.deepEqual(JSON.parse(skep(['map', 'dump', firewall, ...set, '-p']).stdout), [element]);
  assert.equal(
    skep(['map', 'dump', firewall, ...set]).stdout,
    '[{\n        "key": 22,\n        "value": 1\n    }\n]\n',
  );
  const all = json<{ name: string; type: string; elements: unknown[] }[]>(['map', 'dump', firewall]);
  assert.deepEqual(
    all.map(({ name, type, elements }) => [name, type, elements.length]),
    [
      ['blocked', 'hash', 0],
      ['flows', 'hash', 0],
      ['actions', 'percpu_array', 5],
    ],
  );
  assert.match(skep(['map', 'dump', firewall]).stdout, /^blocked \(hash\)\n\[\]\n\nflows \(hash\)\n/);
  assert.match(
    skep(['map', 'show', firewall]).stdout,
    /^MAP +TYPE +KEY +VALUE +ENTRIES +MAX\nblocked +hash +2 +4 +0 +1024\n/,
  );
  // Of a map that is verified only there is no count.
  const bindings = fileURLToPath(new URL('../../fixtures/objects/bindings.bpf.o', import.meta.url));
  assert.match(skep(['map', 'show', bindings]).stdout, /^events +ringbuf +0 +0 +- +4096$/m);
});

test("asm and disasm are each other's inverse", () => {
  const text = 'r0 = 11\nif r1 s> 5 goto +1\nr0 = 0\nexit\n';
  const hex = skep(['asm'], { input: text });
  assert.equal(hex.code, 0, hex.stderr);
  assert.match(hex.stdout, /^b7 00 00 00 0b 00 00 00\n/);
  const back = skep(['disasm', '-'], { input: hex.stdout });
  assert.equal(skep(['asm'], { input: back.stdout }).stdout, hex.stdout);
  const raw = files.path('prog.bin');
  assert.equal(skep(['asm', files.write('prog.s', text), '-o', raw]).code, 0);
  assert.equal(readFileSync(raw).length, 32);
  assert.equal(skep(['disasm', raw]).stdout, back.stdout);
  assert.deepEqual(json(['asm'], 'r0 = 11; exit'), {
    insnCount: 2,
    insns: 'b70000000b0000009500000000000000',
  });
});

test('disasm of an object: each program under its name', () => {
  assert.match(skep(['disasm', firewall]).stdout, /^firewall:\n/);
  const programs = json<{ name: string; text: string[] }[]>(['disasm', example('minimal.bpf.o')]);
  assert.equal(programs[0]?.text.at(-1), 'exit');
});
