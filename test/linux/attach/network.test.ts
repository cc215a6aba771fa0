/**
 * Programs of packets, sockets and cgroups attached to the running kernel, in a network namespace and a cgroup of
 * the test's own: by links, and as before there were any.
 */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { concatBytes } from '../../../src/base/bytes.ts';
import { LinuxKernel } from '../../../src/linux-kernel.ts';
import { attachTypes } from '../../../src/uapi/attach-types.ts';
import { attribute, flags, message, u32s } from '../../../src/user/attach/netlink.ts';
import type { AttachOptions, Link } from '../../../src/user/index.ts';
import { assertEventually } from '../../contract/harness.ts';
import { errnoOf, type Loaded, loadOnly, whereThere } from '../../support/attach.ts';
import { bringUp, enterSandbox, libcFunctions, OwnCgroup, Tap } from '../../support/linux-sandbox.ts';

const sandbox = enterSandbox();
const skip = 'reason' in sandbox ? sandbox.reason : false;

const DEVICE = 'skepnet';
let tap: Tap;
before(() => {
  if (skip !== false) return;
  bringUp('lo');
  tap = new Tap(DEVICE);
});
after(() => tap?.close());

/** One packet that arrives from the wire. */
const receive = (): void => void writeSync(tap.fd, new Uint8Array(64));

/** Sends a datagram over the loopback to a port where nobody listens, or to `port`. */
async function sendDatagram(port = 9): Promise<void> {
  const socket = createSocket('udp4');
  try {
    await new Promise<void>((resolve) => socket.send('x', port, '127.0.0.1', () => resolve()));
  } finally {
    socket.close();
  }
}

/** Loads, attaches, sees it run, closes, sees it run no longer. */
async function attachedRuns(
  name: string,
  { options, fire, type }: { options: AttachOptions; fire: () => void | Promise<void>; type?: string },
): Promise<void> {
  const loaded = loadOnly(name);
  try {
    const link = loaded.program.attach(options);
    if (type !== undefined) assert.equal(link.info().typeName, type);
    await runsWhileOpen(loaded, { link, fire });
  } finally {
    loaded.collection.close();
  }
}

async function runsWhileOpen(
  loaded: Loaded,
  { link, fire }: { link: Link; fire: () => void | Promise<void> },
): Promise<void> {
  const start = loaded.hits();
  await fire();
  assert.ok(loaded.hits() > start, 'it runs while attached');
  link.close();
  const end = loaded.hits();
  await fire();
  assert.equal(loaded.hits(), end, 'it does not run once closed');
}

describe('XDP', { skip }, () => {
  test('by a link, in each mode that the device has', async () => {
    for (const mode of [undefined, 'native', 'generic'] as const) {
      await attachedRuns('xdp', { options: { device: DEVICE, mode }, fire: receive, type: 'xdp' });
    }
    const loaded = loadOnly('xdp');
    assert.equal(
      errnoOf(() => loaded.program.attach({ device: DEVICE, mode: 'offload' })),
      'EINVAL',
    );
    assert.equal(
      errnoOf(() => loaded.program.attach({ device: 'nosuch0' })),
      'ENODEV',
    );
    loaded.collection.close();
  });

  test('by netlink', async () => {
    const legacy = true;
    await attachedRuns('xdp', { options: { device: DEVICE, mode: 'generic', legacy }, fire: receive });
    const [first, second] = [loadOnly('xdp'), loadOnly('xdp')];
    const link = first.program.attach({ device: DEVICE, legacy });
    assert.equal(
      errnoOf(() => second.program.attach({ device: DEVICE, legacy })),
      'EBUSY',
    );
    link.update(second.program);
    await runsWhileOpen(second, { link, fire: receive });
    assert.equal(first.hits(), 0n);
    // Another one has taken its place: that is not taken away.
    const lost = first.program.attach({ device: DEVICE, legacy });
    lost.update(second.program);
    assert.throws(() => lost.pin('/x'), /attached by netlink, not by a link/);
    lost.close();
    for (const { collection } of [first, second]) collection.close();
  });

  test('a link gives way to no netlink', () => {
    const [first, second] = [loadOnly('xdp'), loadOnly('xdp')];
    const link = first.program.attach({ device: DEVICE });
    assert.equal(
      errnoOf(() => second.program.attach({ device: DEVICE, legacy: true })),
      'EBUSY',
    );
    link.close();
    for (const { collection } of [first, second]) collection.close();
  });
});

