/**
 * The command line itself: help, version, what is wrong with it, exit codes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commands } from '../../src/cli/commands.ts';
import { example, skep } from './skep.ts';

test('a wrong command line: one line, exit code 2', () => {
  const object = example('firewall.bpf.o');
  const cases: { args: string[]; want: string }[] = [
    { args: ['verfy', object], want: "skep: unknown command 'verfy' (did you mean 'skep verify'?)\n" },
    { args: ['qqqqqqq'], want: "skep: unknown command 'qqqqqqq'\n" },
    {
      args: ['prog'],
      want: "skep: 'skep prog' wants one of show, dump, run, load, loadall, pin, tracelog (see 'skep help prog')\n",
    },
    {
      args: ['prog', 'dmup', object],
      want: "skep: unknown command 'prog dmup' (did you mean 'skep prog dump'?)\n",
    },
    {
      args: ['run', object, '--pcapp', 'x'],
      want: "skep: unknown option '--pcapp' for 'skep run' (did you mean '--pcap'?)\n",
    },
    {
      args: ['verify', object, '-x'],
      want: "skep: unknown option '-x' for 'skep verify' (see 'skep help verify')\n",
    },
    { args: ['verify', object, '--json=1'], want: "skep: option '--json' takes no value\n" },
    { args: ['verify', object, '--prog'], want: "skep: option '--prog' wants a value (--prog NAME)\n" },
    {
      args: ['verify', object, '--prog', 'a', '--prog', 'b'],
      want: "skep: option '--prog' is given twice\n",
    },
    {
      args: ['verify', object, '--log-level', 'x'],
      want: "skep: option '--log-level' wants a whole number from 0, not 'x'\n",
    },
    {
      args: ['prog', 'show', object, 'more'],
      want: "skep: unexpected argument 'more' for 'skep prog show'\n",
    },
    { args: ['verify'], want: "skep: 'skep verify' wants a FILE (skep verify FILE… [options])\n" },
    {
      args: ['map', 'show'],
      want: 'skep: each command line starts a fresh embedded kernel, so there are no maps to show (give an object: skep map show FILE, or --kernel linux for the maps of the running kernel)\n',
    },
    {
      args: ['run', object, '--', 'ls'],
      want: 'skep: a command is given, but not what to do with it (--strace -- CMD)\n',
    },
    {
      args: ['run', object, '--attach', 'nowhere'],
      want: 'skep: --attach nowhere: no such hook (xdp, tracepoint:GROUP/NAME or raw_tracepoint:NAME)\n',
    },
    {
      args: ['run', object, '--set', 'blocked'],
      want: "skep: --set blocked: a '=' is missing (--set VARIABLE=VALUE or --set MAP.KEY=VALUE)\n",
    },
    {
      args: ['run', object, '--engine', 'x'],
      want: "skep: option '--engine' wants one of interp, jit, not 'x'\n",
    },
    {
      args: ['prog', 'run', object, '--kernel', 'linux', '--engine', 'jit'],
      want: "skep: option '--engine' is for the embedded kernel; linux has its own\n",
    },
    { args: ['help', 'nothing'], want: "skep: unknown command 'nothing' ('skep help' lists them)\n" },
  ];
  for (const { args, want } of cases) {
    assert.deepEqual(skep(args), { code: 2, stdout: '', stderr: want }, args.join(' '));
  }
});

test('without arguments: the overview on standard error, exit code 2', () => {
  const { code, stdout, stderr } = skep([]);
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /^skep: verify and run BPF programs anywhere\n\nUsage: skep COMMAND/);
});

test('the overview lists every command', () => {
  const { code, stdout } = skep(['help']);
  assert.equal(code, 0);
  for (const { name, summary } of commands) {
    assert.ok(stdout.includes(`  ${name} `), name);
    assert.ok(stdout.replace(/\s+/g, ' ').includes(summary), summary);
  }
  assert.equal(skep(['--help']).stdout, stdout);
  assert.equal(skep(['-h']).stdout, stdout);
});

test('help of a command says its options and examples, in all three ways', () => {
  const { code, stdout } = skep(['help', 'prog', 'run']);
  assert.equal(code, 0);
  assert.match(stdout, /^Usage: skep prog run FILE \[options\]\n/);
  assert.match(stdout, / {2}--data-in FILE +the packet/);
  assert.match(stdout, /Example:\n {2}skep prog run firewall/);
  assert.equal(skep(['prog', 'run', '--help']).stdout, stdout);
  assert.equal(skep(['prog', 'run', '-h']).stdout, stdout);
});

test('help of a group shows each of its commands', () => {
  const { stdout } = skep(['prog', '--help']);
  for (const name of ['show', 'dump', 'run']) assert.ok(stdout.includes(`Usage: skep prog ${name} `), name);
});

test('the version is that of the package', () => {
  assert.match(skep(['--version']).stdout, /^skep \d+\.\d+\.\d+\n$/);
});
