/** What only the running kernel has; what it shares with the embedded one is in the contract. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { test } from 'node:test';
import { whyNoLinux } from '../../test/support/linux.ts';
import { assemble } from '../asm/index.ts';
import { encode, type Slots } from '../isa/index.ts';
import { BpfError } from '../uapi/errno.ts';
import { mapTypes } from '../uapi/map-types.ts';
import { progTypes } from '../uapi/prog-types.ts';
import { LinuxSystem } from './system.ts';

const skip = whyNoLinux();

/** A test with the running kernel; what it opens it closes. */
function live(
  name: string,
  run: (s: LinuxSystem, own: (fd: number) => number) => void | Promise<void>,
): void {
  test(name, { skip }, async () => {
    const s = new LinuxSystem();
    const fds: number[] = [];
    try {
      await run(s, (fd) => {
        fds.push(fd);
        return fd;
      });
    } finally {
      for (const fd of fds) s.close(fd);
    }
  });
}

const array = { mapType: mapTypes.array.id, keySize: 4, valueSize: 8, maxEntries: 4 };
const key = Uint8Array.of(0, 0, 0, 0);

const throws = (call: () => unknown, errno: string): void =>
  assert.throws(call, (error) => error instanceof BpfError && error.errno === errno, errno);

live('a buffer that is too small for a value is EFAULT, not overrun', (s, own) => {
  const mapFd = own(s.bpf('mapCreate', array));
  const around = new Uint8Array(24);
  throws(() => s.bpf('mapLookupElem', { mapFd, key, value: around.subarray(8, 12) }), 'EFAULT');
  assert.deepEqual(around, new Uint8Array(24));
});

live('a string with a NUL in it is refused, not cut', (s, own) => {
  const bpfFd = own(s.bpf('mapCreate', array));
  throws(() => s.bpf('objPin', { pathname: '/sys/fs/bpf/x\0y', bpfFd }), 'EINVAL');
});

live('arguments beyond the usual room: a log of four megabytes', (s, own) => {
  const insns = encode(assemble('r0 = 0\nexit') satisfies Slots);
  const attr = {
    progType: progTypes.socket_filter.id,
    insns,
    insnCnt: 2,
    license: 'GPL',
    logLevel: 4,
    logSize: 4 << 20,
    logBuf: new Uint8Array(4 << 20),
    logTrueSize: 0,
  };
  own(s.bpf('progLoad', attr));
  const log = new TextDecoder().decode(attr.logBuf.subarray(0, attr.logTrueSize - 1));
  assert.match(log, /^verification time \d+ usec\nstack depth 0\nprocessed 2 insns/);
});

live('batches: many elements a call', (s, own) => {
  const count = 1000;
  const mapFd = own(s.bpf('mapCreate', { ...array, mapType: mapTypes.hash.id, maxEntries: count }));
  const keys = new Uint8Array(new Uint32Array(count).map((_, i) => i).buffer);
  const values = new Uint8Array(new BigUint64Array(count).map((_, i) => BigInt(i) * 3n).buffer);
  const update = { mapFd, keys, values, count };
  s.bpf('mapUpdateBatch', update);
  assert.equal(update.count, count);
  const found = { mapFd, keys: new Uint8Array(4 * count), values: new Uint8Array(8 * count), count };
  // The walk has reached the end.
  throws(() => s.bpf('mapLookupBatch', { ...found, outBatch: new Uint8Array(4) }), 'ENOENT');
  const numbers = new Uint32Array(found.keys.buffer);
  const triples = new BigUint64Array(found.values.buffer);
  assert.equal(new Set(numbers).size, count);
  for (const [i, number] of numbers.entries()) assert.equal(triples[i], BigInt(number) * 3n);
});

live('a view that outlives its mapping reads zeros', (s, own) => {
  const mapFd = own(s.bpf('mapCreate', { ...array, mapFlags: 1 << 10 }));
  s.bpf('mapUpdateElem', { mapFd, key, value: new Uint8Array(8).fill(7) });
  const mapping = s.mmap(mapFd, { length: 32, offset: 0, writable: true });
  const { bytes } = mapping;
  assert.equal(bytes[0], 7);
  mapping.unmap();
  mapping.unmap();
  assert.equal(mapping.bytes.length, 0);
  assert.equal(bytes[0], 0);
  bytes[0] = 9;
  const value = new Uint8Array(8);
  s.bpf('mapLookupElem', { mapFd, key, value });
  assert.equal(value[0], 7);
});

