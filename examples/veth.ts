/**
 * An XDP firewall on a virtual cable between two network namespaces, both made here and gone at the end, however it
 * ends: `node examples/veth.ts`, as root. The other host sends packets; what the firewall decided about them is
 * counted by the kernel and printed.
 *
 *      namespace of the other host            namespace of the firewall
 *      10.9.0.2  peer ────────── cable ────────── skep0  10.9.0.1
 *                                                   └ XDP: firewall.bpf.o
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { SkepError } from 'skep';
import { LinuxKernel } from 'skep/linux';
import { bold, green, print, red, show, table } from './print.ts';
import { main } from './watched.ts';

/** UDP packets that the other host sends, by port. */
const sent = [
  { port: 53, packets: 30 },
  { port: 80, packets: 50 },
  { port: 443, packets: 20 },
];
const BLOCKED = 80;

/** A command of the system; what it says when it fails is one line. */
function run(file: string, ...args: string[]): void {
  try {
    execFileSync(file, args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string };
    const missing = code === 'ENOENT';
    throw new SkepError({
      code: 'command',
      message: `${[file, ...args].join(' ')}: ${missing ? 'not installed' : (stderr ?? '').trim().split('\n')[0]}`,
      hint: missing ? 'apt-get install iproute2 util-linux' : 'run it as root',
    });
  }
}

/** A program in a network namespace of its own, which ends with the program, and that with its standard input. */
function inOwnNetwork(file: string, args: readonly string[], stdout: 'inherit' | 'pipe'): ChildProcess {
  return spawn('unshare', ['--net', '--', file, ...args], { stdio: ['pipe', stdout, 'inherit'] });
}

/** What the other host runs: it sends the packets, a few at a time, and ends. */
const sender = `
  const socket = require('node:dgram').createSocket('udp4');
  const send = (port) => new Promise((resolve) => socket.send('x'.repeat(100), port, '10.9.0.1', resolve));
  (async () => {
    for (const { port, packets } of ${JSON.stringify(sent)}) {
      for (let i = 0; i < packets; i++) {
        await send(port);
        if (i % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    socket.close();
  })();`;

/** In the namespace of the firewall. */
async function firewall(signal: AbortSignal): Promise<void> {
  // cat says a word when it is there, and goes when nobody holds its input: its namespace and the cable with it.
  const host = inOwnNetwork('sh', ['-c', 'echo ready; exec cat >/dev/null'], 'pipe');
  try {
    await once(host.stdout as NodeJS.ReadableStream, 'data');
    const net = `/proc/${host.pid}/ns/net`;
    const there = (...words: string[]): void => run('nsenter', `--net=${net}`, '--', ...words);
    run('ip', 'link', 'add', 'skep0', 'type', 'veth', 'peer', 'name', 'peer', 'netns', String(host.pid));
    run('ip', 'address', 'add', '10.9.0.1/24', 'dev', 'skep0');
    run('ip', 'link', 'set', 'skep0', 'up');
    there('ip', 'address', 'add', '10.9.0.2/24', 'dev', 'peer');
    there('ip', 'link', 'set', 'peer', 'up');

    const kernel = new LinuxKernel();
    const wall = kernel.load(readFileSync(new URL('firewall.bpf.o', import.meta.url)));
    wall.map<number, number>('blocked').set(BLOCKED, 1);
    const link = wall.program('firewall').attach({ device: 'skep0' });
    print(`The firewall drops what goes to port ${BLOCKED}. The other host sends:`, '');
    table(
      ['UDP TO PORT', '>PACKETS'],
      sent.map(({ port, packets }) => [String(port), String(packets)]),
    );

    const child = spawn('nsenter', [`--net=${net}`, '--', process.execPath, '-e', sender], {
      stdio: ['ignore', 'inherit', 'inherit'],
      signal,
    });
    const [code] = await once(child, 'exit').catch((error) => {
      if (signal.aborted) return [0];
      throw error;
    });
    if (code !== 0) throw new SkepError({ code: 'command', message: `the sender ended with ${code}` });
    link.close();

    print('', `${bold('What the kernel counted')}, by verdict and by flow:`, '');
    const sum = (cpus: bigint[] | undefined): bigint => (cpus ?? []).reduce((all, one) => all + one, 0n);
    const actions = wall.map<number, bigint[]>('actions');
    table(
      ['VERDICT', '>PACKETS'],
      [
        [green('pass'), String(sum(actions.get(2)))],
        [red('drop'), String(sum(actions.get(1)))],
      ],
    );
    print('');
    const flows = [...wall.map('flows').entries()].map((each) => each.map(show));
    table(['FLOW', 'TRAFFIC'], flows.sort());
    wall.close();
  } finally {
    host.stdin?.destroy();
    await once(host, 'exit').catch(() => {});
  }
}

await main(async (signal) => {
  if (process.argv[2] === 'inside') {
    const abort = new AbortController();
    signal.addEventListener('abort', () => abort.abort());
    // Whoever started it is gone.
    process.stdin.on('end', () => abort.abort()).resume();
    await firewall(abort.signal);
    process.stdin.destroy();
    return;
  }
  if (process.geteuid?.() !== 0) {
    const message = 'network namespaces and programs in them are for root';
    throw new SkepError({ code: 'rights', message, hint: 'run it as root' });
  }
  const self = fileURLToPath(import.meta.url);
  const child = inOwnNetwork(process.execPath, [...process.execArgv, self, 'inside'], 'inherit');
  signal.addEventListener('abort', () => child.kill('SIGTERM'));
  const [code] = await once(child, 'exit').catch(({ code }) => {
    const hint = 'apt-get install util-linux';
    throw new SkepError({ code: 'command', message: `unshare cannot be run (${code})`, hint });
  });
  if (code !== 0) process.exitCode = 1;
});
