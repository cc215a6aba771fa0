/**
 * A process that runs programs of the suite: it reads `{ program, engine, repeat }` a line on standard input
 * and answers `{ ns, retval }`, the time of all runs, for each. Engines are the embedded
 * kernel's two, and Linux.
 */
import { createInterface } from 'node:readline';
import { type Collection, interpreter, jit, Kernel, type KernelHandle } from '../src/index.ts';
import { suiteObject, suitePacket } from './suite.ts';

export interface Order {
  readonly program: string;
  readonly engine: 'jit' | 'interp' | 'linux';
  readonly repeat: number;
}

export type Answer = { readonly ns: number; readonly retval: number } | { readonly error: string };

const packet = suitePacket();
const kernels = new Map<string, KernelHandle>();
const loaded = new Map<string, Collection>();

async function kernelFor(engine: Order['engine']): Promise<KernelHandle> {
  let kernel = kernels.get(engine);
  if (kernel === undefined) {
    kernel =
      engine === 'linux'
        ? new (await import('../src/linux-kernel.ts')).LinuxKernel()
        : new Kernel({ engine: engine === 'jit' ? jit : interpreter });
    kernels.set(engine, kernel);
  }
  return kernel;
}

const PAGE = 4096;
/** Linux tells whole nanoseconds a run, rounded down. */
const ROUNDED_OFF = 0.5;

/** Tells the ring buffer that everything was read: its consumer page says so. */
function drain({ sys: system }: KernelHandle, collection: Collection): void {
  const ring = Object.values(collection.maps).find(({ typeName }) => typeName === 'ringbuf');
  if (ring === undefined) return;
  const { fd } = ring;
  const consumer = system.mmap(fd, { length: PAGE, offset: 0, writable: true });
  const producer = system.mmap(fd, { length: PAGE, offset: PAGE, writable: false });
  consumer.bytes.set(producer.bytes.subarray(0, 8));
  consumer.unmap();
  producer.unmap();
}

async function answer({ program: name, engine, repeat }: Order): Promise<Answer> {
  const key = `${engine} ${name}`;
  const kernel = await kernelFor(engine);
  let collection = loaded.get(key);
  if (collection === undefined) {
    collection = kernel.load(suiteObject(name));
    loaded.set(key, collection);
  }
  const program = collection.program('bench');
  drain(kernel, collection);
  const from = process.hrtime.bigint();
  const { retval, durationNs } = program.testRun({ data: packet, repeat });
  const outside = Number(process.hrtime.bigint() - from);
  // Before and after the runs Linux patches its own code, which takes milliseconds: its own clock leaves that out.
  return { ns: engine === 'linux' ? (durationNs + ROUNDED_OFF) * repeat : outside, retval };
}

for await (const line of createInterface({ input: process.stdin })) {
  let text: Answer;
  try {
    text = await answer(JSON.parse(line) as Order);
  } catch (error) {
    text = { error: error instanceof Error ? error.message : String(error) };
  }
  process.stdout.write(`${JSON.stringify(text)}\n`);
}
