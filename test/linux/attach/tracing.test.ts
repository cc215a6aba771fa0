/**
 * Tracing programs attached to the running kernel: each runs for the calls of this process while its link is open,
 * and not afterwards. What the kernel lacks skips by name; the kernels of `npm run test:vm` have it.
 */
import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { describe, test } from 'node:test';
import { SkepError } from '../../../src/base/errors.ts';
import { LinuxKernel, LinuxSystem } from '../../../src/linux-kernel.ts';
import { BpfError } from '../../../src/uapi/errno.ts';
import type { System, TargetKind } from '../../../src/uapi/seam.ts';
import { type AttachOptions, KernelHandle } from '../../../src/user/index.ts';
import { callGetpgid, loadOnly, runAttached, whereThere } from '../../support/attach.ts';
import { enterSandbox, OwnCgroup } from '../../support/linux-sandbox.ts';

const sandbox = enterSandbox();
const skip = 'reason' in sandbox ? sandbox.reason : false;
const CALLS = 10;
const fire = (): void => void callGetpgid(CALLS);

interface Case {
  readonly name: string;
  readonly program: string;
  /** The link's kind. */
  readonly type: string;
  readonly options?: AttachOptions;
  /** The least that it must have run; exactly that where `exact`. */
  readonly ran?: bigint;
  /** System calls that others than ours make are seen as well. */
  readonly atLeast?: boolean;
}

const x64Only = process.arch === 'x64';
const sysGetpgid = x64Only ? '__x64_sys_getpgid' : '__arm64_sys_getpgid';
const kernelFunction = (name: string): boolean =>
  /^(k|f)/.test(name) && name !== 'ksyscall' && name !== 'fmod_ret';

const cases: readonly Case[] = [
  { name: 'tracepoint', program: 'tracepoint', type: 'perf_event' },
  {
    name: 'another tracepoint than its section says',
    program: 'tracepoint',
    type: 'perf_event',
    options: { tracepoint: 'syscalls/sys_exit_getpgid' },
  },
  { name: 'raw tracepoint', program: 'raw_tp', type: 'raw_tracepoint', atLeast: true },
  { name: 'tp_btf', program: 'tp_btf', type: 'tracing', atLeast: true },
  { name: 'kprobe', program: 'kprobe', type: 'perf_event' },
  { name: 'kretprobe', program: 'kretprobe', type: 'perf_event' },
  { name: 'ksyscall', program: 'ksyscall', type: 'perf_event' },
  { name: 'kprobe.multi by a pattern', program: 'kprobe_multi', type: 'kprobe_multi' },
  {
    name: 'kprobe.multi by names',
    program: 'kprobe_multi',
    type: 'kprobe_multi',
    options: { functions: [sysGetpgid] },
  },
  { name: 'kretprobe.multi', program: 'kretprobe_multi', type: 'kprobe_multi' },
  { name: 'kprobe.session', program: 'kprobe_session', type: 'kprobe_multi', ran: 2n * BigInt(CALLS) },
  { name: 'uprobe', program: 'uprobe', type: 'perf_event' },
  { name: 'uprobe of one process', program: 'uprobe', type: 'perf_event', options: { pid: process.pid } },
  { name: 'uprobe of another process', program: 'uprobe', type: 'perf_event', options: { pid: 1 }, ran: 0n },
  { name: 'uretprobe', program: 'uretprobe', type: 'perf_event' },
  { name: 'uprobe.multi by a pattern', program: 'uprobe_multi', type: 'uprobe_multi' },
  {
    name: 'uprobe.multi by names',
    program: 'uprobe_multi',
    type: 'uprobe_multi',
    options: { functions: ['getpgid', 'getppid'], pid: process.pid },
  },
  { name: 'uretprobe.multi', program: 'uretprobe_multi', type: 'uprobe_multi' },
  { name: 'uprobe.session', program: 'uprobe_session', type: 'uprobe_multi', ran: 2n * BigInt(CALLS) },
  { name: 'fentry', program: 'fentry', type: 'tracing' },
  { name: 'fexit', program: 'fexit', type: 'tracing' },
];

/** Raw tracepoints and the programs of tp_btf were one kind of link until 6.?: the kernel says which. */
const sameKind: Readonly<Record<string, readonly string[]>> = { tracing: ['tracing', 'raw_tracepoint'] };

