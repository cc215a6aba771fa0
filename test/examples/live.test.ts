/** The examples that attach to the running kernel: what they print, and that nothing of them stays. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LinuxKernel } from '../../src/linux-kernel.ts';
import { whyNoLinux } from '../support/linux.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const runsTypeScript = 'typescript' in process.features && process.features.typescript !== false;
/** In a virtual machine they are bundled with the package. */
const isBundled = process.env['SKEP_VM'] !== undefined;
const skip = runsTypeScript || isBundled ? whyNoLinux() : 'this Node does not run TypeScript';
const missing = ['ip', 'unshare', 'nsenter'].find(
  (tool) => spawnSync(tool, ['--version']).error !== undefined,
);
const skipNetwork = skip || (missing !== undefined && `${missing} is not installed`);

/** Arguments of Node that run an example. */
const nodeArguments = (name: string): string[] =>
  isBundled ? [`examples/${name}.js`] : ['--conditions=source', 'examples/run.ts', name];

/** Starts an example in a process group of its own, so that what it leaves behind can be found. */
function start(name: string, ...args: string[]): ChildProcess {
  return spawn(process.execPath, [...nodeArguments(name), ...args], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** What it printed; `meanwhile` sees each piece of it. */
async function ended(
  child: ChildProcess,
  meanwhile: (text: string) => void = () => {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const output = { stdout: '', stderr: '' };
  child.stdout?.on('data', (data) => {
    output.stdout += data;
    meanwhile(output.stdout);
  });
  child.stderr?.on('data', (data) => {
    output.stderr += data;
  });
  const [code] = await once(child, 'close');
  return { code, ...output };
}

/** Whether a process of the group that `child` led is left, after the time that processes take to end. */
async function isGone(child: ChildProcess): Promise<boolean> {
  for (let tries = 0; tries < 250; tries++) {
    try {
      process.kill(-(child.pid as number), 0);
    } catch {
      return true;
    }
    await setTimeout(20);
  }
  return false;
}

/** Links of the example's own program. */
function linksOf(program: string): number {
  const kernel = new LinuxKernel();
  const ids = kernel.linkIds().filter((id) => {
    try {
      const link = kernel.linkById(id);
      const { programId } = link.info();
      link.close();
      const handle = kernel.programById(programId);
      handle.close();
      return handle.name === program;
    } catch {
      return false;
    }
  });
  return ids.length;
}

test('syscalls: a command, counted', { skip }, async () => {
  const child = start('syscalls', '--', 'cat', '/etc/passwd', '/etc/group');
  const { code, stdout, stderr } = await ended(child);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  assert.match(stdout, /^ {2}\d+ system calls of cat \/etc\/passwd \/etc\/group, of \d+ kinds:$/m);
  const times = (call: string) => Number(new RegExp(`^ {2}${call} +(\\d+)`, 'm').exec(stdout)?.[1] ?? 0);
  assert.ok(times('openat') >= 2 && times('read') >= 4, stdout);
  assert.ok(await isGone(child));
});

test('syscalls: a process that is there, until Ctrl-C', { skip }, async () => {
  const child = start('syscalls', String(process.pid));
  for (let tries = 0; linksOf('count_call') === 0 && tries < 500; tries++) await setTimeout(20);
  child.kill('SIGINT');
  const { code, stdout } = await ended(child);
  assert.equal(code, 0);
  assert.match(stdout, new RegExp(`system calls of process ${process.pid},`));
  assert.equal(linksOf('count_call'), 0);
});

test('latency: a histogram, and the calls that took long', { skip }, async () => {
  const child = start('latency', '--', 'sleep', '0.02');
  const { code, stdout, stderr } = await ended(child);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^ +[\d.]+ (ns|µs|ms) – *[\d.]+ (ns|µs|ms|s) │█+ *│ \d+$/m);
  assert.match(stdout, /^ +[\d.]+ ms {2}clock_nanosleep +sleep \d+$/m);
  assert.ok(await isGone(child));
});

test('veth: packets between two namespaces, and what the firewall decided', {
  skip: skipNetwork,
}, async () => {
  const child = start('veth');
  const { code, stdout, stderr } = await ended(child);
  if (code !== 0 && /unshare|ip link/.test(stderr)) return;
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^ {2}drop +50$/m);
  assert.match(stdout, /^ {2}\{ protocol: 17, port: 53 \} +\{ passed: 30n, dropped: 0n, bytes: \d+n \}$/m);
  assert.match(stdout, /^ {2}\{ protocol: 17, port: 80 \} +\{ passed: 0n, dropped: 50n, bytes: \d+n \}$/m);
  assert.ok(await isGone(child));
});

for (const signal of ['SIGINT', 'SIGKILL'] as const) {
  test(`veth: ${signal} in the middle leaves nothing`, { skip: skipNetwork }, async () => {
    const child = start('veth');
    await ended(child, (text) => {
      if (text.includes('The other host sends')) child.kill(signal);
    });
    assert.ok(await isGone(child));
  });
}

const refusals = [
  { name: 'syscalls', want: /^.*EPERM.*CAP_BPF.*\n$/ },
  { name: 'latency', want: /^.*EPERM.*CAP_BPF.*\n$/ },
  { name: 'veth', want: /^.*for root \(run it as root\)\n$/ },
];
for (const { name, want } of refusals) {
  test(`${name}: without rights, one line says which`, {
    skip: skip || (process.getuid?.() !== 0 && 'it is not root'),
  }, (t) => {
    const args = ['--reuid=65534', '--clear-groups', process.execPath, ...nodeArguments(name)];
    const { status, stderr, error } = spawnSync('setpriv', args, { cwd: root, encoding: 'utf8' });
    if (error !== undefined) return t.skip('setpriv is not installed');
    assert.equal(status, 1, stderr);
    assert.match(stderr, want);
  });
}
