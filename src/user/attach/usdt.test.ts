/**
 * Programs on probes that a library carries: what they are told about arguments, in the maps of libbpf's usdt.bpf.h, on
 * the embedded kernel with a host that only writes down what it is asked for.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { usdtProbes } from '../../elf/index.ts';
import { openObject } from '../../object/index.ts';
import type { BpfAttr, Cmd } from '../../uapi/commands.ts';
import { BpfError } from '../../uapi/errno.ts';
import { progTypes } from '../../uapi/prog-types.ts';
import type { BinaryProbes, PerfEventAttr, System } from '../../uapi/seam.ts';
import { type Collection, Kernel, KernelHandle } from '../index.ts';

const read = (name: string): Uint8Array =>
  readFileSync(new URL(`../../../fixtures/${name}`, import.meta.url));
const library = usdtProbes(read('usdt/probes.so'), () => true);

/** An embedded kernel that says that it attaches to events. */
class Host {
  readonly kernel = new Kernel();
  readonly events: PerfEventAttr[] = [];
  readonly links: BpfAttr<'linkCreate'>[] = [];
  readonly open = new Set<number>();
  /** What it is. */
  version = 0x06_12_00;
  hasCookies = true;
  hasEvents = true;
  isFull = false;
  binary: Partial<BinaryProbes> = {};
  #next = 1000;

