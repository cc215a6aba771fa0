/** What kernels other than the running one say to calls, by a C library that answers in their place. */
import assert from 'node:assert/strict';
import process from 'node:process';
import { test } from 'node:test';
import { SkepError } from '../base/errors.ts';
import { commands } from '../uapi/commands.ts';
import { type Errno, errnos } from '../uapi/errno.ts';
import { type Libc, openLibc } from './libc.ts';
import { LinuxSystem } from './system.ts';

const skip = whyNot();

function whyNot(): string | false {
  try {
    openLibc();
    return false;
  } catch (error) {
    if (error instanceof SkepError) return error.line;
    throw error;
  }
}

interface Call {
  readonly nr: number;
}

/** The C library of a kernel that answers bpf(2) with a result or an errno. */
function answering(answer: (call: Call) => number | Errno): Libc & { readonly lifted: number[] } {
  let errno = 0;
  const lifted: number[] = [];
  const result = (value: number | Errno): number => {
    if (typeof value === 'number') return value;
    errno = errnos[value];
    return -1;
  };
  return {
    ...openLibc(),
    bpf: (_number, nr) => result(answer({ nr })),
    syscall: () => result('ENOSYS'),
    close: () => 0,
    setrlimit(resource) {
      lifted.push(resource);
      return 0;
    },
    errno: () => errno,
    lifted,
  };
}

const map = { mapType: 1, keySize: 4, valueSize: 4, maxEntries: 1 };
const RLIMIT_MEMLOCK = 8;

test('a kernel without BPF or events says what it was built without', { skip }, () => {
  const system = new LinuxSystem(answering(() => 'ENOSYS'));
  const line = (call: () => unknown): string => {
    try {
      call();
    } catch (error) {
      if (error instanceof SkepError) return error.line;
    }
    return 'no error of ours';
  };
  assert.equal(
    line(() => system.bpf('mapCreate', map)),
    'BPF_MAP_CREATE: Function not implemented (ENOSYS) (this kernel was built without CONFIG_BPF_SYSCALL)',
  );
  assert.equal(
    line(() => system.perfEventOpen({ type: 1, config: 0n, pid: -1, cpu: 0 })),
    'perf_event_open: Function not implemented (ENOSYS) (this kernel was built without CONFIG_PERF_EVENTS)',
  );
});

test('where maps are charged to a limit, it is lifted, once', { skip }, () => {
  let failures = 2;
  const libc = answering(({ nr }) => {
    // The helper that the probe calls is of 5.11.
    if (nr === commands.progLoad.nr) return 'EINVAL';
    return failures-- > 0 ? 'EPERM' : 7;
  });
  const system = new LinuxSystem(libc);
  assert.throws(() => system.bpf('mapCreate', map), /EPERM/);
  assert.deepEqual(libc.lifted, [RLIMIT_MEMLOCK]);
  assert.equal(system.bpf('mapCreate', map), 7);
  assert.deepEqual(libc.lifted, [RLIMIT_MEMLOCK]);
});

test('the call that the limit refused is made again', { skip }, () => {
  const libc = answering(({ nr }) => {
    if (nr === commands.progLoad.nr) return 'EINVAL';
    return libc.lifted.length === 0 ? 'EPERM' : 7;
  });
  assert.equal(new LinuxSystem(libc).bpf('mapCreate', map), 7);
});

test('where maps are charged to cgroups, the limit stays as it is', { skip }, () => {
  const libc = answering(({ nr }) => (nr === commands.progLoad.nr ? 9 : 'EPERM'));
  assert.throws(() => new LinuxSystem(libc).bpf('mapCreate', map), /EPERM/);
  assert.deepEqual(libc.lifted, []);
});

test('commands that look and do not take memory leave the limit alone', { skip }, () => {
  const libc = answering(({ nr }) => (nr === commands.progLoad.nr ? 'EINVAL' : 'EPERM'));
  assert.throws(() => new LinuxSystem(libc).bpf('mapGetFdById', { mapId: 1 }), /EPERM/);
  assert.deepEqual(libc.lifted, []);
});

test('errors of memory and of unknown fields come as they are', { skip }, () => {
  for (const errno of ['ENOMEM', 'EINVAL', 'E2BIG', 'EMFILE'] as const) {
    const system = new LinuxSystem(answering(() => errno));
    assert.throws(
      () => system.bpf('linkCreate', { progFd: 3, targetFd: 4 }),
      (error) => error instanceof SkepError && error.line.includes(`(${errno})`) && error.hint === undefined,
    );
  }
  assert.equal(process.platform, 'linux');
});
