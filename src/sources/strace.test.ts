import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { SkepError } from '../base/errors.ts';
import {
  parseStrace,
  playStrace,
  type StraceOptions,
  type SyscallEvent,
  syscallName,
  syscallNumber,
} from './index.ts';

const recording = readFileSync(new URL('../../examples/captures/ls.strace', import.meta.url), 'utf8');

async function collect(
  lines: readonly string[],
  options: StraceOptions = {},
): Promise<{ calls: SyscallEvent[]; error: SkepError | undefined }> {
  const calls: SyscallEvent[] = [];
  try {
    for await (const call of parseStrace(lines, options)) calls.push(call);
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    return { calls, error };
  }
  return { calls, error: undefined };
}

/** `1000 ls read(3, 0, 832, 0, 0, 0) = 832` */
function show({ task, name, args, ret }: SyscallEvent): string {
  return `${task.pid} ${task.comm} ${name}(${args.map((arg) => BigInt.asIntN(64, arg)).join()}) = ${ret ?? '?'}`;
}

test('system call numbers', () => {
  const cases = [
    { name: 'read', x86: 0, arm: 63 },
    { name: 'openat', x86: 257, arm: 56 },
    { name: 'newfstatat', x86: 262, arm: 79 },
    { name: 'open', x86: 2, arm: undefined },
    { name: 'exit_group', x86: 231, arm: 94 },
    { name: 'bpf', x86: 321, arm: 280 },
    { name: 'clone3', x86: 435, arm: 435 },
    { name: 'mseal', x86: 462, arm: 462 },
    { name: 'constructor', x86: undefined, arm: undefined },
  ];
  for (const { name, x86, arm } of cases) {
    assert.equal(syscallNumber(name), x86, name);
    assert.equal(syscallNumber(name, 'arm64'), arm, name);
  }
  assert.equal(syscallName(0), 'read');
  assert.equal(syscallName(63, 'arm64'), 'read');
  assert.equal(syscallName(99999), undefined);
});

test('lines of every format give the same call', async () => {
  const prefixes = [
    '',
    '[pid 77] ',
    '[pid    77] ',
    '77 ',
    '77    ',
    '12:34:56 ',
    '12:34:56.123456 ',
    '1795393006.059660 ',
    '1795393006 ',
    '     0.000123 ',
    '77  12:34:56.123456 ',
    '[pid    77] 1795393006.059660 ',
    '77         0.000012 ',
    '[00007f14c4981000] ',
    '77  1795393006.059660 [00007f14c4981000] ',
  ];
  for (const prefix of prefixes) {
    for (const end of ['= 832', '      = 832', '= 832 <0.000012>']) {
      const { calls, error } = await collect([`${prefix}read(3, "\\177ELF"..., 832) ${end}`], { pid: 77 });
      assert.equal(error, undefined, prefix);
      assert.deepEqual(calls.map(show), ['77 strace read(3,0,832,0,0,0) = 832'], prefix);
    }
  }
});

test('arguments and results', async () => {
  const cases: { name: string; line: string; want: string }[] = [
    { name: 'no arguments', line: 'getpid() = 7', want: 'getpid(0,0,0,0,0,0) = 7' },
    {
      name: 'error',
      line: 'access("/x", R_OK) = -1 ENOENT (No such file or directory)',
      want: 'access(0,0,0,0,0,0) = -2',
    },
    {
      name: 'restarted',
      line: 'pause() = ? ERESTARTNOHAND (To be restarted if no handler)',
      want: 'pause(0,0,0,0,0,0) = -514',
    },
    { name: 'no result', line: 'exit_group(3) = ?', want: 'exit_group(3,0,0,0,0,0) = ?' },
    {
      name: 'numbers',
      line: 'mmap(0x7f00, 8192, PROT_READ, MAP_PRIVATE, -1, 0x1000) = 0x7f00',
      want: 'mmap(32512,8192,0,0,-1,4096) = 32512',
    },
    { name: 'octal', line: 'open("/x", O_RDWR, 0644) = 3', want: 'open(0,0,420,0,0,0) = 3' },
    {
      name: 'NULL and AT_FDCWD',
      line: 'openat(AT_FDCWD, NULL, 0) = -1 EFAULT (Bad address)',
      want: 'openat(-100,0,0,0,0,0) = -14',
    },
    {
      name: 'AT_FDCWD with -y',
      line: 'openat(AT_FDCWD</tmp>, "x", 0) = 3</tmp/x>',
      want: 'openat(-100,0,0,0,0,0) = 3',
    },
    { name: 'descriptor with -y', line: 'close(3</etc/a,b(c>) = 0', want: 'close(3,0,0,0,0,0) = 0' },
    {
      name: 'struct',
      line: 'fstat(3, {st_mode=S_IFREG|0644, st_size=7, ...}) = 0',
      want: 'fstat(3,0,0,0,0,0) = 0',
    },
    {
      name: 'comment',
      line: 'execve("/a", ["a"], 0x10 /* 2 vars, "x) = */) = 0',
      want: 'execve(0,0,16,0,0,0) = 0',
    },
    {
      name: 'string with everything',
      line: 'write(1, "a, b) = 5 \\" /* {", 16) = 16',
      want: 'write(1,0,16,0,0,0) = 16',
    },
    { name: 'array', line: 'pipe2([3, 4], O_CLOEXEC) = 0', want: 'pipe2(0,0,0,0,0,0) = 0' },
    {
      name: 'result explained',
      line: 'fcntl(3, F_GETFD) = 0x1 (flags FD_CLOEXEC)',
      want: 'fcntl(3,0,0,0,0,0) = 1',
    },
    {
      name: 'clone',
      line: 'clone(child_stack=0x10, flags=SIGCHLD, child_tidptr=0x20) = 5',
      want: 'clone(0,16,0,32,0,0) = 5',
    },
    {
      name: 'unnamed call',
      line: 'syscall_0x1d3(0x1, 0x2, 0, 0, 0, 0) = -1 ENOSYS (Function not implemented)',
      want: 'syscall_0x1d3(1,2,0,0,0,0) = -38',
    },
    {
      name: 'large',
      line: 'lseek(3, 18446744073709551615, SEEK_SET) = -1 EINVAL (Invalid argument)',
      want: 'lseek(3,-1,0,0,0,0) = -22',
    },
  ];
  for (const { name, line, want } of cases) {
    const { calls, error } = await collect([line]);
    assert.equal(error, undefined, name);
    assert.equal(calls.map(show)[0], `1 strace ${want}`, name);
  }
});

