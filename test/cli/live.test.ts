/** Commands that make, look at and change objects of the running kernel, in a sandbox of namespaces. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import process from 'node:process';
import { after, test } from 'node:test';
import { LinuxKernel } from '../../src/linux-kernel.ts';
import { enterSandbox } from '../support/linux-sandbox.ts';
import { command, example, skep } from './skep.ts';

const sandbox = enterSandbox();
const skip = 'reason' in sandbox ? sandbox.reason : false;
const bpffs = 'bpffs' in sandbox ? sandbox.bpffs : '';
const linux = (...args: string[]) => skep([...args, '--kernel', 'linux']);
const name = `cli${process.pid}`;

/** Runs lines of arguments; each must end with the code, and print what is wanted. */
function script(lines: readonly { args: string; code?: number; want?: string | RegExp }[]): void {
  for (const { args, code = 0, want = '' } of lines) {
    const ran = linux(...args.split(' '));
    assert.equal(ran.code, code, `${args}: ${ran.stderr}`);
    const said = code === 0 ? ran.stdout : ran.stderr;
    if (typeof want === 'string') assert.equal(said.trim(), want, args);
    else assert.match(said, want, args);
    if (code !== 0) assert.equal(ran.stderr.trim().split('\n').length, 1, ran.stderr);
  }
}

test('maps: made, written, read, walked, pinned and frozen, in the words of bpftool', { skip }, () => {
  const path = `${bpffs}/numbers`;
  script([
    { args: `map create ${path} type hash key 4 value 8 entries 4 name ${name}` },
    { args: `map update pinned ${path} key 80 value 7` },
    { args: `map update name ${name} key hex 51 00 00 00 value 1 0 0 0 0 0 0 0 noexist` },
    { args: `map update ${path} key 81 value 1 noexist`, code: 1, want: /EEXIST/ },
    { args: `map lookup ${path} key 80`, want: 'key: 80  value: 07 00 00 00 00 00 00 00' },
    { args: `map lookup ${path} key 82`, code: 1, want: /has no element 82/ },
    { args: `map lookup ${path} key 1 2`, code: 2, want: /the key is 4 bytes, not '1 2'/ },
    { args: `map delete ${path} key 80` },
    { args: `map getnext ${path}`, want: 'key: 51 00 00 00' },
    { args: `map freeze ${path}` },
    { args: `map update ${path} key 1 value 1`, code: 1, want: /EPERM/ },
    { args: `map list --map ${name}`, want: new RegExp(`${name} +hash +4 +8 +4`) },
    { args: `map create ${path}3 type hush key 4`, code: 2, want: /no map type 'hush'/ },
    { args: `map create ${path}3 type hash key 4 value 8 entries 0 name x`, code: 1, want: /EINVAL/ },
  ]);
});

test('queues', { skip }, () => {
  const path = `${bpffs}/jobs`;
  script([
    { args: `map create ${path} type queue value 4 entries 2 name jobs` },
    { args: `map push ${path} value 5` },
    { args: `map peek ${path}`, want: 'value: 05 00 00 00' },
    { args: `map pop ${path}`, want: 'value: 05 00 00 00' },
    { args: `map pop ${path}`, code: 1, want: /it is empty/ },
  ]);
});

test('programs: loaded, pinned and shown; all or none', { skip }, () => {
  const [firewall, calls] = [example('firewall.bpf.o'), example('tailcall.bpf.o')];
  script([
    { args: `prog load ${firewall} ${bpffs}/firewall pinmaps ${bpffs}/firewall-maps` },
    { args: `prog show pinned ${bpffs}/firewall`, want: /firewall +xdp +[0-9a-f]{16}/ },
    { args: `prog pin pinned ${bpffs}/firewall ${bpffs}/again` },
    { args: `map lookup ${bpffs}/firewall-maps/blocked key 80`, code: 1, want: /has no element 80/ },
    { args: `prog loadall ${calls} ${bpffs}/calls` },
    { args: `prog loadall ${firewall} ${bpffs}/alone` },
    { args: `prog show pinned ${bpffs}/alone/firewall`, want: /firewall +xdp/ },
    { args: `prog show pinned ${bpffs}/nosuch`, code: 1, want: /pin .*\/nosuch: No such file/ },
    { args: `prog load ${calls} ${bpffs}/one`, code: 2, want: /several programs/ },
    { args: `prog load ${calls} ${bpffs}/one --prog dispatch` },
    { args: `prog load ${firewall} ${bpffs}/firewall pinmaps ${bpffs}/others`, code: 1, want: /EEXIST/ },
  ]);
  assert.ok(existsSync(`${bpffs}/calls/on_ipv4`));
  assert.ok(!existsSync(`${bpffs}/others`));
});

