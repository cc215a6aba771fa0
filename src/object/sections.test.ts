import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SkepError } from '../base/errors.ts';
import { progTypes } from '../uapi/prog-types.ts';
import { type SectionMeaning, sectionMeaning, sectionTable } from './index.ts';

describe('what a section name means', () => {
  const cases: { name: string; want: Partial<SectionMeaning> }[] = [
    {
      name: 'xdp',
      want: { progType: 6, expectedAttachType: 37, progFlags: 0, attachTo: undefined, autoload: true },
    },
    { name: '?xdp', want: { progType: 6, autoload: false } },
    { name: 'xdp.frags', want: { progType: 6, expectedAttachType: 37, progFlags: 32 } },
    { name: 'xdp/devmap', want: { progType: 6, expectedAttachType: 33, attachTo: undefined } },
    { name: 'tracepoint', want: { progType: 5, attachTo: undefined } },
    {
      name: 'tracepoint/syscalls/sys_enter_read',
      want: { progType: 5, attachTo: 'syscalls/sys_enter_read' },
    },
    { name: 'tp/sched/sched_switch', want: { progType: 5, attachTo: 'sched/sched_switch' } },
    { name: 'raw_tp/sys_enter', want: { progType: 17, attachTo: 'sys_enter' } },
    { name: 'raw_tp.w/x', want: { progType: 24, attachTo: 'x' } },
    { name: 'uprobe//bin/sh:main+8', want: { progType: 2, attachTo: '/bin/sh:main+8' } },
    { name: 'kprobe.multi/tcp_*', want: { progType: 2, expectedAttachType: 42, attachTo: 'tcp_*' } },
    { name: 'fentry.s/do_unlinkat', want: { progType: 26, expectedAttachType: 24, progFlags: 16 } },
    {
      name: 'lsm.s/file_open',
      want: { progType: 29, expectedAttachType: 27, progFlags: 16, attachTo: 'file_open' },
    },
    { name: 'cgroup/connect4', want: { progType: 18, expectedAttachType: 10, attachTo: undefined } },
    { name: 'tcx/ingress', want: { progType: 3, expectedAttachType: 46 } },
    { name: 'classifier', want: { progType: 3, expectedAttachType: 0 } },
    { name: 'struct_ops/init', want: { progType: 27, attachTo: 'init' } },
    { name: 'syscall', want: { progType: 31, progFlags: 16 } },
  ];
  for (const { name, want } of cases) {
    test(name, () => {
      const meaning = sectionMeaning(name);
      assert.deepEqual({ ...meaning, ...want }, meaning);
    });
  }
});

test('every program type of Linux has a section', () => {
  const found = new Set(Object.values(sectionTable).map(({ type }) => type));
  assert.deepEqual(
    Object.keys(progTypes).filter((type) => !found.has(type as keyof typeof progTypes)),
    [],
  );
});

describe('a name that libbpf does not have is refused, with what may have been meant', () => {
  const cases: { name: string; want: RegExp }[] = [
    { name: 'xdp_main', want: /SEC\("xdp_main"\) is no section name.*did you mean SEC\("xdp"\)/ },
    { name: 'xdp/eth0', want: /did you mean SEC\("xdp"\)/ },
    { name: 'cgroup', want: /did you mean SEC\("cgroup\// },
    { name: 'main', want: /for example SEC\("xdp"\)/ },
    { name: 'constructor', want: /for example/ },
    { name: '__proto__/x', want: /for example/ },
    { name: '?', want: /for example/ },
  ];
  for (const { name, want } of cases) {
    test(name, () => {
      assert.throws(
        () => sectionMeaning(name),
        (error) => error instanceof SkepError && want.test(error.line),
      );
    });
  }
});