test('calls that other lines interrupt', async () => {
  const { calls, error } = await collect([
    'strace: Process 2 attached',
    '[pid     1] wait4(-1,  <unfinished ...>',
    '[pid     2] read(3,  <unfinished ...>',
    '[pid     1] <... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 2',
    '--- SIGCHLD {si_signo=SIGCHLD, si_pid=2} ---',
    '[pid     2] <... read resumed> "x, y) = 1", 832) = 832',
    '[pid     2] exit_group(0 <unfinished ...>',
    '[pid     2] <... exit_group resumed>) = ?',
    '[pid     2] +++ exited with 0 +++',
    'nanosleep({tv_sec=9}, 0x10 <unfinished ...>',
    '+++ killed by SIGKILL +++',
    '3 read(5,  <unfinished ...>',
    '4 <... write resumed>)           = 3',
    '5 ???( <unfinished ...>',
    '5 <... ??? resumed>) = ?',
    '5 futex(0x10, FUTEX_WAIT, 2, NULL <unfinished ...>',
    '5 <... futex resumed> <unfinished ...>) = ?',
    '5 restart_syscall(<... resuming interrupted read ...>) = 1',
    '/usr/bin/strace: Process 5 detached',
    '',
  ]);
  assert.equal(error, undefined, error?.line);
  assert.deepEqual(calls.map(show), [
    '1 strace wait4(-1,0,0,0,0,0) = 2',
    '2 strace read(3,0,832,0,0,0) = 832',
    '2 strace exit_group(0,0,0,0,0,0) = ?',
    '1 strace nanosleep(0,16,0,0,0,0) = ?',
    '4 strace write(0,0,0,0,0,0) = 3',
    '5 strace futex(16,0,2,0,0,0) = ?',
    '5 strace restart_syscall(0,0,0,0,0,0) = 1',
    '3 strace read(5,0,0,0,0,0) = ?',
  ]);
});

test('names of tasks follow execve, clone and prctl', async () => {
  const { calls } = await collect([
    '10 execve("/usr/bin/a-very-long-command-name", ["a"], 0x1 /* 1 var */) = 0',
    '10 clone(child_stack=NULL, flags=CLONE_VM|CLONE_THREAD, tls=0x5) = 11',
    '11 getpid() = 10',
    '10 vfork( <unfinished ...>',
    '12 getpid() = 12',
    '12 execve("/nowhere/b", ["b"], 0x1 /* 1 var */) = -1 ENOENT (No such file or directory)',
    '12 execve("/usr/bin/b", ["b"], 0x1 /* 1 var */ <unfinished ...>',
    '10 <... vfork resumed>) = 12',
    '12 <... execve resumed>) = 0',
    '12 prctl(PR_SET_NAME, "worker/1") = 0',
    '12 getpid() = 12',
  ]);
  assert.deepEqual(
    calls.map(({ task, name }) => `${task.pid}/${task.tgid} ${task.comm} ${name}`),
    [
      '10/10 strace execve',
      '10/10 a-very-long-com clone',
      '11/10 a-very-long-com getpid',
      '12/12 a-very-long-com getpid',
      '12/12 a-very-long-com execve',
      '10/10 a-very-long-com vfork',
      '12/12 a-very-long-com execve',
      '12/12 b prctl',
      '12/12 worker/1 getpid',
    ],
  );
});