test('links: shown, pinned and detached', { skip }, () => {
  execFileSync('ip', ['link', 'add', 'clilink', 'type', 'veth', 'peer', 'name', 'clipeer']);
  const kernel = new LinuxKernel();
  const program = kernel.programById(
    JSON.parse(linux('prog', 'show', `${bpffs}/firewall`, '--json').stdout)[0].id,
  );
  const link = program.attach({ device: 'clilink' });
  const { id } = link.info();
  script([
    { args: 'link list', want: new RegExp(`^ *${id} +xdp +${program.id}$`, 'm') },
    { args: `link pin id ${id} ${bpffs}/link` },
    { args: `link detach pinned ${bpffs}/link` },
    { args: `link show ${id}`, want: /xdp/ },
    { args: `link detach ${bpffs}/firewall`, code: 1, want: /is not a link/ },
    { args: 'link show 4294967295', code: 1, want: /ENOENT/ },
  ]);
  link.close();
  program.close();
});

test('run attaches for real, and leaves nothing behind when it is interrupted', { skip }, async () => {
  execFileSync('ip', ['link', 'add', 'clirun', 'type', 'veth', 'peer', 'name', 'clirunpeer']);
  const [node = '', ...before] = command;
  const args = [
    'run',
    example('firewall.bpf.o'),
    '--kernel',
    'linux',
    '--device',
    'clirun',
    '--dump-maps',
    '--json',
  ];
  const child = spawn(node, [...before, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const isAttached = () =>
    /prog\/xdp/.test(execFileSync('ip', ['link', 'show', 'clirun'], { encoding: 'utf8' }));
  let stdout = '';
  child.stdout.on('data', (data) => {
    stdout += data;
  });
  for (let tries = 0; !isAttached() && tries < 500; tries++)
    await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(isAttached());
  // From here on it has its own handler, or the signal ends it: either way nothing stays.
  child.kill('SIGINT');
  const [code] = await once(child, 'exit');
  assert.ok(code === 0 || code === null, String(code));
  assert.ok(!isAttached());
  if (code === 0) assert.equal(JSON.parse(stdout).maps.length, 3);
});

test('run for as long as a command does', { skip }, () => {
  const args = ['run', example('callers.bpf.o'), '--kernel', 'linux', '--dump-maps', '--json', '--', 'true'];
  const { code, stdout, stderr } = skep(args);
  assert.equal(code, 0, stderr);
  const report = JSON.parse(stdout);
  assert.deepEqual(report.programs, [{ name: 'count_caller', attached: 'sys_enter' }]);
  assert.ok(report.maps[0].entries.length > 0);
});

test('run prints the records of ring buffers, of the command that it runs', { skip }, () => {
  const args = ['run', example('latency.bpf.o'), '--kernel', 'linux', '--type', 'slow=slow_call'];
  const { code, stdout, stderr } = skep([...args, '--', 'sleep', '0.02']);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^slow: \{ thread: \d+, number: \d+, ns: \d+, comm: "sleep" \}$/m);
  const report = JSON.parse(skep([...args, '--json', '--', 'sleep', '0.02']).stdout);
  assert.ok(report.records.length > 0);
  assert.ok(report.records.every((each: { map: string; record: { comm: string } }) => each.map === 'slow'));
  const missing = skep([...args, '--', '/no/such']);
  assert.equal(missing.code, 127);
});

test('what run cannot do on the running kernel', { skip }, () => {
  script([
    { args: `run ${example('firewall.bpf.o')}`, code: 1, want: /which device to attach to/ },
    { args: `run ${example('firewall.bpf.o')} --device nosuch0`, code: 1, want: /ENODEV/ },
    { args: `run ${example('latency.bpf.o')} --type nope`, code: 1, want: /there is no type 'nope'/ },
    { args: `run ${example('firewall.bpf.o')} --pcap x`, code: 2, want: /'--pcap' with --kernel linux/ },
  ]);
  const { code, stderr } = skep(['run', example('firewall.bpf.o'), '--pid', '1']);
  assert.equal(code, 2);
  assert.match(stderr, /'--pid' is about a running kernel/);
});

after(() => {
  if (skip === false)
    execFileSync('rm', [
      '-rf',
      ...[
        'numbers',
        'numbers2',
        'jobs',
        'firewall',
        'again',
        'firewall-maps',
        'calls',
        'alone',
        'one',
        'link',
      ].map((each) => `${bpffs}/${each}`),
    ]);
});