describe('runs while attached', { skip }, () => {
  for (const { name, program, type, options = {}, ran = BigInt(CALLS), atLeast = false } of cases) {
    test(name, (t) =>
      whereThere(t, () => {
        const pattern = program.endsWith('multi') && kernelFunction(program);
        const attachTo = kernelFunction(program) && !pattern ? { attachTo: sysGetpgid } : {};
        const loaded = loadOnly(program, pattern && !x64Only ? { attachTo: `${sysGetpgid}*` } : attachTo);
        try {
          const link = loaded.program.attach(options);
          const { typeName, programId } = link.info();
          assert.ok((sameKind[type] ?? [type]).includes(typeName), typeName);
          assert.equal(programId, loaded.program.id);
          const before = loaded.hits();
          fire();
          const count = loaded.hits() - before;
          link.close();
          if (atLeast) assert.ok(count >= ran, `${count} runs`);
          else assert.equal(count, ran);
          const after = loaded.hits();
          fire();
          assert.equal(loaded.hits(), after, 'closed');
        } finally {
          loaded.collection.close();
        }
      }),
    );
  }
});

describe('functions of a module of the kernel', { skip }, () => {
  for (const program of ['fentry', 'fexit']) {
    for (const attachTo of ['tun_chr_open', 'tun:tun_chr_open']) {
      test(`${program}/${attachTo}`, (t) =>
        whereThere(t, () => {
          const loaded = loadOnly(program, { attachTo });
          const { ran } = runAttached(loaded, { fire: () => closeSync(openSync('/dev/net/tun', 'r')) });
          assert.equal(ran, 1n);
          loaded.collection.close();
        }));
    }
  }
});

test('a cookie arrives, by a tracepoint and by probes on many functions', { skip }, (t) =>
  whereThere(t, () => {
    const loaded = loadOnly('with_cookie');
    runAttached(loaded, { options: { cookie: 0x1234_5678_9abcn }, fire });
    assert.equal(loaded.collection.variable<bigint>('cookie').get(), 0x1234_5678_9abcn);
    loaded.collection.close();
  }),
);

for (const program of ['fmod_ret', 'lsm']) {
  test(`${program} changes what a call returns`, { skip }, (t) =>
    whereThere(t, () => {
      const loaded = loadOnly(program);
      assert.ok(callGetpgid(1) >= 0);
      const link = loaded.program.attach();
      const [during] = [callGetpgid(1)];
      link.close();
      const active = loaded.hits() > 0n;
      loaded.collection.close();
      // A kernel that has BPF programs among its security modules only where it was booted so calls none.
      if (program === 'lsm' && !active)
        return t.skip('bpf is none of the active security modules (lsm=…,bpf)');
      assert.equal(during, -1);
      assert.ok(callGetpgid(1) >= 0);
    }),
  );
}

test('freplace puts a function in the place of another', { skip }, (t) =>
  whereThere(t, () => {
    const target = loadOnly('replaced');
    const run = (): number => target.program.testRun({ data: new Uint8Array(64) }).retval;
    assert.equal(run(), 1);
    const loaded = loadOnly('freplace', { targets: { on_freplace: target.program } });
    const link = loaded.program.attach();
    assert.equal(link.info().typeName, 'tracing');
    assert.equal(run(), 42);
    link.close();
    assert.equal(run(), 1);
    loaded.collection.close();
    target.collection.close();
  }),
);

/** The running kernel as an older one would be: what it lacks is not asked for, or refused. */
function older(
  version: readonly [number, number],
  { withoutPmu = false, withoutPerfLinks = false } = {},
): KernelHandle {
  const system = new LinuxSystem();
  const own: Pick<System, 'kernelVersion' | 'resolveTarget' | 'bpf'> = {
    kernelVersion: () => (version[0] << 16) | (version[1] << 8),
    resolveTarget(kind: TargetKind, name: string) {
      if (kind === 'pmu' && withoutPmu) throw new BpfError('ENOENT', 'events');
      return system.resolveTarget(kind, name);
    },
    bpf(cmd, attr) {
      if (cmd === 'linkCreate' && withoutPerfLinks) throw new BpfError('EINVAL', 'BPF_LINK_CREATE');
      return system.bpf(cmd, attr);
    },
  };
  return new KernelHandle(
    new Proxy(system, {
      get(target, name) {
        const value = name in own ? own[name as keyof typeof own] : Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(name in own ? own : target) : value;
      },
    }),
  );
}