  load(maxEntries?: number): Collection {
    const spec = openObject(read('objects/usdt.bpf.o'));
    if (maxEntries !== undefined) spec.maps['__bpf_usdt_specs']!.maxEntries = maxEntries;
    return new KernelHandle(this.#system()).load(spec);
  }

  #system(): System {
    const own: Partial<System> = {
      kernelVersion: () => this.version,
      resolveTarget: (kind, name) => {
        if (kind !== 'pmu' || !this.hasEvents) throw new BpfError('ENOENT', name);
        return 9;
      },
      perfEventOpen: (attr) => {
        if (this.isFull) throw new BpfError('EMFILE', 'perf_event_open');
        this.events.push(attr);
        return this.#fd();
      },
      binaryProbes: (path, wanted) => {
        const probes = library.probes.filter(({ provider, name }) => wanted(provider, name));
        return { ...library, path, probes, ...this.binary };
      },
      ioctl: () => 0,
      bpf: (cmd, attr) => this.#bpf(cmd, attr),
      close: (fd) => {
        if (!this.open.delete(fd)) this.kernel.sys.close(fd);
      },
    };
    return new Proxy(this.kernel.sys, {
      get: (target, name) => {
        const value = (Reflect.get(own, name) ?? Reflect.get(target, name)) as unknown;
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  #bpf<C extends Cmd>(cmd: C, given: BpfAttr<C>): number {
    if (cmd === 'progLoad' && !this.hasCookies) {
      const { progType, insnCnt } = given as BpfAttr<'progLoad'>;
      // The question whether probes have cookies.
      if (progType === progTypes.kprobe.id && insnCnt === 2) throw new BpfError('EINVAL', 'BPF_PROG_LOAD');
    }
    if (cmd !== 'linkCreate') return this.kernel.sys.bpf(cmd, given);
    const attr = given as BpfAttr<'linkCreate'>;
    if (attr.targetFd === 0xffff_ffff) throw new BpfError(this.hasCookies ? 'EBADF' : 'EINVAL', 'probe');
    this.links.push(attr);
    return this.#fd();
  }

  #fd(): number {
    this.open.add(this.#next);
    return this.#next++;
  }
}

const probe = (name: string): { binary: string; usdt: string } => ({
  binary: '/lib/toy.so',
  usdt: `toy:${name}`,
});
const counts = (collection: Collection, size: number): number[] =>
  Array.from({ length: size }, (_, i) => {
    const spec = collection.map('__bpf_usdt_specs').rawValue(i);
    return new DataView(Uint8Array.from(spec ?? []).buffer).getInt16(200, true);
  });

describe('arguments', () => {
  test('each place has a cookie, the number of its record, which others have once it is left', () => {
    const host = new Host();
    const collection = host.load();
    const twice = collection.program('on_twice').attach(probe('twice'));
    assert.deepEqual(
      host.links.map(({ bpfCookie }) => bpfCookie),
      [0n, 1n],
    );
    assert.deepEqual(
      host.events.map(({ config, config1, config2 }) => [config, config1, config2]),
      library.probes.slice(1, 3).map(({ offset }) => [0n, '/lib/toy.so', offset]),
    );
    assert.deepEqual(counts(collection, 3), [1, 1, 0]);
    const all = collection.program('on_arguments').attach({ ...probe('arguments'), cookie: 77n });
    assert.equal(host.links.at(-1)?.bpfCookie, 2n);
    assert.deepEqual(counts(collection, 3), [1, 1, 8]);
    const spec = collection.map('__bpf_usdt_specs').rawValue(2)!;
    assert.equal(new DataView(Uint8Array.from(spec).buffer).getBigUint64(192, true), 77n);
    twice.close();
    all.close();
    collection.program('on_arguments').attach(probe('arguments')).close();
    assert.equal(host.links.at(-1)?.bpfCookie, 0n);
    collection.close();
    assert.deepEqual([...host.open], []);
  });

  test('places with equal arguments share a record', () => {
    const host = new Host();
    const [place] = library.probes;
    host.binary = { probes: [place!, { ...place!, offset: 5n }] };
    host.load().program('on_arguments').attach(probe('arguments'));
    assert.deepEqual(
      host.links.map(({ bpfCookie }) => bpfCookie),
      [0n, 0n],
    );
  });

  test('without cookies, a record is found by the address of its place', () => {
    const host = new Host();
    host.hasCookies = false;
    host.version = 0x05_0a_00;
    host.binary = { isFixed: true };
    const collection = host.load();
    const link = collection.program('on_twice').attach(probe('twice'));
    const ids = collection.map<bigint, number>('__bpf_usdt_ip_to_spec_id');
    assert.deepEqual(
      new Map([...ids.entries()].map(([address, id]) => [BigInt(address), id])),
      new Map(library.probes.slice(1, 3).map(({ address }, i) => [address, i])),
    );
    link.close();
    assert.deepEqual([...ids.entries()], []);
  });

  test('a semaphore goes with the event', () => {
    const host = new Host();
    host.load().program('on_guarded').attach(probe('guarded'));
    assert.deepEqual(
      host.events.map(({ config }) => config),
      [0x1000n << 32n],
    );
  });

  test('a link that is pinned keeps its record', () => {
    const host = new Host();
    const collection = host.load();
    const program = collection.program('on_arguments');
    const link = program.attach(probe('arguments'));
    const pin = { bpf: host.kernel.sys.bpf };
    host.kernel.sys.bpf = (cmd, attr) => (cmd === 'objPin' ? 0 : pin.bpf.call(host.kernel.sys, cmd, attr));
    link.pin('/sys/fs/bpf/x');
    link.close();
    program.attach(probe('arguments'));
    assert.equal(host.links.at(-1)?.bpfCookie, 1n);
  });
});

describe('what does not attach says why, and leaves nothing', () => {
  const cases: { name: string; set: (host: Host) => void; program?: string; want: RegExp }[] = [
    {
      name: 'no such probe',
      set: (host) => {
        host.binary = { probes: [] };
      },
      want: /has no probe 'toy:twice'/,
    },
    {
      name: 'a library on a kernel without cookies',
      set: (host) => {
        host.hasCookies = false;
      },
      want: /where \/lib\/toy\.so is loaded is known to no one \(Linux 5\.15 tells programs by cookies/,
    },
    {
      name: 'another processor',
      set: (host) => {
        host.binary = { machine: undefined };
      },
      want: /the registers of the processor of \/lib\/toy\.so are not known/,
    },
    {
      name: 'an argument in no known place',
      set: (host) => {
        host.binary = { probes: [{ ...library.probes[1]!, args: '8@%xmm0' }] };
      },
      want: /argument 0, '8@%xmm0', is of no known form/,
    },
    {
      name: 'a semaphore before 4.20',
      set: (host) => {
        host.version = 0x04_13_00;
        host.binary = { probes: [{ ...library.probes[1]!, semaphore: 8n }] };
      },
      want: /has a semaphore \(Linux 4\.20/,
    },
    {
      name: 'no uprobes',
      set: (host) => {
        host.hasEvents = false;
      },
      want: /built without CONFIG_UPROBE_EVENTS/,
    },
    {
      name: 'no fds',
      set: (host) => {
        host.isFull = true;
      },
      want: /EMFILE/,
    },
  ];
  for (const { name, set, want } of cases) {
    test(name, () => {
      const host = new Host();
      set(host);
      const collection = host.load();
      const attach = (): unknown => collection.program('on_twice').attach(probe('twice'));
      assert.throws(attach, (error) => want.test((error as BpfError).line));
      assert.deepEqual([...host.open], []);
      Object.assign(host, new Host(), { kernel: host.kernel, events: [], links: host.links });
    });
  }

  test('more probes than there are records', () => {
    const host = new Host();
    const collection = host.load(1);
    const program = collection.program('on_twice');
    assert.throws(() => program.attach(probe('twice')), /all of its 1 records are in use/);
    // The one that was taken is given back.
    collection.program('on_arguments').attach(probe('arguments')).close();
    assert.deepEqual([...host.open], []);
  });
});
