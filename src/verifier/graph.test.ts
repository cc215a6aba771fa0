/** Objects that programs allocate, lists of them in map values with their lock, and kernel pointers in values. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kernelBtf } from '../../test/support/kernel-btf.ts';
import { assemble } from '../asm/index.ts';
import { BtfBuilder, readBtf } from '../btf/index.ts';
import { encode } from '../isa/index.ts';
import { type MapFacts, valueFields, verify } from './index.ts';

const builder = new BtfBuilder();
const u32 = builder.add({
  kind: 'int',
  name: 'unsigned int',
  size: 4,
  signed: false,
  char: false,
  bool: false,
  bitOffset: 0,
  bits: 32,
});
const opaque = (name: string, size: number): number => {
  const members = Array.from({ length: size / 4 }, (_, i) => ({
    name: `w${i}`,
    type: u32,
    bitOffset: 32 * i,
    bitSize: 0,
  }));
  return builder.add({ kind: 'struct', name, size, members });
};
const lock = opaque('bpf_spin_lock', 4);
const head = opaque('bpf_list_head', 16);
const node = opaque('bpf_list_node', 24);
const member = (name: string, type: number, byte: number) => ({
  name,
  type,
  bitOffset: 8 * byte,
  bitSize: 0,
});
const item = builder.add({
  kind: 'struct',
  name: 'item',
  size: 32,
  members: [member('data', u32, 0), member('node', node, 8)],
});
const tag = builder.add({ kind: 'typeTag', name: 'kptr', type: item });
const kptr = builder.add({ kind: 'ptr', name: '', type: tag });
const value = builder.add({
  kind: 'struct',
  name: 'value',
  size: 32,
  members: [member('lock', lock, 0), member('head', head, 8), member('kept', kptr, 24)],
});
builder.add({ kind: 'declTag', name: 'contains:item:node', type: value, component: 1 });
const bytes = builder.build();
const btf = readBtf(bytes);

const map: MapFacts = {
  handle: {},
  id: 1,
  name: 'm',
  type: 2,
  keySize: 4,
  valueSize: 32,
  maxEntries: 1,
  flags: 0,
  frozen: false,
  address: 0x1000,
  valueAddress: 0x2000,
  btf,
  btfKeyTypeId: u32,
  btfValueTypeId: value,
};

const SCHED_CLS = 3;

function verdict(program: string): string {
  const text = program
    .replace(/kfunc:(\w+)/g, (_, name: string) => `kfunc#${kernelBtf.id(name)}`)
    .replaceAll('VALUE', 'r1 = map[fd:1][0] + 0');
  const result = verify({
    insns: encode(assemble(text)),
    progType: SCHED_CLS,
    expectedAttachType: 0,
    progFlags: 0,
    gplCompatible: true,
    capabilities: { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true },
    resolveMap: (fd) => (fd === 1 ? map : 'EBADF'),
    kernelBtf: kernelBtf.bytes,
    btf: bytes,
    logLevel: 1,
  });
  return result.ok ? 'ok' : result.message;
}

test('fields are found where they are', () => {
  const found = valueFields(btf, value).map(({ kind, offset, size }) => ({ kind, offset, size }));
  assert.deepEqual(found, [
    { kind: 'spinLock', offset: 0, size: 4 },
    { kind: 'listHead', offset: 8, size: 16 },
    { kind: 'kptr', offset: 24, size: 8 },
  ]);
});

test('structs within structs many times over take no time', () => {
  const deep = new BtfBuilder();
  let id = deep.add({ kind: 'struct', name: 'empty', size: 0, members: [] });
  for (let level = 0; level < 30; level++) {
    const members = Array.from({ length: 20 }, (_, i) => member(`m${i}`, id, 0));
    id = deep.add({ kind: 'struct', name: `level${level}`, size: 0, members });
  }
  assert.deepEqual(valueFields(readBtf(deep.build()), id), []);
});

const end = 'out:\nr0 = 0\nexit';
const alloc = `r1 = ${item}\nr2 = 0\ncall kfunc:bpf_obj_new_impl\nif r0 == 0 goto out\nr7 = r0`;
const drop = 'r1 = r7\nr2 = 0\ncall kfunc:bpf_obj_drop_impl';
const take = 'VALUE\ncall 93';
const letGo = 'VALUE\ncall 94';
const push = 'VALUE\nr1 += 8\nr2 = r7\nr2 += 8\nr3 = 0\nr4 = 0\ncall kfunc:bpf_list_push_front_impl';
const pop = 'VALUE\nr1 += 8\ncall kfunc:bpf_list_pop_front\nr7 = r0';
const exchange = 'VALUE\nr1 += 24\nr2 = r7\ncall 194';

const cases = [
  { name: 'allocated and dropped', program: `${alloc}\n*(u32 *)(r7 + 0) = 1\n${drop}\n${end}`, want: 'ok' },
  {
    name: 'allocated and kept',
    program: `${alloc}\n${end}`,
    want: 'BPF_EXIT instruction in main prog would lead to reference leak',
  },
  {
    name: 'a node is not written',
    program: `${alloc}\n*(u32 *)(r7 + 8) = 1\n${drop}\n${end}`,
    want: 'direct access to bpf_list_node is disallowed',
  },
  { name: 'put into a list', program: `${alloc}\n${take}\n${push}\n${letGo}\n${end}`, want: 'ok' },
  {
    name: 'used while the lock is held',
    program: `${alloc}\n${take}\n${push}\n*(u32 *)(r7 + 0) = 1\n${letGo}\n${end}`,
    want: 'ok',
  },
  {
    name: 'used when the lock is let go',
    program: `${alloc}\n${take}\n${push}\n${letGo}\n*(u32 *)(r7 + 0) = 1\n${end}`,
    want: "R7 invalid mem access 'scalar'",
  },
  {
    name: 'put into a list without the lock',
    program: `${alloc}\n${push}\n${end}`,
    want: 'bpf_spin_lock at off=0 must be held for bpf_list_head',
  },
  {
    name: 'put into a list twice',
    program: `${alloc}\n${take}\n${push}\n${push}\n${letGo}\n${end}`,
    want: 'arg#1 expected pointer to allocated object',
  },
  {
    name: 'taken out and dropped',
    program: `${take}\n${pop}\n${letGo}\nif r7 == 0 goto out\nr7 += -8\n${drop}\n${end}`,
    want: 'ok',
  },
  {
    name: 'taken out and kept',
    program: `${take}\n${pop}\n${letGo}\n${end}`,
    want: 'BPF_EXIT instruction in main prog would lead to reference leak',
  },
  {
    name: 'the lock is never let go',
    program: `${take}\n${end}`,
    want: 'BPF_EXIT instruction in main prog cannot be used inside bpf_spin_lock-ed region',
  },
  {
    name: 'nothing is called while it is held',
    program: `${take}\ncall 7\n${letGo}\n${end}`,
    want: 'function calls are not allowed while holding a lock',
  },
  {
    name: 'a lock is not read',
    program: `VALUE\nr0 = *(u32 *)(r1 + 0)\n${end}`,
    want: 'bpf_spin_lock cannot be accessed directly by load/store',
  },
  {
    name: 'kept by the map',
    program: `${alloc}\n${exchange}\nif r0 == 0 goto out\nr7 = r0\n${drop}\n${end}`,
    want: 'ok',
  },
  {
    name: 'what the map had is kept',
    program: `${alloc}\n${exchange}\n${end}`,
    want: 'BPF_EXIT instruction in main prog would lead to reference leak',
  },
  {
    name: 'a kernel pointer is not stored',
    program: `VALUE\n*(u64 *)(r1 + 24) = 0\n${end}`,
    want: 'store to referenced kptr disallowed',
  },
  {
    name: 'half a kernel pointer',
    program: `VALUE\nr0 = *(u32 *)(r1 + 24)\n${end}`,
    want: 'kptr access size must be BPF_DW',
  },
];

for (const { name, program, want } of cases) {
  test(name, () => assert.equal(verdict(program), want));
}
