/**
 * The object with a program for each way to attach, one of them loaded and attached where only the test notices:
 * those that are about processes see this one alone.
 */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { afterEach, type TestContext } from 'node:test';
import { SkepError } from '../../src/base/errors.ts';
import { LinuxKernel } from '../../src/linux-kernel.ts';
import { openObject } from '../../src/object/index.ts';
import { BpfError, type Errno } from '../../src/uapi/errno.ts';
import {
  type AttachOptions,
  type Collection,
  type KernelHandle,
  type Link,
  LoadError,
  type Program,
  setVariables,
} from '../../src/user/index.ts';
import { libcFunctions } from './linux-sandbox.ts';

const objects = new URL('../../fixtures/objects/', import.meta.url);

export interface Loaded {
  readonly collection: Collection;
  readonly program: Program;
  /** How often it has run, on behalf of this process where it is about processes. */
  hits(): bigint;
}

/** Loads the program `on_NAME` of an object alone; what its section names is another where `attachTo` says so. */
export function loadOnly(
  name: string,
  {
    kernel = new LinuxKernel(),
    attachTo,
    targets,
    object = 'attach',
  }: { kernel?: KernelHandle; attachTo?: string; targets?: Record<string, Program>; object?: string } = {},
): Loaded {
  const spec = openObject(readFileSync(new URL(`${object}.bpf.o`, objects)));
  for (const program of Object.values(spec.programs)) {
    program.autoload = program.name === `on_${name}`;
    if (attachTo !== undefined && program.autoload) program.attachTo = attachTo;
  }
  setVariables(spec, { target_pid: process.pid });
  const collection = kernel.load(spec, targets === undefined ? {} : { targets });
  opened.push(collection);
  const program = collection.program(`on_${name}`);
  const attach = program.attach.bind(program);
  program.attach = (options) => {
    const link = attach(options);
    opened.push(link);
    return link;
  };
  return { collection, program, hits: () => collection.variable<bigint>('hits').get() };
}

/** What a test that failed left open: attached programs must not be there for the next one. */
const opened: { close(): void }[] = [];
afterEach(() => {
  for (const handle of opened.splice(0).reverse()) handle.close();
});

const libc = libcFunctions({ getpgid: ['int'] });

/** The call that the tracing programs wait for, by way of the C library; with a process, security hooks are asked. */
export function callGetpgid(times: number): number {
  let result = 0;
  for (let i = 0; i < times; i++) result = libc.getpgid(process.pid);
  return result;
}

/** What this machine's kernel may lack, as errors say it; then the test skips with their words. */
const lacking =
  /built without|needs Linux|have no func|the kernel has no function|no BTF|not mounted|no such program type/;

/**
 * Whether an error is about what this machine's kernel lacks. Kernels that are locked down refuse some types with
 * EPERM and an empty log, whoever asks; older ones do not know them.
 */
export function isLacking(error: SkepError): boolean {
  const isRefusal = error instanceof LoadError && error.log === '';
  return (isRefusal && ['EPERM', 'EINVAL'].includes(error.errno)) || lacking.test(error.line);
}

/** Runs a live test, which skips where the kernel lacks what it is about. */
export async function whereThere(t: TestContext, run: () => void | Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof SkepError) || !isLacking(error)) throw error;
    t.skip(error.line);
  }
}

/** Attaches, checks that it runs while the link is open and at no other time, and returns what ran. */
export function runAttached(
  { program, hits }: Loaded,
  { options = {}, fire }: { options?: AttachOptions; fire: () => void },
): { link: Link; ran: bigint } {
  const link = program.attach(options);
  try {
    const before = hits();
    fire();
    return { link, ran: hits() - before };
  } finally {
    link.close();
  }
}

/** The errno of a call; undefined where it succeeds. */
export function errnoOf(call: () => unknown): Errno | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (error instanceof BpfError) return error.errno;
    throw error;
  }
}
