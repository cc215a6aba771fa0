/** Packets through the chains of traffic control of a device. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assemble } from '../asm/index.ts';
import { type AttachOptions, Kernel, type Program } from '../user/index.ts';
import { interpreter, jit, tcxActions, xdpActions } from './index.ts';

/** Programs that are collected are detached. */
const kept: Program[] = [];

/** A kernel with a device, and programs attached to it, as text. */
function attached(
  programs: readonly { text: string; options?: AttachOptions; xdp?: true }[],
  engine = interpreter,
) {
  const kernel = new Kernel({ engine });
  const device = kernel.embedded.devices.add('eth0');
  for (const { text, options, xdp } of programs) {
    const program = kernel.loadProgram({ type: xdp ? 'xdp' : 'sched_cls', insns: assemble(text) });
    kept.push(program);
    program.attach({ device: 'eth0', ...(xdp ? {} : { attachType: 'tcx_ingress' }), ...options });
  }
  return { kernel, device };
}

const returning = (verdict: number): string => `r0 = ${verdict}\nexit`;
const packet = Uint8Array.from({ length: 64 }, (_, i) => i * 2);

describe('the verdict of a chain', () => {
  const { next, pass, drop, redirect } = tcxActions;
  const cases: { name: string; verdicts: number[]; want: number | undefined }[] = [
    { name: 'of none', verdicts: [], want: undefined },
    { name: 'of one that does not decide', verdicts: [next], want: next },
    { name: 'of the first that decides', verdicts: [next, pass, drop], want: pass },
    { name: 'drop', verdicts: [drop, pass], want: drop },
    { name: 'redirect', verdicts: [redirect], want: redirect },
    { name: 'what is no verdict ends the chain and decides nothing', verdicts: [5, drop], want: next },
  ];
  for (const { name, verdicts, want } of cases) {
    for (const engine of [interpreter, jit]) {
      test(`${name}, ${engine.name}`, () => {
        const { kernel, device } = attached(
          verdicts.map((verdict) => ({ text: returning(verdict) })),
          engine,
        );
        const received = device.receive(packet);
        assert.equal(received.action, xdpActions.pass);
        assert.equal(received.tcx, want);
        assert.deepEqual(received.packet, packet);
        const before = kernel.embedded.memory.bytesInUse;
        device.receive(packet);
        assert.equal(kernel.embedded.memory.bytesInUse, before, 'packets are freed');
        kernel.close();
      });
    }
  }
});

test('what XDP drops does not come to the chain; what it passes comes as it left it', () => {
  const write = `r2 = *(u32 *)(r1 + 0)
    r3 = *(u32 *)(r1 + 4)
    r4 = r2
    r4 += 14
    if r4 > r3 goto +1
    *(u8 *)(r2 + 0) = 66
    r0 = 2
    exit`;
  const dropped = attached([{ text: returning(1), xdp: true }, { text: returning(2) }]);
  assert.deepEqual(dropped.device.receive(packet), { action: xdpActions.drop, packet });
  dropped.kernel.close();
  // The program of the chain returns the first byte as its verdict: none, so nothing is decided.
  const first = `r0 = 0
    r2 = *(u32 *)(r1 + 76)
    r3 = *(u32 *)(r1 + 80)
    r4 = r2
    r4 += 14
    if r4 > r3 goto +2
    r0 = *(u8 *)(r2 + 0)
    r0 -= 64
    exit`;
  const passed = attached([{ text: write, xdp: true }, { text: first }]);
  const { tcx, packet: seen } = passed.device.receive(packet);
  assert.equal(tcx, tcxActions.drop);
  assert.equal(seen[0], 66);
  passed.kernel.close();
});

test('both ways: the fields that say where a packet is', () => {
  // len, ifindex and ingress_ifindex, each as a digit.
  const fields = `r0 = *(u32 *)(r1 + 0)
    r0 *= 100
    r2 = *(u32 *)(r1 + 40)
    r2 *= 10
    r0 += r2
    r2 = *(u32 *)(r1 + 36)
    r0 += r2
    if r0 != 6422 goto +2
    r0 = 0
    exit
    if r0 != 6420 goto +2
    r0 = 2
    exit
    r0 = 7
    exit`;
  const { kernel, device } = attached([
    { text: fields },
    { text: fields, options: { attachType: 'tcx_egress' } },
  ]);
  assert.equal(device.ifindex, 2);
  assert.equal(device.receive(packet).tcx, tcxActions.pass);
  assert.equal(device.send(packet).tcx, tcxActions.drop);
  assert.deepEqual(device.send(packet.subarray(0, 13)), { packet: packet.slice(0, 13) });
  assert.deepEqual(device.stats, { aborted: 0, drop: 0, pass: 1, tx: 0, redirect: 0 });
  kernel.close();
});

test('what the embedded kernel has no way to attach says what it lacks', () => {
  const kernel = new Kernel();
  const load = (type: 'kprobe' | 'cgroup_skb' | 'perf_event' | 'sched_cls', section = '') =>
    kernel.loadProgram({ type, section, insns: assemble('r0 = 0; exit') });
  const cases: { program: ReturnType<typeof load>; options: AttachOptions; want: RegExp }[] = [
    { program: load('kprobe'), options: { function: 'do_exit' }, want: /CONFIG_KPROBE_EVENTS/ },
    { program: load('kprobe', 'uprobe'), options: { binary: 'sh', offset: 1 }, want: /no executables/ },
    { program: load('cgroup_skb'), options: { cgroup: '/sys/fs/cgroup' }, want: /no cgroup "\/sys/ },
    { program: load('perf_event'), options: { event: { type: 1 } }, want: /no events of type 1/ },
    {
      program: load('sched_cls'),
      options: { device: 'lo', attachType: 'tcx_ingress', legacy: true },
      want: /attaches by links alone/,
    },
  ];
  for (const { program, options, want } of cases) {
    assert.throws(
      () => program.attach(options),
      (error) => want.test((error as { line: string }).line),
    );
  }
  kernel.close();
});
