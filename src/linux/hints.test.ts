/** What an errno means that is about the process or the machine. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BpfAttr, Cmd } from '../uapi/commands.ts';
import { type ProgTypeName, progTypes } from '../uapi/prog-types.ts';
import { bpfHint, perfHint, type Rights } from './hints.ts';

const bit = { netAdmin: 1n << 12n, sysAdmin: 1n << 21n, perfmon: 1n << 38n, bpf: 1n << 39n };
const rights = (capabilities: bigint, more: Partial<Rights> = {}) => ({
  capabilities,
  isNamespaced: false,
  unprivilegedDisabled: true,
  ...more,
});
const load = (type: ProgTypeName) => ({ cmd: 'progLoad' as Cmd, attr: { progType: progTypes[type].id } });
const create = { cmd: 'mapCreate' as Cmd, attr: {} };
const asRoot = 'run it as root, or with setpriv or setcap';

describe('EPERM of bpf(2)', () => {
  const cases: {
    name: string;
    call: { cmd: Cmd; attr: BpfAttr<Cmd> };
    own: Rights;
    want: string | undefined;
  }[] = [
    {
      name: 'a map without rights',
      call: create,
      own: rights(0n),
      want: `this process has neither CAP_BPF nor CAP_SYS_ADMIN: ${asRoot}`,
    },
    {
      name: 'a filter that anyone could load elsewhere',
      call: load('socket_filter'),
      own: rights(0n),
      want: `this process has neither CAP_BPF nor CAP_SYS_ADMIN, and the sysctl kernel.unprivileged_bpf_disabled keeps others from BPF: ${asRoot}`,
    },
    {
      name: 'packets with CAP_BPF alone',
      call: load('xdp'),
      own: rights(bit.bpf | bit.perfmon),
      want: 'xdp programs need CAP_NET_ADMIN, which this process has not',
    },
    {
      name: 'tracing with CAP_BPF alone',
      call: load('kprobe'),
      own: rights(bit.bpf | bit.netAdmin),
      want: 'kprobe programs need CAP_PERFMON, which this process has not',
    },
    {
      name: 'with all that it needs',
      call: load('tracing'),
      own: rights(bit.sysAdmin),
      want: 'this process has the capabilities for it: a policy of the machine refuses it',
    },
    {
      name: 'as root of a container',
      call: load('xdp'),
      own: rights(~0n, { isNamespaced: true }),
      want: 'this process is root of a user namespace alone: BPF wants capabilities of the machine',
    },
    { name: 'a frozen map', call: { cmd: 'mapUpdateElem', attr: {} }, own: rights(~0n), want: undefined },
    {
      name: 'a pin elsewhere',
      call: { cmd: 'objPin', attr: {} },
      own: rights(~0n),
      want: 'the folder is in no BPF file system: mount -t bpf bpf /sys/fs/bpf',
    },
  ];
  for (const { name, call, own, want } of cases) {
    test(name, () => assert.equal(bpfHint('EPERM', { ...call, rights: () => own }), want));
  }
});

test('a kernel without BPF, and errors of arguments', () => {
  assert.match(bpfHint('ENOSYS', create) ?? '', /built without CONFIG_BPF_SYSCALL/);
  assert.equal(bpfHint('EINVAL', create), undefined);
});

test('events', () => {
  assert.match(perfHint('ENOSYS') ?? '', /built without CONFIG_PERF_EVENTS/);
  assert.match(perfHint('EACCES', () => rights(0n)) ?? '', /CAP_PERFMON.*kernel\.perf_event_paranoid/);
  assert.equal(
    perfHint('EACCES', () => rights(bit.perfmon)),
    undefined,
  );
  assert.match(perfHint('EPERM', () => rights(~0n, { isNamespaced: true })) ?? '', /user namespace/);
  assert.equal(perfHint('ENOENT'), undefined);
});
