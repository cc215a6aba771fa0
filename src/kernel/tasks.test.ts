/** The embedded kernel's own types, and tasks that are laid out by them or by those of another kernel. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BtfBuilder, type BtfType, codec, findMember, readBtf, resolvedType, sizeOf } from '../btf/index.ts';
import { createMemory } from '../memory/index.ts';
import { openObject } from '../object/index.ts';
import { contexts } from '../uapi/contexts.ts';
import { helpers } from '../uapi/helpers.ts';
import { Kernel } from '../user/index.ts';
import { interpreter, jit } from '../vm/index.ts';
import type { Task } from '../vm/types.ts';
import { embeddedKernelBtf } from './kernel-btf.ts';
import { idleTask } from './runtime.ts';
import { Tasks } from './tasks.ts';

const object = readFileSync(fileURLToPath(new URL('../../fixtures/objects/task.bpf.o', import.meta.url)));
const own = readBtf(embeddedKernelBtf());
const task: Task = { pid: 42, tgid: 40, uid: 1000, gid: 100, comm: 'a-name-of-sixteen' };

describe('structs of the user-space interface are laid out as everywhere', () => {
  const sizes: [string, number][] = [
    ['xdp_md', 24],
    ['__sk_buff', 192],
    ['bpf_sock', 80],
    ['ethhdr', 14],
    ['iphdr', 20],
    ['ipv6hdr', 40],
    ['tcphdr', 20],
    ['udphdr', 8],
    ['icmphdr', 8],
    ['pt_regs', 168],
    ['trace_event_raw_sys_enter', 64],
    ['bpf_timer', 16],
  ];
  for (const [name, want] of sizes) {
    test(name, () => assert.equal(sizeOf(own, own.find(name, 'struct')!), want));
  }
});

test('contexts have their fields where the verifier has them', () => {
  for (const [name, type] of [
    ['xdp_md', 'xdp'],
    ['__sk_buff', 'sched_cls'],
  ] as const) {
    for (const field of contexts[type]?.fields ?? []) {
      const member = findMember(own, own.find(name, 'struct')!, field.name);
      if (member !== undefined) assert.equal(member.bitOffset, field.off * 8, `${name}.${field.name}`);
    }
  }
});

function decoded(memory: ReturnType<typeof createMemory>, address: number): Record<string, unknown> {
  const id = own.find('task_struct', 'struct')!;
  return codec(own, id).decode(memory.u8.slice(address, address + sizeOf(own, id))) as Record<
    string,
    unknown
  >;
}

test('a task has its ids, name, credentials, leader and parent, and keeps its address', () => {
  const memory = createMemory();
  const tasks = new Tasks({ memory, btf: () => own, now: () => 7n, idle: idleTask });
  const address = tasks.address(task);
  const got = decoded(memory, address);
  assert.deepEqual(
    [got['pid'], got['tgid'], got['comm'], got['start_time']],
    [42, 40, 'a-name-of-sixte', 7n],
  );
  const leader = decoded(memory, Number(got['group_leader']));
  assert.deepEqual([leader['pid'], leader['tgid']], [40, 40]);
  const parent = decoded(memory, Number(got['real_parent']));
  assert.deepEqual([parent['pid'], parent['comm'], parent['parent']], [0, 'swapper/0', got['real_parent']]);
  const cred = findMember(own, own.find('cred', 'struct')!, 'euid')!.bitOffset / 8;
  assert.equal(memory.view.getUint32(Number(got['cred']) + cred, true), 1000);
  assert.equal(tasks.address({ ...task, comm: 'renamed' }), address);
  assert.equal(decoded(memory, address)['comm'], 'renamed');
  assert.equal(tasks.address({ ...task, pid: 40 }), Number(got['group_leader']));
});

test('tasks that were longest not asked for make room for others', () => {
  const memory = createMemory();
  const tasks = new Tasks({ memory, btf: () => own, now: () => 0n, idle: idleTask });
  for (let pid = 1; pid <= 5000; pid++) tasks.address({ ...task, pid, tgid: pid });
  const used = memory.bytesInUse;
  for (let pid = 5001; pid <= 9000; pid++) tasks.address({ ...task, pid, tgid: pid });
  assert.equal(memory.bytesInUse, used);
});

test('without memory there is no task', () => {
  const memory = createMemory({ limitBytes: 1 << 17 });
  const tasks = new Tasks({ memory, btf: () => own, now: () => 0n, idle: idleTask });
  let pid = 1;
  while (tasks.address({ ...task, pid, tgid: pid }) !== 0) pid++;
  assert.ok(pid > 10);
});

/** Another kernel: a task_struct with its members elsewhere. */
function otherKernel(): Uint8Array {
  const builder = new BtfBuilder();
  const int: BtfType = {
    kind: 'int',
    name: 'int',
    size: 4,
    signed: true,
    char: false,
    bool: false,
    bitOffset: 0,
    bits: 32,
  };
  builder.add(int);
  builder.add({ ...int, name: 'char', size: 1, bits: 8 });
  builder.add({ kind: 'array', name: '', type: 2, indexType: 1, length: 16 });
  builder.add({
    kind: 'struct',
    name: 'task_struct',
    size: 512,
    members: [
      { name: 'comm', type: 3, bitOffset: 800, bitSize: 0 },
      { name: 'tgid', type: 1, bitOffset: 1600, bitSize: 0 },
      { name: 'pid', type: 1, bitOffset: 2400, bitSize: 0 },
    ],
  });
  return builder.build();
}

for (const engine of [interpreter, jit]) {
  for (const [name, btf] of [
    ['its own types', undefined],
    ['given types', otherKernel()],
  ] as const) {
    test(`${engine.name}: a program finds its task by CO-RE, with ${name}`, () => {
      using kernel = new Kernel({ engine, ...(btf && { btf }) });
      const types = readBtf(kernel.sys.kernelBtf()!);
      const id = types.find('task_struct', 'struct')!;
      const place = (member: string): number => findMember(types, id, member)!.bitOffset / 8;
      const spec = openObject(object);
      spec.programs['read']!.autoload = false;
      const loaded = kernel.load(spec);
      loaded.program('task').testRun();
      assert.deepEqual(loaded.variable('layout').get(), {
        pid: place('pid'),
        tgid: place('tgid'),
        comm: place('comm'),
        comm_size: 16,
        task_size: sizeOf(types, id),
        has_nothing: false,
        has_hash: btf === undefined,
      });
      assert.notEqual(loaded.variable('address').get(), 0n);
    });
  }

  test(`${engine.name}: a program reads its task`, {
    skip:
      (helpers.probe_read_kernel.label as string) === 'verified-only' &&
      'bpf_probe_read_kernel() does not run',
  }, () => {
    using kernel = new Kernel({ engine });
    const loaded = kernel.load(object);
    loaded.program('read').attach();
    kernel.embedded.tracepoints.fire('raw_syscalls:sys_enter', { task, id: 1n, args: [] });
    assert.deepEqual(loaded.variable('who').get(), {
      pid: 42,
      tgid: 40,
      uid: 1000,
      parent: 0,
      leader: 40,
      comm: 'a-name-of-sixte',
    });
  });
}

test('every type of the table is one that C can write', () => {
  for (let id = 1; id < own.typeCount; id++) {
    const { kind } = resolvedType(own, id);
    if (kind === 'struct')
      assert.ok(sizeOf(own, id) > 0 || own.type(id).name.endsWith('args'), own.type(id).name);
  }
});