const RTM_NEWLINK = 16;
const IFLA_IFNAME = 3;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_NETKIT_PEER_INFO = 1;

/** Makes a pair of netkit devices; the name of the primary one. They end with the sandbox. */
function makeNetkit(): string {
  const [primary, peer] = ['skepkit', 'skeppeer'];
  const anyDevice = u32s(0, 0, 0, 0);
  const peerInfo = concatBytes([anyDevice, attribute(IFLA_IFNAME, peer)]);
  const info = [
    attribute(IFLA_INFO_KIND, 'netkit'),
    attribute(IFLA_INFO_DATA, [attribute(IFLA_NETKIT_PEER_INFO, peerInfo)]),
  ];
  const attributes = [attribute(IFLA_IFNAME, primary), attribute(IFLA_LINKINFO, info)];
  const more = flags.create | flags.exclusive;
  new LinuxKernel().sys.netlink(message(RTM_NEWLINK, { record: anyDevice, attributes, more }));
  bringUp(primary);
  bringUp(peer);
  return primary;
}

const AF_PACKET = 17;
/** In network order. */
const ETH_P_IP = 0x0008;

/** Sends a packet out of a device (packet(7)), whoever takes it. */
function transmit(device: string): void {
  const libc = libcFunctions({
    socket: ['int', 'int', 'int'],
    sendto: ['int', 'void*', 'ulong', 'int', 'void*', 'uint'],
    close: ['int'],
  });
  const socket = libc.socket(AF_PACKET, SOCK_DGRAM, ETH_P_IP);
  // struct sockaddr_ll: family, protocol, index.
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, ETH_P_IP, true);
  view.setInt32(4, new LinuxKernel().sys.resolveTarget('netdev', device), true);
  libc.sendto(socket, new Uint8Array(64), 64, 0, address, address.length);
  libc.close(socket);
}

