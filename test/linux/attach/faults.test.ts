/**
 * When attaching goes wrong: the process is killed, fds run out, the rights are missing. Nothing stays attached,
 * and no fd is left open.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SkepError } from '../../../src/base/errors.ts';
import { LinuxKernel } from '../../../src/linux-kernel.ts';
import type { AttachOptions, Link } from '../../../src/user/index.ts';
import { assertEventually } from '../../contract/harness.ts';
import { errnoOf, isLacking, loadOnly } from '../../support/attach.ts';
import { bringUp, enterSandbox, OwnCgroup, Tap } from '../../support/linux-sandbox.ts';

const sandbox = enterSandbox();
const skip = 'reason' in sandbox ? sandbox.reason : false;

const DEVICE = 'skepfault';
let tap: Tap;
let cgroup: OwnCgroup;
before(() => {
  if (skip !== false) return;
  bringUp('lo');
  tap = new Tap(DEVICE);
  cgroup = new OwnCgroup();
});
after(() => {
  tap?.close();
  cgroup?.close();
});

interface Attachment {
  readonly name: string;
  readonly options: AttachOptions;
}

/** Attaches in a process of its own, which waits to be killed; the ids of links and programs. */
async function attachedElsewhere(
  attachments: readonly Attachment[],
): Promise<{ ids: readonly (readonly [link: number, program: number])[]; kill: () => Promise<void> }> {
  const support = new URL('../../support/attach', import.meta.url).href + import.meta.url.slice(-3);
  const script = `
    const { loadOnly } = await import('${support}');
    globalThis.kept = ${JSON.stringify(attachments)}.map(({ name, options }) => {
      const { program } = loadOnly(name);
      return [program.attach(options), program];
    });
    console.log(JSON.stringify(kept.map(([link, program]) => [link.info().id, program.id])));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--conditions=source', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(child.stdout, 'data');
  return {
    ids: JSON.parse(String(line)),
    async kill() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/** Whether this kernel has a link for it. What is none outlives its process, as Linux has it. */
function hasLink({ name, options }: Attachment): boolean {
  try {
    const link = loadOnly(name).program.attach(options);
    const linked = isLink(link);
    link.close();
    return linked;
  } catch (error) {
    if (error instanceof SkepError && isLacking(error)) return false;
    throw error;
  }
}

test('a process that is killed leaves nothing attached', { skip }, async (t) => {
  const candidates: readonly Attachment[] = [
    { name: 'xdp', options: { device: DEVICE } },
    { name: 'tc', options: { device: DEVICE, attachType: 'tcx_ingress' } },
    { name: 'cgroup_skb', options: { cgroup: cgroup.path } },
    { name: 'sk_lookup', options: {} },
    { name: 'uprobe', options: {} },
    { name: 'tp_btf', options: {} },
    { name: 'perf_event', options: { event: { type: 1, frequency: 10 }, cpu: 0 } },
    { name: 'kprobe', options: {} },
    { name: 'fentry', options: {} },
  ];
  const attachments = candidates.filter(hasLink);
  t.diagnostic(attachments.map(({ name }) => name).join(', '));
  assert.ok(attachments.length > 5);
  const kernel = new LinuxKernel();
  const { ids, kill } = await attachedElsewhere(attachments);
  for (const [link, program] of ids) {
    assert.ok(kernel.linkIds().includes(link));
    assert.ok(kernel.programIds().includes(program));
  }
  await kill();
  for (const [i, [link, program]] of ids.entries()) {
    const { name } = attachments[i]!;
    await assertEventually(() => !kernel.linkIds().includes(link), `the link of ${name} should be gone`);
    await assertEventually(() => !kernel.programIds().includes(program), `${name} should be gone`);
  }
});

function isLink(link: Link): boolean {
  try {
    return link.info().id > 0;
  } catch (error) {
    if (error instanceof SkepError && error.code === 'no-link') return false;
    throw error;
  }
}

describe('when fds run out, attaching fails and leaves none open', { skip }, () => {
  const legacy = true;
  const binary = fileURLToPath(new URL('../../../fixtures/usdt/probes.so', import.meta.url));
  const cases: { name: string; program: string; object?: string; options: () => AttachOptions }[] = [
    { name: 'tracepoint', program: 'tracepoint', options: () => ({}) },
    { name: 'uprobe', program: 'uprobe', options: () => ({}) },
    { name: 'uprobe by ioctl', program: 'uprobe', options: () => ({ legacy }) },
    {
      name: 'usdt, in two places',
      program: 'twice',
      object: 'usdt',
      options: () => ({ binary, usdt: 'toy:twice' }),
    },
    { name: 'perf_event', program: 'perf_event', options: () => ({ event: { type: 1, frequency: 10 } }) },
    { name: 'raw_tp', program: 'raw_tp', options: () => ({}) },
    { name: 'xdp', program: 'xdp', options: () => ({ device: DEVICE }) },
    { name: 'xdp by netlink', program: 'xdp', options: () => ({ device: DEVICE, legacy }) },
    {
      name: 'a filter of tc',
      program: 'tc',
      options: () => ({ device: 'lo', attachType: 'tcx_egress', legacy }),
    },
    { name: 'cgroup', program: 'cgroup_skb', options: () => ({ cgroup: cgroup.path }) },
    { name: 'cgroup as before', program: 'cgroup_skb', options: () => ({ cgroup: cgroup.path, legacy }) },
    { name: 'flow_dissector', program: 'flow_dissector', options: () => ({}) },
  ];
  for (const { name, program: programName, object, options } of cases) {
    const isOther = object === 'usdt' && process.arch !== 'x64';
    test(name, { skip: isOther && 'the library with probes is one for x86-64' }, () => {
      const { program } = loadOnly(programName, object === undefined ? {} : { object });
      const { sys } = new LinuxKernel();
      // A first time, for what is asked of a kernel once.
      program.attach(options()).close();
      const before = openFds();
      const taken: number[] = [];
      let failures = 0;
      try {
        while (errnoOf(() => taken.push(sys.dup(program.fd))) === undefined);
        for (;;) {
          const errno = errnoOf(() => program.attach(options()).close());
          if (errno === undefined) break;
          assert.equal(errno, 'EMFILE');
          failures++;
          sys.close(taken.pop()!);
        }
      } finally {
        for (const fd of taken) sys.close(fd);
      }
      assert.ok(failures > 0 && failures < 16, `${failures} failures`);
      assert.equal(openFds(), before);
    });
  }
});

test('without rights, one line says which and what to do', { skip }, () => {
  const source = (name: string): string =>
    new URL(`../../../src/${name}`, import.meta.url).href + import.meta.url.slice(-3);
  const script = `
    const { LinuxSystem } = await import('${source('linux/system')}');
    const system = new LinuxSystem();
    process.seteuid(65534);
    const tries = [
      () => system.resolveTarget('tracepoint', 'sched/sched_switch'),
      () => system.perfEventOpen({ type: 1, config: 0n, pid: -1, cpu: 0 }),
      () => system.bpf('progLoad', { progType: 1, insns: new Uint8Array(16), insnCnt: 2, license: 'GPL' }),
    ];
    for (const each of tries) {
      try { each(); console.log('done'); } catch (error) { console.log(error.line); }
    }`;
  const args = ['--conditions=source', '--input-type=module', '-e', script];
  const lines = execFileSync(process.execPath, args, { encoding: 'utf8' }).trim().split('\n');
  const wanted = [
    /Permission denied \(EACCES\) \(run as root\)$/,
    /^perf_event_open: .*\(events need CAP_PERFMON, or less with a lower sysctl kernel\.perf_event_paranoid\)$/,
    /^BPF_PROG_LOAD: .*neither CAP_BPF nor CAP_SYS_ADMIN.*: run it as root, or with setpriv or setcap\)$/,
  ];
  for (const [i, want] of wanted.entries()) assert.match(lines[i] ?? '', want);
});

const openFds = (): number => readdirSync('/proc/self/fd').length;
