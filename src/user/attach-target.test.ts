/** What programs are verified against, found in types that a kernel might have. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { SkepError } from '../base/errors.ts';
import { BtfBuilder, readBtf } from '../btf/index.ts';
import type { ProgramSpec } from '../object/index.ts';
import { sectionMeaning } from '../object/index.ts';
import { findAttachTarget } from './attach-target.ts';
import { Kernel } from './index.ts';

const builder = new BtfBuilder();
const proto = builder.add({ kind: 'funcProto', name: '', type: 0, parameters: [] });
const func = (name: string): number => builder.add({ kind: 'func', name, type: proto, linkage: 0 });
const ids = {
  open: func('do_open'),
  hook: func('bpf_lsm_file_open'),
  iterator: func('bpf_iter_task'),
  tracepoint: builder.add({ kind: 'typedef', name: 'btf_trace_sched_switch', type: proto }),
};
const types = readBtf(builder.build());

function spec(section: string): ProgramSpec {
  const base = { name: 'p', section, license: 'GPL', insns: new Uint8Array(), references: [] };
  return { ...base, ...sectionMeaning(section), funcInfo: undefined, lineInfo: undefined };
}

describe('the type that a section attaches to', () => {
  const kernel = new Kernel();
  after(() => kernel.close());
  const system = kernel.sys;
  const cases = [
    { name: 'fentry/do_open', want: ids.open },
    { name: 'fexit.s/do_open', want: ids.open },
    { name: 'fmod_ret/do_open', want: ids.open },
    { name: 'lsm/file_open', want: ids.hook },
    { name: 'lsm_cgroup/file_open', want: ids.hook },
    { name: 'iter.s/task', want: ids.iterator },
    { name: 'tp_btf/sched_switch', want: ids.tracepoint },
    { name: 'kprobe/do_open', want: undefined },
    { name: 'xdp', want: undefined },
  ];
  for (const { name, want } of cases) {
    test(name, () => {
      assert.equal(findAttachTarget(spec(name), { system, types: () => types })?.attachBtfId, want);
    });
  }

  const refused = [
    { name: 'fentry/do_close', want: /the kernel's types have no func 'do_close' to attach to/ },
    { name: 'tp_btf/do_open', want: /no typedef 'btf_trace_do_open'/ },
    { name: 'fentry', want: /does not say what to attach to \(write SEC\("fentry\/NAME"\)/ },
    { name: 'freplace/do_open', want: /replaces a function of another program.*targets: \{ p: program \}/ },
  ];
  for (const { name, want } of refused) {
    test(`${name} is refused`, () => {
      assert.throws(
        () => findAttachTarget(spec(name), { system, types: () => types }),
        (error) => error instanceof SkepError && want.test(error.line),
      );
    });
  }

  test('a kernel without BTF has nothing to attach to', () => {
    assert.throws(
      () => findAttachTarget(spec('fentry/do_open'), { system, types: () => undefined }),
      (error) => error instanceof SkepError && /this kernel has no BTF/.test(error.line),
    );
  });

  test('a program without BTF has no function to attach to', () => {
    using target = kernel.loadProgram({
      type: 'xdp',
      insns: Uint8Array.of(0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0),
    });
    assert.throws(
      () => findAttachTarget(spec('freplace/do_open'), { system, types: () => types, target }),
      (error) => error instanceof SkepError && /'program', has no BTF/.test(error.line),
    );
  });
});
