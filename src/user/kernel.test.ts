/**
 * The library on the embedded kernel: objects that clang compiled, loaded, edited, run, attached, pinned.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { assemble } from '../asm/index.ts';
import { SkepError } from '../base/errors.ts';
import { openObject } from '../object/index.ts';
import { BpfError } from '../uapi/errno.ts';
import { Map as BpfMap, Kernel, Link, LoadError, Program, setVariables } from './index.ts';

function example(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../../examples/${name}.bpf.o`, import.meta.url)));
}

/** An Ethernet frame with IPv4 and TCP to a port. */
function tcpTo(port: number): Uint8Array {
  const frame = new Uint8Array(54);
  frame.set([0x08, 0x00, 0x45], 12);
  frame[17] = 40;
  frame[22] = 64;
  frame[23] = 6;
  frame.set([0xc0, 0x00, port >> 8, port & 0xff], 34);
  frame[46] = 0x50;
  return frame;
}

const XDP_DROP = 1;
const XDP_PASS = 2;

test('the README: load, set a typed element, test-run, close', () => {
  const kernel = new Kernel();
  const collection = kernel.load(openObject(example('firewall')));
  const blocked = collection.map<number, number>('blocked');
  assert.equal(collection.program('firewall').testRun({ data: tcpTo(80) }).retval, XDP_PASS);
  blocked.set(80, 1);
  assert.equal(blocked.get(80), 1);
  assert.equal(blocked.get(81), undefined);
  const result = collection.program('firewall').testRun({ data: tcpTo(80) });
  assert.equal(result.retval, XDP_DROP);
  assert.deepEqual(result.data, tcpTo(80));
  assert.deepEqual(
    [...collection.map('flows')],
    [
      [
        { protocol: 6, port: 80 },
        { passed: 1n, dropped: 1n, bytes: 108n },
      ],
    ],
  );
  collection.close();
  assert.throws(
    () => blocked.get(80),
    (error) => error instanceof SkepError && error.code === 'closed',
  );
  assert.deepEqual([kernel.mapIds(), kernel.programIds()], [[], []]);
});

test('per-CPU values are arrays with one element a CPU', () => {
  const kernel = new Kernel({ cpus: 3 });
  const collection = kernel.load(example('firewall'));
  collection.program('firewall').testRun({ data: tcpTo(80), repeat: 5 });
  assert.deepEqual(collection.map<number, bigint[]>('actions').get(XDP_PASS), [5n, 0n, 0n]);
});

test('a spec is edited before it is loaded', () => {
  const spec = openObject(example('firewall'));
  const map = spec.maps['blocked'];
  assert.ok(map !== undefined);
  map.maxEntries = 2;
  const collection = new Kernel().load(spec);
  const blocked = collection.map<number, number>('blocked');
  assert.equal(blocked.maxEntries, 2);
  blocked.set(1, 1).set(2, 1);
  assert.throws(
    () => blocked.set(3, 1),
    (error) => error instanceof BpfError && error.errno === 'E2BIG',
  );
});

test('elements: modes, deletion, size, clear', () => {
  const map = new Kernel().load(example('firewall')).map<number, number>('blocked');
  const errnoOf = (act: () => void): string | undefined => {
    try {
      act();
      return undefined;
    } catch (error) {
      return error instanceof BpfError ? error.errno : String(error);
    }
  };
  assert.equal(
    errnoOf(() => map.set(1, 1, 'exist')),
    'ENOENT',
  );
  assert.equal(
    errnoOf(() => map.set(1, 1, 'noexist')),
    undefined,
  );
  assert.equal(
    errnoOf(() => map.set(1, 2, 'noexist')),
    'EEXIST',
  );
  assert.equal(
    errnoOf(() => map.set(1, 2, 'exist')),
    undefined,
  );
  assert.equal(map.get(1), 2);
  map.set(443, 1);
  assert.equal(map.size, 2);
  assert.deepEqual([...map.keys()].sort(), [1, 443]);
  assert.deepEqual(
    [map.has(443), map.delete(443), map.delete(443), map.has(443)],
    [true, true, false, false],
  );
  map.clear();
  assert.deepEqual([...map], []);
  assert.throws(
    () => map.set(65536, 1),
    (error) =>
      error instanceof SkepError && error.line.startsWith("key of map 'blocked': 65536 does not fit"),
  );
});

test('variables: read and written while loaded, set in a spec before', () => {
  const spec = openObject(example('syscount'));
  setVariables(spec, { target_pid: 42 });
  const collection = new Kernel().load(spec);
  assert.equal(collection.variable('target_pid').get(), 42);
  assert.throws(() => setVariables(spec, { nothing: 1 }), /there is no variable 'nothing'/);
  assert.throws(
    () => setVariables(spec, { target_pid: 'x' }),
    (error) => error instanceof SkepError && error.line.startsWith("variable 'target_pid': "),
  );
  const callers = new Kernel().load(example('callers'));
  const highest = callers.variable<bigint>('highest');
  assert.equal(highest.get(), 0n);
  highest.set(7n);
  assert.equal(highest.get(), 7n);
});

