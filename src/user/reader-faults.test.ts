/** Readers of the running kernel when processes are killed and fds run out: nothing that was accepted is lost. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { assertEventually } from '../../test/contract/harness.ts';
import { whyNoLinux } from '../../test/support/linux.ts';
import { LinuxKernel } from '../linux-kernel.ts';

const skip = whyNoLinux();
const file = new URL('../../fixtures/readers/readers.bpf.o', import.meta.url);
const source = (name: string): string =>
  new URL(`../${name}`, import.meta.url).href + import.meta.url.slice(-3);

/** A child with the kernel and the object of the readers at hand. */
function start(body: string, shell = ''): ChildProcess {
  const script = `
    const { LinuxKernel } = await import('${source('linux-kernel')}');
    const { readFileSync } = await import('node:fs');
    const kernel = new LinuxKernel();
    const load = () => kernel.load(readFileSync(new URL('${file}')));
    const packet = { data: new Uint8Array(64) };
    ${body}`;
  const args = ['--conditions=source', '--no-warnings', '--input-type=module', '-e', script];
  return spawn('sh', ['-c', `${shell} exec "$@"`, 'sh', process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function line(child: ChildProcess): Promise<string> {
  for await (const text of createInterface({ input: child.stdout as NodeJS.ReadableStream })) return text;
  return '';
}

test('a producer that is killed in the middle: all that the kernel accepted is read', { skip }, async () => {
  const kernel = new LinuxKernel();
  using object = kernel.load(readFileSync(file));
  const reader = object.map('events').ringBuffer<{ n: number }>({ type: 'event' });
  const child = start(`
    const program = kernel.programById(${object.program('emit').id});
    console.log('ready');
    for (;;) program.testRun({ ...packet, repeat: 5 });`);
  const ending = new AbortController();
  let last = -1;
  let count = 0;
  const see = ({ n }: { n: number }): void => {
    assert.ok(n > last, 'in order');
    last = n;
    count++;
  };
  const reading = (async () => {
    for await (const record of reader.records({ signal: ending.signal })) see(record);
  })();
  await line(child);
  await assertEventually(() => count > 1000, 'records come');
  child.kill('SIGKILL');
  await once(child, 'exit');
  ending.abort();
  await reading;
  while (reader.drain(see) > 0);
  const emitted = Number(object.variable<bigint>('next').get());
  // Every third one is discarded by the program itself.
  assert.equal(count, emitted - Math.floor(emitted / 3));
  reader.close();
});

test('a reader that is killed in the middle leaves nothing', { skip }, async () => {
  const kernel = new LinuxKernel();
  const child = start(`
    const object = load();
    const map = object.map('events');
    setInterval(() => object.program('emit').testRun({ ...packet, repeat: 30 }), 1);
    let count = 0;
    for await (const record of map.ringBuffer({ type: 'event' })) if (++count === 50) console.log(map.id);`);
  const id = Number(await line(child));
  assert.ok(kernel.mapIds().includes(id));
  child.kill('SIGKILL');
  await once(child, 'exit');
  await assertEventually(() => !kernel.mapIds().includes(id), 'the map should be gone');
});

test('fds that run out: a new reader cannot be made, one that is there reads on', { skip }, async () => {
  const child = start(
    `
    const { openSync } = await import('node:fs');
    const object = load();
    const map = object.map('events');
    const reader = map.ringBuffer({ type: 'event' });
    const fds = [];
    try { for (;;) fds.push(kernel.sys.dup(map.fd)); } catch {}
    let said;
    try { map.ringBuffer(); } catch (error) { said = error.errno; }
    setInterval(() => object.program('emit').testRun(packet), 2);
    let count = 0;
    for await (const record of reader) if (++count === 20) break;
    console.log(said, count);
    process.exit();`,
    'ulimit -n 512;',
  );
  assert.equal(await line(child), 'EMFILE 20');
});

test('many readers that are made and closed leave no fd and no mapping', { skip }, async () => {
  const kernel = new LinuxKernel();
  using object = kernel.load(readFileSync(file));
  const map = object.map('events');
  const fds = () => readdirSync('/proc/self/fd').length;
  const before = fds();
  for (let i = 0; i < 200; i++) {
    const reader = map.ringBuffer();
    const waiting = reader.wait({ timeoutMs: 1000 });
    reader.close();
    assert.equal(await waiting, false);
  }
  await setTimeout(1);
  assert.ok(fds() <= before);
});
