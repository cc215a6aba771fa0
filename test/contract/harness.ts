/**
 * The contract of the seam: one suite of tests written against `System` alone, run on every kernel that
 * implements it. A kernel is a `Target`; what it cannot do is a `skip` with its reason. Expectations are
 * what Linux 6.18 was seen to do.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '../../src/asm/index.ts';
import { encode } from '../../src/isa/index.ts';
import type { BpfAttr, Cmd } from '../../src/uapi/commands.ts';
import { BpfError, type Errno } from '../../src/uapi/errno.ts';
import { mapTypes } from '../../src/uapi/map-types.ts';
import { progTypes } from '../../src/uapi/prog-types.ts';
import type { System } from '../../src/uapi/seam.ts';

/** A process that a test can end. */
export type TestProcess = System & { end(): void };

/** One kernel, set up for one test. */
export interface Machine {
  /** A process with all capabilities, or one of another user without any. */
  spawn(kind?: 'root' | 'unprivileged'): TestProcess;
  /** A directory of its BPF file system that the test may fill. */
  readonly pinDirectory: string;
  unlink(path: string): void;
  /** A network device that the test may attach to, and one packet arriving there; the XDP_* verdict. */
  readonly device: string;
  receive(packet: Uint8Array): number;
  /** Bytes that maps, programs and packets take up; undefined where the kernel does not say. */
  readonly bytesInUse: number | undefined;
  close(): void;
}

export interface Target {
  readonly name: string;
  /** LINUX_VERSION_CODE of what it is, or stands for. */
  readonly version: number;
  start(): Machine;
  readonly skip: readonly { readonly reason: string; readonly tests: readonly string[] }[];
}

export interface ContractTest {
  readonly name: string;
  /** The oldest kernel that was seen to do so: '6.12'. */
  readonly since?: string | undefined;
  readonly run: (machine: Machine, version: number) => void | Promise<void>;
}

/** Registers every test of the suites for a target. */
export function runContract(target: Target, suites: Readonly<Record<string, readonly ContractTest[]>>): void {
  for (const [suite, tests] of Object.entries(suites)) {
    for (const { name, run, since } of tests) {
      const old = isOlder(target.version, since) ? `since Linux ${since}` : undefined;
      const skip = old ?? target.skip.find((row) => row.tests.includes(`${suite}: ${name}`))?.reason;
      test(`${target.name}: ${suite}: ${name}`, skip === undefined ? {} : { skip }, async () => {
        const machine = target.start();
        try {
          await run(machine, target.version);
        } finally {
          machine.close();
        }
      });
    }
  }
}

/** 'ok', or the errno that a call failed with; any other error passes. */
export function outcome(call: () => unknown): Errno | 'ok' {
  try {
    call();
    return 'ok';
  } catch (error) {
    if (error instanceof BpfError) return error.errno;
    throw error;
  }
}

/** A row of a table of calls: what is called, and how it must end. */
export interface Row<S> {
  readonly name: string;
  readonly call: (setup: S) => unknown;
  readonly want: Errno | 'ok';
  /** The oldest kernel that was seen to answer so: older ones are not asked. */
  readonly since?: string;
}

/** Whether a kernel is older than a version such as '6.12'. */
export function isOlder(version: number, since: string | undefined): boolean {
  if (since === undefined) return false;
  const [major = 0, minor = 0] = since.split('.').map(Number);
  return version < ((major << 16) | (minor << 8));
}

/** A test that makes every call of a table, in order, on one setup. */
export function tableTest<S>(
  name: string,
  setup: (machine: Machine) => S,
  rows: readonly Row<S>[],
): ContractTest {
  return {
    name,
    run: (machine, version) => {
      const made = setup(machine);
      for (const row of rows) {
        if (isOlder(version, row.since)) continue;
        const got = outcome(() => row.call(made));
        assert.equal(got, row.want, row.name);
      }
    },
  };
}

export const u32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
};

export const readU32 = (bytes: Uint8Array, at = 0): number =>
  new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);

/** A map with 4-byte keys and values and four entries unless `attr` says otherwise. */
export function makeMap(system: System, attr: BpfAttr<'mapCreate'> = {}): number {
  return system.bpf('mapCreate', {
    mapType: mapTypes.hash.id,
    keySize: 4,
    valueSize: 4,
    maxEntries: 4,
    ...attr,
  });
}

/** The attributes of a load of `text`, a socket filter unless `attr` says otherwise. */
export function loadAttr(text: string, attr: BpfAttr<'progLoad'> = {}): BpfAttr<'progLoad'> {
  const insns = encode(assemble(text));
  return { progType: progTypes.socket_filter.id, insns, insnCnt: insns.length / 8, license: 'GPL', ...attr };
}

export function load(system: System, text: string, attr: BpfAttr<'progLoad'> = {}): number {
  return system.bpf('progLoad', loadAttr(text, attr));
}

export const returnZero = 'r0 = 0\nexit';
export const xdpPass = 'r0 = 2\nexit';

export function mapInfo(system: System, fd: number) {
  const info: { kind: 'map'; id?: number } & Record<string, unknown> = { kind: 'map' };
  system.bpf('objGetInfoByFd', { bpfFd: fd, info });
  return info;
}

export function progInfo(system: System, fd: number) {
  const info: { kind: 'prog'; id?: number } & Record<string, unknown> = { kind: 'prog' };
  system.bpf('objGetInfoByFd', { bpfFd: fd, info });
  return info;
}

type IdCommand = Extract<Cmd, 'progGetFdById' | 'mapGetFdById' | 'btfGetFdById' | 'linkGetFdById'>;
const idFields = {
  progGetFdById: 'progId',
  mapGetFdById: 'mapId',
  btfGetFdById: 'btfId',
  linkGetFdById: 'linkId',
} as const;

/** Whether an object of this id is alive. */
export function isAlive(system: System, cmd: IdCommand, id: number | undefined): boolean {
  let fd: number;
  try {
    fd = system.bpf(cmd, { [idFields[cmd]]: id });
  } catch (error) {
    if (error instanceof BpfError && error.errno === 'ENOENT') return false;
    throw error;
  }
  system.close(fd);
  return true;
}

/** That something comes true: Linux frees some objects a grace period after their last reference. */
export async function assertEventually(condition: () => boolean, message: string): Promise<void> {
  for (let tries = 0; tries < 500 && !condition(); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.ok(condition(), message);
}

/** That an object is gone, or soon will be. */
export async function assertDies(system: System, cmd: IdCommand, id: number | undefined): Promise<void> {
  await assertEventually(() => !isAlive(system, cmd, id), `${idFields[cmd]} ${id} should be gone`);
}