test('an unknown name lists those that there are', () => {
  const collection = new Kernel().load(example('firewall'));
  assert.throws(
    () => collection.map('bloked'),
    (error) =>
      error instanceof SkepError &&
      error.line === "there is no map 'bloked' (there are blocked, flows, actions)",
  );
  assert.throws(() => collection.program('x'), /there is no program 'x'/);
});

test('a rejected program: the log, the reason in one line, and nothing left behind', () => {
  const kernel = new Kernel();
  const spec = openObject(example('firewall'));
  const program = spec.programs['firewall'];
  assert.ok(program !== undefined);
  program.insns = program.insns.slice();
  // The first instruction reads the context; r0 is not set.
  program.insns.set([0xbf, 0x01, 0, 0, 0, 0, 0, 0], 0);
  program.lineInfo = undefined;
  assert.throws(
    () => kernel.load(spec),
    (error) => {
      assert.ok(error instanceof LoadError);
      assert.equal(error.errno, 'EACCES');
      assert.equal(error.reason, 'R0 !read_ok');
      assert.equal(error.line, "program 'firewall' rejected: R0 !read_ok: Permission denied (EACCES)");
      assert.match(error.log, /^R0 !read_ok$/m);
      return true;
    },
  );
  assert.deepEqual([kernel.mapIds(), kernel.programIds()], [[], []]);
});

test('a map that cannot be made: its sizes in the error', () => {
  const spec = openObject(example('firewall'));
  const map = spec.maps['blocked'];
  assert.ok(map !== undefined);
  map.maxEntries = 2 ** 31;
  const kernel = new Kernel();
  assert.throws(
    () => kernel.load(spec),
    (error) =>
      error instanceof BpfError &&
      error.line.includes(
        "map 'blocked' (hash, key 2 bytes, value 4 bytes, 2147483648 entries) was not created",
      ),
  );
  assert.deepEqual(kernel.mapIds(), []);
});

test('programs from text, and what the kernel knows of them', () => {
  const kernel = new Kernel();
  const program = kernel.loadProgram(
    { type: 'socket_filter', name: 'eleven', insns: assemble('r0 = 11; exit') },
    { logLevel: 2 },
  );
  assert.equal(program.testRun({ data: new Uint8Array(14) }).retval, 11);
  assert.match(program.log, /0: \(b7\) r0 = 11/);
  const info = program.info();
  assert.deepEqual(
    {
      name: info.name,
      typeName: info.typeName,
      xlatedBytes: info.xlatedBytes,
      gpl: info.gplCompatible,
      mapIds: info.mapIds,
    },
    { name: 'eleven', typeName: 'socket_filter', xlatedBytes: 16, gpl: true, mapIds: [] },
  );
  assert.deepEqual([...program.instructions().slice(0, 8)], [0xb7, 0, 0, 0, 11, 0, 0, 0]);
  assert.equal(kernel.programById(program.id).name, 'eleven');
});

test("exit alone is rejected in the verifier's own words", () => {
  assert.throws(
    () => new Kernel().loadProgram({ type: 'socket_filter', insns: assemble('exit') }),
    (error) => error instanceof LoadError && error.reason === 'R0 !read_ok',
  );
});

test('attach XDP to a device: packets get its verdict until the link is closed', () => {
  const kernel = new Kernel();
  const device = kernel.embedded.devices.add('eth0');
  const collection = kernel.load(example('firewall'));
  collection.map<number, number>('blocked').set(22, 1);
  const link = collection.program('firewall').attach({ device: 'eth0' });
  assert.equal(device.receive(tcpTo(22)).action, XDP_DROP);
  assert.equal(kernel.linkIds().length, 1);
  // The link keeps the program.
  collection.close();
  assert.equal(device.receive(tcpTo(22)).action, XDP_DROP);
  link.close();
  assert.equal(device.receive(tcpTo(22)).action, XDP_PASS);
});

test('attach to a tracepoint and a raw tracepoint by the section', () => {
  const kernel = new Kernel();
  const collection = kernel.load(example('callers'));
  const link = collection.program('count_caller').attach();
  const task = { pid: 7, tgid: 7, uid: 0, gid: 0, comm: 'ls' };
  kernel.embedded.tracepoints.fire('raw_syscalls:sys_enter', { task, id: 59n, args: [] });
  assert.deepEqual([...collection.map('callers')], [[{ pid: 7, comm: 'ls' }, 1n]]);
  assert.equal(collection.variable('highest').get(), 59n);
  link.close();
  kernel.embedded.tracepoints.fire('raw_syscalls:sys_enter', { task, id: 60n, args: [] });
  assert.equal(collection.variable('highest').get(), 59n);

  const counted = kernel.load(example('syscount'));
  for (const program of Object.values(counted.programs)) assert.ok(program.attach() instanceof Link);
});