test('the recording: every call is there, by process', async () => {
  const lines = recording.trimEnd().split('\n');
  const { calls, error } = await collect(lines);
  assert.equal(error, undefined, error?.line);
  const begun = lines.filter((line) => !/resumed>|--- SIG|\+\+\+/.test(line)).length;
  assert.equal(calls.length, begun);
  assert.deepEqual([...new Set(calls.map(({ task }) => task.comm))], ['strace', 'sh', 'ls', 'wc']);
  assert.equal(calls.filter(({ ret }) => ret === undefined).length, 3, 'exit_group of three processes');
  const reads = calls.filter(({ name, task }) => name === 'read' && task.comm === 'ls');
  assert.ok(reads.length >= 3 && reads.every(({ args, nr }) => nr === 0 && (args[2] as bigint) > 0n));
});

test('what strace writes now, in each of its formats', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'skep-strace-'));
  try {
    const out = join(directory, 'out');
    for (const flags of [
      [],
      ['-f'],
      ['-f', '-t'],
      ['-f', '-tt', '-T'],
      ['-f', '-r'],
      ['-f', '-ttt', '-y'],
      ['-f', '-i'],
    ]) {
      const run = spawnSync('strace', [...flags, '-o', out, 'sh', '-c', 'cat /dev/null | cat; true']);
      if (run.status !== 0) return t.skip('strace does not run here');
      const lines = readFileSync(out, 'utf8').split('\n');
      const { calls, error } = await collect(lines, { arch: process.arch === 'arm64' ? 'arm64' : 'x86_64' });
      assert.equal(error, undefined, `${flags.join(' ')} ${error?.line}`);
      assert.equal(calls[0]?.name, 'execve');
      assert.equal(calls.at(-1)?.name, 'exit_group');
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('bad input: one line that says where', async () => {
  const cases: { name: string; lines: string[]; want: RegExp }[] = [
    {
      name: 'not strace',
      lines: ['getpid() = 1', 'hello world'],
      want: /^line 2: not a line of strace, or cut short, after 1 calls/,
    },
    { name: 'cut', lines: ['read(3, "abc'], want: /^line 1: not a line of strace/ },
    { name: 'no result', lines: ['read(3)'], want: /^line 1: not a line of strace/ },
    {
      name: 'unknown call',
      lines: ['frobnicate(1) = 0'],
      want: /^line 1: no system call frobnicate on x86_64 \(was it/,
    },
    { name: 'resumed without a name', lines: ['<... resumed>) = 0'], want: /^line 1: not a line/ },
    { name: 'out of range', lines: ['syscall_0xfffffffff(1) = 0'], want: /^line 1: no system call/ },
  ];
  for (const { name, lines, want } of cases) {
    const { error } = await collect(lines);
    assert.match(error?.line ?? 'no error', want, name);
  }
});

test('a hostile line does not hang the parser', async () => {
  const million = 1_000_000;
  const pieces = [
    'read(',
    ' ',
    '9',
    '"',
    '<',
    '<unfinished ...> ',
    '<ptrace(SYSCALL):',
    '/*',
    '</',
    '(',
    ',',
    '0x',
    '[pid ',
  ];
  for (const piece of pieces) {
    const long = piece.repeat(million / piece.length);
    for (const line of [long, `read(${long}`, `read(${long}) = 1`, `<... read resumed>${long}`])
      await collect([line]);
  }
});

test('damaged recordings fail with SkepError only', async () => {
  const lines = recording.split('\n');
  const piece = fc.nat({ max: lines.length - 8 }).map((at) => lines.slice(at, at + 8).join('\n'));
  const edit = fc.tuple(
    fc.nat({ max: 500 }),
    fc.constantFrom(
      '"',
      '(',
      ')',
      ',',
      '<',
      '>',
      ' ',
      '=',
      '\n',
      '9',
      '/*',
      '\\',
      '<unfinished ...>',
      '<... read resumed>',
    ),
  );
  const damaged = fc
    .tuple(piece, fc.array(edit, { maxLength: 6 }))
    .map(([text, edits]) =>
      edits.reduce((now, [at, with_]) => now.slice(0, at) + with_ + now.slice(at + 1), text),
    );
  await fc.assert(
    fc.asyncProperty(fc.oneof(damaged, fc.string({ maxLength: 200 })), async (text) => {
      const { error } = await collect(text.split('\n'));
      assert.doesNotMatch(error?.line ?? '', /\n/);
    }),
    { numRuns: 1000 },
  );
});

test('playing fires sys_enter for each call, and sys_exit where it returned', async () => {
  const fired: string[] = [];
  const tracepoints = {
    fire: (name: string, event: { id: bigint; ret?: bigint }) =>
      fired.push(`${name} ${event.id} ${event.ret ?? ''}`),
  };
  const count = await playStrace(['read(3, "", 1) = 0', 'exit_group(0) = ?'], tracepoints);
  assert.equal(count, 2);
  assert.deepEqual(fired, [
    'raw_syscalls:sys_enter 0 ',
    'raw_syscalls:sys_exit 0 0',
    'raw_syscalls:sys_enter 231 ',
  ]);
});