describe('traffic control', { skip }, () => {
  test('tcx, both ways', (t) =>
    whereThere(t, async () => {
      await attachedRuns('tcx_ingress', { options: { device: DEVICE }, fire: receive, type: 'tcx' });
      await attachedRuns('tcx_egress', { options: { device: 'lo' }, fire: sendDatagram, type: 'tcx' });
    }));

  test('SEC("tc") by tcx where there is that, told which way', async () => {
    const options = { device: 'lo', attachType: 'tcx_egress' } as const;
    await attachedRuns('tc', { options, fire: sendDatagram });
    const { program, collection } = loadOnly('tc');
    assert.throws(() => program.attach({ device: 'lo' }), /does not say which way packets go/);
    collection.close();
  });

  test('places in a chain', (t) =>
    whereThere(t, () => {
      const device = 'lo';
      const { program, collection } = loadOnly('tcx_ingress');
      const others = [loadOnly('tcx_ingress'), loadOnly('tcx_ingress'), loadOnly('tcx_ingress')] as const;
      const link = program.attach({ device });
      const links = [
        link,
        others[0].program.attach({ device, before: link }),
        others[1].program.attach({ device, after: program }),
        others[2].program.attach({ device, place: 'first' }),
      ];
      assert.equal(
        errnoOf(() => program.attach({ device, expectedRevision: 99n })),
        'ESTALE',
      );
      assert.throws(
        () => program.attach({ device, before: link, place: 'first' }),
        /a chain has one place for it/,
      );
      const ids = [...links].map((each) => each.info().programId);
      const found = new Uint8Array(4 * 8);
      const query = { targetIfindex: 1, attachType: attachTypes.tcx_ingress.id, progIds: found, count: 8 };
      new LinuxKernel().sys.bpf('progQuery', query);
      assert.deepEqual([...new Uint32Array(found.buffer)].slice(0, 4), [ids[3], ids[1], ids[0], ids[2]]);
      for (const each of links) each.close();
      for (const each of [{ collection }, ...others]) each.collection.close();
    }));

  test('a classic filter, both ways', async () => {
    const legacy = true;
    const ingress = { device: DEVICE, attachType: 'tcx_ingress', legacy } as const;
    await attachedRuns('tc', { options: ingress, fire: receive });
    const egress = { device: 'lo', attachType: 'tcx_egress', legacy } as const;
    await attachedRuns('tc', { options: egress, fire: sendDatagram });
    const [first, second] = [loadOnly('tc'), loadOnly('tc')];
    const link = first.program.attach(egress);
    link.update(second.program);
    await runsWhileOpen(second, { link, fire: sendDatagram });
    assert.equal(first.hits(), 0n);
    assert.throws(
      () => first.program.attach({ ...egress, place: 'first' }),
      /a classic filter has no 'place'/,
    );
    for (const { collection } of [first, second]) collection.close();
  });

  test('a device that is gone took its filter with it', () => {
    const gone = new Tap('skepgone');
    const { program, collection } = loadOnly('tc');
    const link = program.attach({ device: 'skepgone', attachType: 'tcx_ingress', legacy: true });
    gone.close();
    link.close();
    collection.close();
  });

  test('netkit wants a device of its kind', (t) =>
    whereThere(t, async () => {
      const { program } = loadOnly('netkit');
      const errno = errnoOf(() => program.attach({ device: 'lo' }));
      // A kernel without netkit has no such device either, and says EINVAL.
      assert.ok(errno === 'ENXIO' || errno === 'EINVAL', errno);
      if (errno === 'EINVAL') return t.skip('this kernel was built without CONFIG_NETKIT');
      const pair = makeNetkit();
      await attachedRuns('netkit', {
        options: { device: pair },
        fire: () => transmit(pair),
        type: 'netkit',
      });
    }));
});

describe('cgroups', { skip }, () => {
  for (const legacy of [undefined, true]) {
    test(`packets that leave${legacy ? ', by BPF_PROG_ATTACH' : ''}`, async () => {
      const cgroup = new OwnCgroup();
      try {
        await cgroup.within(async () => {
          const options = { cgroup: cgroup.path, legacy };
          await attachedRuns('cgroup_skb', {
            options,
            fire: sendDatagram,
            ...(legacy ? {} : { type: 'cgroup' }),
          });
        });
      } finally {
        cgroup.close();
      }
    });
  }

  test('connections are refused, and another program takes over', async () => {
    const cgroup = new OwnCgroup();
    const [first, second] = [loadOnly('cgroup_connect'), loadOnly('cgroup_connect')];
    try {
      for (const legacy of [undefined, true]) {
        const link = first.program.attach({ cgroup: cgroup.path, legacy });
        link.update(second.program);
        await cgroup.within(async () => {
          const [error] = await once(connect(9, '127.0.0.1'), 'error');
          assert.equal(error.code, 'EPERM');
        });
        link.close();
      }
      assert.equal(first.hits(), 0n);
      assert.equal(second.hits(), 2n);
    } finally {
      for (const { collection } of [first, second]) collection.close();
      cgroup.close();
    }
  });

  test('security hooks of one cgroup', (t) =>
    whereThere(t, async () => {
      const { program, collection } = loadOnly('lsm_cgroup');
      const cgroup = new OwnCgroup();
      const link = program.attach({ cgroup: cgroup.path });
      assert.equal(link.info().typeName, 'cgroup');
      link.close();
      cgroup.close();
      collection.close();
    }));

  test('what is no cgroup', () => {
    const { program, collection } = loadOnly('cgroup_skb');
    assert.equal(
      errnoOf(() => program.attach({ cgroup: '/nonexistent' })),
      'ENOENT',
    );
    assert.equal(
      errnoOf(() => program.attach({ cgroup: '/etc/passwd' })),
      'ENOTDIR',
    );
    assert.equal(
      errnoOf(() => program.attach({ cgroup: '/etc' })),
      'EBADF',
    );
    assert.throws(() => program.attach(), /does not say which cgroup/);
    collection.close();
  });
});