test('what cannot be attached says why', () => {
  const kernel = new Kernel();
  const filter = kernel.loadProgram({ type: 'socket_filter', name: 'f', insns: assemble('r0 = 0; exit') });
  assert.throws(() => filter.attach(), /does not say which socket to attach to/);
  const action = kernel.loadProgram({ type: 'sched_act', name: 'a', insns: assemble('r0 = 0; exit') });
  assert.throws(() => action.attach(), /a sched_act program cannot be attached/);
  const xdp = kernel.load(example('minimal')).programs;
  const first = Object.values(xdp)[0];
  assert.ok(first !== undefined);
  assert.throws(() => first.attach(), /does not say which device/);
  assert.throws(
    () => first.attach({ device: 'nosuch0' }),
    (error) => error instanceof BpfError && error.errno === 'ENODEV',
  );
});

test('program arrays: filled by the load, and by hand', () => {
  const collection = new Kernel().load(example('tailcall'));
  const handlers = collection.map<number, number>('handlers');
  assert.equal(handlers.get(0), collection.program('on_ipv4').id);
  assert.equal(handlers.get(2), undefined);
  assert.equal(collection.program('dispatch').testRun({ data: tcpTo(80) }).retval, XDP_PASS);
  handlers.delete(0);
  assert.equal(collection.program('dispatch').testRun({ data: tcpTo(80) }).retval, XDP_DROP);
  handlers.set(0, collection.program('on_ipv6'));
  assert.equal(collection.program('dispatch').testRun({ data: tcpTo(80) }).retval, XDP_PASS);
});

test('a pin outlives its process; another opens it with its types', () => {
  const kernel = new Kernel();
  const collection = kernel.load(example('firewall'));
  collection.map<number, number>('blocked').set(80, 1);
  collection.map('blocked').pin('/sys/fs/bpf/blocked');
  collection.program('firewall').pin('/sys/fs/bpf/firewall');
  collection.close();
  const map = kernel.openPinned('/sys/fs/bpf/blocked');
  assert.ok(map instanceof BpfMap);
  assert.deepEqual([...map], [[80, 1]]);
  const program = kernel.openPinned('/sys/fs/bpf/firewall');
  assert.ok(program instanceof Program);
  assert.equal(program.testRun({ data: tcpTo(80) }).retval, XDP_DROP);
  assert.throws(
    () => kernel.openPinned('/sys/fs/bpf/nothing'),
    (error) => error instanceof BpfError && error.errno === 'ENOENT',
  );
});

test('maps pinned by name are shared between loads, if they are the same', () => {
  const kernel = new Kernel();
  const load = (maxEntries: number): ReturnType<Kernel['load']> => {
    const spec = openObject(example('firewall'));
    const map = spec.maps['blocked'];
    assert.ok(map !== undefined);
    Object.assign(map, { pinning: 'byName', maxEntries });
    return kernel.load(spec);
  };
  load(8).map<number, number>('blocked').set(80, 1);
  assert.equal(load(8).map<number, number>('blocked').get(80), 1);
  assert.throws(
    () => load(9),
    (error) =>
      error instanceof SkepError &&
      error.line.includes('the pinned map has maxEntries 8, the object wants 9'),
  );
});

test('a map made by hand, frozen', () => {
  const kernel = new Kernel();
  const map = kernel.createMap<number, Uint8Array | number>({
    type: 'array',
    name: 'numbers',
    valueSize: 2,
    maxEntries: 3,
  });
  map.set(1, 513);
  assert.deepEqual([...map.keys()], [0, 1, 2]);
  assert.deepEqual(map.get(1), Uint8Array.of(1, 2));
  assert.equal(map.get(3), undefined);
  map.freeze();
  assert.throws(
    () => map.set(1, 1),
    (error) => error instanceof BpfError && error.errno === 'EPERM',
  );
  assert.equal(kernel.mapById(map.id).typeName, 'array');
});

test('disposal closes, and ending the kernel ends everything', () => {
  const kernel = new Kernel();
  const collection = kernel.load(example('firewall'));
  collection[Symbol.dispose]();
  assert.deepEqual(kernel.programIds(), []);
  const later = kernel.load(example('firewall'));
  kernel[Symbol.dispose]();
  kernel.close();
  assert.throws(
    () => later.map('blocked').size,
    (error) => error instanceof BpfError && error.errno === 'ESRCH',
  );
  later.close();
});
