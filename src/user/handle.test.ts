/** Handles that nobody closes: run in a child, whose garbage can be collected on demand. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { whyNoLinux } from '../../test/support/linux.ts';

const source = (name: string): string =>
  new URL(`../${name}`, import.meta.url).href + import.meta.url.slice(-3);

/** What a script prints; `collect()` collects garbage and lets finalizers run. */
function run(body: string): { stdout: string[]; stderr: string[] } {
  const script = `
    const { Kernel } = await import('${source('index')}');
    const { LinuxKernel } = await import('${source('linux-kernel')}');
    const { readdirSync } = await import('node:fs');
    process.removeAllListeners('warning');
    process.on('warning', ({ name, message }) => { if (name === 'SkepWarning') console.error(message); });
    const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const collect = async () => { for (let i = 0; i < 5; i++) { await later(5); globalThis.gc(); } };
    ${body}`;
  const args = ['--expose-gc', '--conditions=source', '--input-type=module', '-e', script];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  const lines = (text: string) => text.split('\n').filter((line) => line !== '');
  return { stdout: lines(stdout), stderr: lines(stderr) };
}

const warning = (what: string): string =>
  `${what} was never closed; it is closed now that nothing refers to it`;

test('a handle that nothing refers to is closed, with a warning', () => {
  const { stdout, stderr } = run(`
    const kernel = new Kernel();
    (() => {
      kernel.createMap({ type: 'array', maxEntries: 1, name: 'forgotten' });
      kernel.createMap({ type: 'array', maxEntries: 1, name: 'closed' }).close();
      globalThis.kept = kernel.createMap({ type: 'array', maxEntries: 1, name: 'kept' });
    })();
    console.log(kernel.mapIds().length);
    await collect();
    console.log(kernel.mapIds().length, kept.name);`);
  assert.deepEqual(stdout, ['2', '1 kept']);
  assert.deepEqual(stderr, [warning("map 'forgotten'")]);
});

test('what ended with its process, or went with its whole kernel, is no reason to warn', () => {
  const { stdout, stderr } = run(`
    (() => {
      const ended = new Kernel();
      ended.createMap({ type: 'array', maxEntries: 1 });
      ended.close();
      new Kernel().createMap({ type: 'array', maxEntries: 1 });
    })();
    await collect();
    console.log('done');`);
  assert.deepEqual(stdout, ['done']);
  assert.deepEqual(stderr, []);
});

test('a link that its caller forgets lasts as long as the program', () => {
  const { stdout, stderr } = run(`
    const kernel = new Kernel();
    const program = kernel.loadProgram({ type: 'raw_tracepoint', insns: new Uint8Array([0xb7,0,0,0,0,0,0,0,0x95,0,0,0,0,0,0,0]) });
    (() => { program.attach({ tracepoint: 'sys_enter' }); })();
    await collect();
    console.log(kernel.linkIds().length, program.closed);`);
  assert.deepEqual(stdout, ['1 false']);
  assert.deepEqual(stderr, []);
});

test('on Linux the fds are given back, those of readers too', { skip: whyNoLinux() }, () => {
  const { stdout, stderr } = run(`
    const fds = () => readdirSync('/proc/self/fd').length;
    (() => { new LinuxKernel().createMap({ type: 'array', maxEntries: 1 }).close(); })();
    const before = fds();
    (() => {
      const kernel = new LinuxKernel();
      kernel.createMap({ type: 'ringbuf', keySize: 0, valueSize: 0, maxEntries: 4096, name: 'ring' }).ringBuffer();
      kernel.createMap({ type: 'perf_event_array', maxEntries: 64, name: 'perf' }).perfBuffer({ pages: 1 });
    })();
    console.log(fds() > before + 3);
    await collect();
    console.log(fds() - before);`);
  assert.deepEqual(stdout, ['true', '0']);
  const wanted = ["map 'perf'", "map 'ring'", "the perf buffer of map 'perf'"].map(warning);
  assert.deepEqual(stderr.sort(), wanted.sort());
});