describe('the network namespace', { skip }, () => {
  test('lookups of sockets', () =>
    attachedRuns('sk_lookup', { options: {}, fire: sendDatagram, type: 'netns' }));

  test('flow dissectors, by a link and as before', () => {
    for (const legacy of [undefined, true]) {
      const { program, collection } = loadOnly('flow_dissector');
      const link = program.attach({ legacy });
      assert.equal(
        errnoOf(() => program.attach()),
        legacy ? 'EEXIST' : 'E2BIG',
      );
      link.close();
      program.attach().close();
      collection.close();
    }
  });

  test('the packet filter', (t) =>
    whereThere(t, async () => {
      const place = { family: 'ipv4', hook: 'input', priority: -128 } as const;
      await attachedRuns('netfilter', {
        options: { netfilter: place },
        fire: sendDatagram,
        type: 'netfilter',
      });
      const { program, collection } = loadOnly('netfilter');
      assert.throws(() => program.attach(), /does not say which hook/);
      collection.close();
    }));
});

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SO_REUSEPORT = 15;

describe('sockets', { skip }, () => {
  const libc = libcFunctions({
    socket: ['int', 'int', 'int'],
    bind: ['int', 'void*', 'uint'],
    close: ['int'],
  });
  /** A socket that receives datagrams at a port of the loopback. */
  const bound = (port: number, reuse: boolean): number => {
    const fd = libc.socket(AF_INET, SOCK_DGRAM, 0);
    if (reuse) new LinuxKernel().sys.setsockopt(fd, { level: 1, name: SO_REUSEPORT, value: 1 });
    const address = Uint8Array.of(AF_INET, 0, port >> 8, port & 0xff, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);
    assert.equal(libc.bind(fd, address, address.length), 0);
    return fd;
  };

  for (const [name, port] of [
    ['socket_filter', 4001],
    ['sk_reuseport', 4002],
  ] as const) {
    test(name, async () => {
      const socket = bound(port, name === 'sk_reuseport');
      await attachedRuns(name, { options: { socket }, fire: () => sendDatagram(port) });
      const { program, collection } = loadOnly(name);
      assert.throws(() => program.attach(), /does not say which socket/);
      assert.equal(
        errnoOf(() => program.attach({ socket: 9999 })),
        'EBADF',
      );
      collection.close();
      libc.close(socket);
    });
  }

  /** A connection over the loopback, which must be closed. */
  async function connection(): Promise<{ client: Socket; fd: number; close: () => void }> {
    const server = createServer((socket) => socket.resume());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(client, 'connect');
    const { fd } = (client as unknown as { _handle: { fd: number } })._handle;
    return {
      client,
      fd,
      close() {
        client.destroy();
        server.close();
      },
    };
  }

  for (const legacy of [undefined, true]) {
    test(`messages of a map of sockets${legacy ? ', by BPF_PROG_ATTACH' : ''}`, async () => {
      const { program, collection, hits } = loadOnly('sk_msg');
      const map = collection.map<number, unknown>('sockets');
      const link = program.attach({ map, legacy });
      const { client, fd, close } = await connection();
      map.set(0, fd);
      client.write('x');
      await assertEventually(() => hits() > 0n, 'it should have seen the message');
      close();
      link.close();
      collection.close();
    });
  }

  test('streams of a map of sockets', () => {
    const { program, collection } = loadOnly('sk_skb');
    const map = collection.map('sockets');
    for (const legacy of [undefined, true]) program.attach({ map, legacy }).close();
    assert.throws(() => program.attach(), /does not say which map/);
    collection.close();
  });
});
