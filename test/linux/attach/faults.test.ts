/**
 * When attaching goes wrong: the process is killed, fds run out, the rights are missing. Nothing stays attached,
 * and no fd is left open.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { SkepError } from '../../../src/base/errors.ts';
import { LinuxKernel } from '../../../src/linux-kernel.ts';
import type { AttachOptions, Link } from '../../../src/user/index.ts';
import { assertEventually } from '../../contract/harness.ts';
import { errnoOf, loadOnly, whereThere } from '../../support/attach.ts';
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

/** Attaches in a process of its own; what it printed once it had done so, and how to kill it. */
async function attachedElsewhere(
  name: string,
  options: AttachOptions,
): Promise<{ ids: number[]; kill: () => Promise<void> }> {
  const support = new URL('../../support/attach', import.meta.url).href + import.meta.url.slice(-3);
  const script = `
    const { loadOnly } = await import('${support}');
    const { program } = loadOnly('${name}');
    let link;
    try { link = program.attach(${JSON.stringify(options)}); }
    catch (error) { console.log('0 ' + error.line); process.exit(); }
    globalThis.kept = [link, program];
    console.log(\`\${link.info().id} \${program.id}\`);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--conditions=source', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(child.stdout, 'data');
  const [link = '', ...rest] = String(line).trim().split(' ');
  if (link === '0') throw new Error(rest.join(' '));
  return {
    ids: [Number(link), Number(rest[0])],
    async kill() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

describe('a process that is killed leaves nothing attached', { skip }, () => {
  const cases: { name: string; options: () => AttachOptions }[] = [
    { name: 'xdp', options: () => ({ device: DEVICE }) },
    { name: 'tc', options: () => ({ device: DEVICE, attachType: 'tcx_ingress' }) },
    { name: 'cgroup_skb', options: () => ({ cgroup: cgroup.path }) },
    { name: 'sk_lookup', options: () => ({}) },
    { name: 'uprobe', options: () => ({}) },
    { name: 'tp_btf', options: () => ({}) },
    { name: 'perf_event', options: () => ({ event: { type: 1, frequency: 10 }, cpu: 0 }) },
    { name: 'kprobe', options: () => ({}) },
    { name: 'fentry', options: () => ({}) },
  ];
  for (const { name, options } of cases) {
    test(name, (t) =>
      whereThere(t, async () => {
        // What the kernel lacks is an error here, and a line there.
        const own = loadOnly(name).program.attach(options());
        const linked = isLink(own);
        own.close();
        if (!linked) return t.skip('this kernel has no links for it, and what is none outlives its process');
        const kernel = new LinuxKernel();
        const { ids, kill } = await attachedElsewhere(name, options());
        const [linkId = 0, programId = 0] = ids;
        assert.ok(kernel.linkIds().includes(linkId));
        assert.ok(kernel.programIds().includes(programId));
        await kill();
        await assertEventually(() => !kernel.linkIds().includes(linkId), 'the link should be gone');
        await assertEventually(() => !kernel.programIds().includes(programId), 'the program should be gone');
      }),
    );
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
  const cases: { name: string; program: string; options: () => AttachOptions }[] = [
    { name: 'tracepoint', program: 'tracepoint', options: () => ({}) },
    { name: 'uprobe', program: 'uprobe', options: () => ({}) },
    { name: 'uprobe by ioctl', program: 'uprobe', options: () => ({ legacy }) },
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
  for (const { name, program: programName, options } of cases) {
    test(name, () => {
      const { program } = loadOnly(programName);
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

const openFds = (): number => readdirSync('/proc/self/fd').length;