describe('as on older kernels', { skip }, () => {
  const old = [
    {
      name: 'a tracepoint by ioctl',
      program: 'tracepoint',
      kernel: () => older([5, 10], { withoutPerfLinks: true }),
    },
    {
      name: 'a kprobe by ioctl',
      program: 'kprobe',
      kernel: () => older([5, 10], { withoutPerfLinks: true }),
    },
    { name: 'a kprobe of tracefs', program: 'kprobe', kernel: () => older([4, 16], { withoutPmu: true }) },
    {
      name: 'a kretprobe of tracefs',
      program: 'kretprobe',
      kernel: () => older([4, 16], { withoutPmu: true }),
    },
    { name: 'a uprobe of tracefs', program: 'uprobe', kernel: () => older([4, 16], { withoutPmu: true }) },
    {
      name: 'a uprobe of tracefs, by ioctl',
      program: 'uprobe',
      kernel: () => older([4, 16], { withoutPmu: true, withoutPerfLinks: true }),
    },
  ];
  for (const { name, program, kernel } of old) {
    test(name, (t) =>
      whereThere(t, () => {
        const attachTo = kernelFunction(program) ? { attachTo: sysGetpgid } : {};
        const loaded = loadOnly(program, { kernel: kernel(), ...attachTo });
        try {
          const { ran } = runAttached(loaded, { fire });
          assert.equal(ran, BigInt(CALLS));
          const after = loaded.hits();
          fire();
          assert.equal(loaded.hits(), after, 'closed');
        } finally {
          loaded.collection.close();
        }
      }),
    );
  }

  test('what is attached by ioctl is no link, and says so', () => {
    const loaded = loadOnly('tracepoint', { kernel: older([5, 10], { withoutPerfLinks: true }) });
    const link = loaded.program.attach();
    assert.throws(
      () => link.pin('/sys/fs/bpf/x'),
      /attached by ioctl\(2\), not by a link, and cannot be pinned/,
    );
    assert.throws(() => link.info(), /has no id/);
    assert.throws(() => link.update(loaded.program), /cannot change its program/);
    link.detach();
    assert.ok(link.closed);
    assert.throws(() => loaded.program.attach({ cookie: 1n }), /a cookie needs a link/);
    loaded.collection.close();
  });

  test('kinds that came later are named with the version that has them', () => {
    const kernel = older([5, 17], { withoutPerfLinks: true });
    const cases = [
      {
        program: 'kprobe_multi',
        options: { functions: [sysGetpgid] },
        want: /needs Linux 5\.18, this is 5\.17/,
      },
      { program: 'uprobe_multi', options: {}, want: /needs Linux 6\.6, this is 5\.17/ },
    ];
    for (const { program, options, want } of cases) {
      let loaded: ReturnType<typeof loadOnly>;
      try {
        loaded = loadOnly(program, { kernel });
      } catch {
        // The kernel that runs really is as old: then it does not load.
        continue;
      }
      assert.throws(
        () => loaded.program.attach(options),
        (error) => want.test((error as BpfError).line),
      );
      loaded.collection.close();
    }
  });
});

test('a perf event on every CPU is one attachment, and no pin', { skip }, () => {
  const loaded = loadOnly('perf_event');
  // The clock of the CPU, whoever runs there; the program counts this process.
  const link = loaded.program.attach({ event: { type: 1, config: 0, frequency: 1000 } });
  for (let i = 0; i < 1e4 && loaded.hits() === 0n; i++) fire();
  assert.ok(loaded.hits() > 0n);
  if (new LinuxKernel().sys.possibleCpus() > 1)
    assert.throws(() => link.pin('/sys/fs/bpf/x'), /one for each CPU/);
  link.close();
  const one = loaded.program.attach({ event: { type: 'software', period: 1_000_000 }, pid: process.pid });
  assert.equal(one.info().typeName, 'perf_event');
  one.close();
  loaded.collection.close();
});