live('a ring buffer wakes its reader, and the record is where the pages say', async (s, own) => {
  const PAGE = 4096;
  const ringFd = own(s.bpf('mapCreate', { mapType: mapTypes.ringbuf.id, maxEntries: PAGE }));
  // bpf_ringbuf_output of 8 bytes of the stack.
  const text = `r1 = 0x1122334455667788 ll
    *(u64 *)(r10 - 8) = r1
    r1 = map[fd:${ringFd}]
    r2 = r10
    r2 += -8
    r3 = 8
    r4 = 0
    call 130
    r0 = 0
    exit`;
  const insns = encode(assemble(text));
  const prog = { progType: progTypes.socket_filter.id, insns, insnCnt: insns.length / 8, license: 'GPL' };
  const progFd = own(s.bpf('progLoad', prog));
  assert.deepEqual(await s.wait([ringFd], { timeoutMs: 5 }), []);
  const waiting = s.wait([ringFd], { timeoutMs: 5000 });
  s.bpf('progTestRun', { progFd, dataIn: new Uint8Array(64), dataSizeIn: 64 });
  assert.deepEqual(await waiting, [ringFd]);
  // One page of the producer's position, then the data; consumers may only read both.
  const mapping = s.mmap(ringFd, { length: 2 * PAGE, offset: PAGE, writable: false });
  const view = new DataView(mapping.bytes.buffer);
  assert.equal(view.getUint32(0, true), 16, 'a header and the record');
  assert.equal(view.getUint32(PAGE, true), 8, 'its length');
  assert.equal(view.getBigUint64(PAGE + 8, true), 0x1122334455667788n);
  mapping.unmap();
});

live('read fills the part of a buffer that it is given', (s, own) => {
  const fd = own(openSync('/proc/self/comm', 'r'));
  const bytes = new Uint8Array(8);
  assert.equal(s.read(fd, bytes.subarray(2, 6)), 4);
  assert.deepEqual([...bytes.subarray(0, 2), ...bytes.subarray(6)], [0, 0, 0, 0]);
  assert.ok(bytes.subarray(2, 6).every((byte) => byte !== 0));
  throws(() => s.read(9999, bytes), 'EBADF');
});

live('what cannot be waited for', async (s, own) => {
  const insns = encode(assemble('r0 = 0\nexit'));
  const prog = { progType: progTypes.socket_filter.id, insns, insnCnt: 2, license: 'GPL' };
  const progFd = own(s.bpf('progLoad', prog));
  await assert.rejects(s.wait([progFd], { timeoutMs: 1 }), { errno: 'EPERM' });
  await assert.rejects(s.wait([9999], { timeoutMs: 1 }), { errno: 'EBADF' });
});

live('the BTF of the kernel, and its CPUs', (s) => {
  const btf = s.kernelBtf();
  assert.ok(btf === undefined || (btf[0] === 0x9f && btf[1] === 0xeb));
  assert.ok(s.possibleCpus() >= 1);
});

live('commands that the embedded kernel lacks: statistics', (s, own) => {
  own(s.bpf('enableStats', { type: 0 }));
  const insns = encode(assemble('r0 = 0\nexit'));
  const prog = { progType: progTypes.socket_filter.id, insns, insnCnt: 2, license: 'GPL' };
  const progFd = own(s.bpf('progLoad', prog));
  const input = { progFd, dataIn: new Uint8Array(64), dataSizeIn: 64, repeat: 5 };
  s.bpf('progTestRun', input);
  const info: { kind: 'prog'; runCnt?: bigint } = { kind: 'prog' };
  s.bpf('objGetInfoByFd', { bpfFd: progFd, info });
  assert.equal(info.runCnt, 5n);
});

test('without rights, one line says which and what to do', { skip }, () => {
  const url = new URL('./system.ts', import.meta.url).href.replace(/\.ts$/, import.meta.url.slice(-3));
  const script = `
    const { LinuxSystem } = await import(${JSON.stringify(url)});
    process.seteuid(65534);
    try { new LinuxSystem().bpf('mapCreate', { mapType: 2, keySize: 4, valueSize: 4, maxEntries: 1 }); }
    catch (error) { console.log(error.line); }`;
  const args = [...process.execArgv.filter((arg) => arg.startsWith('--conditions')), '--input-type=module'];
  const line = execFileSync(process.execPath, [...args, '-e', script], { encoding: 'utf8' });
  assert.equal(
    line,
    'BPF_MAP_CREATE: Operation not permitted (EPERM) (this process has neither CAP_BPF nor CAP_SYS_ADMIN: run it as root, or with setpriv or setcap)\n',
  );
});

test('on another system, processor, or without koffi, one line says so', () => {
  const url = new URL('./system.ts', import.meta.url).href.replace(/\.ts$/, import.meta.url.slice(-3));
  const cases = [
    {
      name: 'another system',
      before: "Object.defineProperty(process, 'platform', { value: 'darwin' });",
      want: 'no-linux: the Linux kernel is not here: this is darwin (use the embedded kernel, which runs anywhere)\n',
    },
    {
      name: 'another processor',
      before: "Object.defineProperty(process, 'arch', { value: 'riscv64' });",
      want: 'no-linux: the numbers of system calls are not known for riscv64 (use the embedded kernel, or Linux on x64 or arm64)\n',
    },
    {
      name: 'no koffi',
      before:
        "const { Module } = await import('node:module'); Module._load = () => { throw new Error('none'); };",
      want: 'no-koffi: the optional package koffi, by which the Linux kernel is called, cannot be loaded (npm install koffi)\n',
    },
  ];
  for (const { name, before, want } of cases) {
    const script = `
      const { LinuxSystem } = await import(${JSON.stringify(url)});
      ${before}
      try { new LinuxSystem(); }
      catch (error) { console.log(\`\${error.code}: \${error.line}\`); }`;
    const args = ['--input-type=module', '-e', script];
    if (process.platform !== 'linux' && name !== 'another system') continue;
    assert.equal(execFileSync(process.execPath, args, { encoding: 'utf8' }), want, name);
  }
});