describe('what is asked for wrongly says what', { skip }, () => {
  const wrong = [
    { program: 'tracepoint', options: { tracepoint: 'no/such' }, want: /no tracepoint "no\/such"/ },
    { program: 'raw_tp', options: { tracepoint: 'nosuch' }, want: /ENOENT/ },
    { program: 'kprobe', options: { function: 'nosuch' }, want: /kprobe on 'nosuch'.*no such function/ },
    { program: 'kprobe', options: { function: `${sysGetpgid}+0x7fffff` }, want: /can be probed/ },
    { program: 'kprobe_multi', options: { function: 'nosuch*' }, want: /has no function 'nosuch\*'/ },
    {
      program: 'uprobe',
      options: { binary: 'nosuch.so.1' },
      want: /"nosuch\.so\.1" is in none of the folders/,
    },
    { program: 'uprobe', options: { binary: '/no/such' }, want: /\/no\/such: No such file/ },
    { program: 'uprobe', options: { binary: '/etc/passwd' }, want: /\/etc\/passwd: it is no ELF file/ },
    { program: 'uprobe', options: { function: 'nosuch' }, want: /libc\.so\.6 has no function 'nosuch'/ },
    { program: 'uprobe_multi', options: { function: 'nosuch*' }, want: /no function 'nosuch\*'/ },
    { program: 'uprobe_multi', options: { functions: ['getpgid', 'nosuch'] }, want: /no function nosuch/ },
    { program: 'perf_event', options: {}, want: /does not say which event/ },
    { program: 'perf_event', options: { event: { type: 'nosuch' } }, want: /no source of events "nosuch"/ },
    { program: 'tracepoint', options: { attachType: 'nosuch' }, want: /no attach type 'nosuch'/ },
  ];
  for (const { program, options, want } of wrong) {
    test(`${program} ${JSON.stringify(options)}`, (t) =>
      whereThere(t, () => {
        const loaded = loadOnly(program);
        try {
          loaded.program.attach(options as AttachOptions);
          assert.fail('it attached');
        } catch (error) {
          // What the kernel lacks altogether is another matter.
          if (!(error instanceof SkepError) || !want.test(error.line)) throw error;
        }
      }));
  }
});

describe('iterators', { skip }, () => {
  test('lines of all tasks, this process among them', () => {
    const loaded = loadOnly('iter_task');
    const lines = [...loaded.program.iterate()];
    assert.ok(lines.includes(`task ${process.pid}`));
    assert.ok(lines.every((line) => /^task \d+$/.test(line)));
    loaded.collection.close();
  });

  test('of one process, again and again by one link', async (t) =>
    whereThere(t, async () => {
      const loaded = loadOnly('iter_task');
      const link = loaded.program.attach({ pid: process.pid });
      for (let round = 0; round < 2; round++) {
        const lines: string[] = [];
        for await (const line of link.lines()) lines.push(line);
        assert.ok(lines.length >= 1);
        assert.deepEqual([...new Set(lines)], [`task ${process.pid}`]);
      }
      link.close();
      loaded.collection.close();
    }));

  test('elements of a map', () => {
    const loaded = loadOnly('iter_map');
    const numbers = loaded.collection.map<number, bigint>('numbers');
    numbers.set(1, 77n);
    assert.deepEqual([...loaded.program.iterate({ map: numbers })], ['0: 0', '1: 77', '2: 0']);
    assert.throws(() => loaded.program.attach(), /EBADF|EINVAL/);
    loaded.collection.close();
  });

  test('a cgroup and those below it', (t) =>
    whereThere(t, () => {
      const { program } = loadOnly('iter_cgroup');
      const cgroup = new OwnCgroup();
      const below = join(cgroup.path, 'below');
      try {
        mkdirSync(below);
        // A cgroup's id is the number of its folder's inode.
        const ids = [cgroup.path, below].map((path) => String(statSync(path, { bigint: true }).ino));
        assert.deepEqual([...program.iterate({ cgroup: cgroup.path })], ids);
        rmdirSync(below);
      } finally {
        cgroup.close();
      }
    }));

  test('a walk that is left early leaves no fd', () => {
    const loaded = loadOnly('iter_task');
    const fds = (): string[] => readdirSync('/proc/self/fd').sort();
    const before = fds();
    for (const line of loaded.program.iterate()) {
      assert.ok(line !== '');
      break;
    }
    assert.deepEqual(fds(), before);
    loaded.collection.close();
  });
});
