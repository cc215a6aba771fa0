/**
 * Tables of small programs that use types of the kernel: verified with the types of test/support/kernel-btf.ts, and,
 * where bpf(2) works, with those of the running kernel, which must say the same. In a program, `kfunc:NAME` stands
 * for the BTF id of a function and `off:STRUCT.MEMBER` for where a member is.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '../../src/asm/index.ts';
import { type Btf, findMember, readBtf } from '../../src/btf/index.ts';
import { encode } from '../../src/isa/index.ts';
import { LinuxSystem } from '../../src/linux/index.ts';
import { BpfError } from '../../src/uapi/errno.ts';
import { type ProgTypeName, progTypes } from '../../src/uapi/prog-types.ts';
import { type VerifierInput, verify } from '../../src/verifier/index.ts';
import { kernelBtf } from './kernel-btf.ts';
import { whyNoLinux } from './linux.ts';

export interface KernelCase {
  readonly name: string;
  /** Assembly; or instructions in hexadecimal, eight bytes a line, where no assembler would write them. */
  readonly program: string;
  /** 'ok', or the last message. */
  readonly want: string;
  /** Default: a tracepoint program of `task_newtask`. */
  readonly on?: { readonly type: ProgTypeName; readonly attach?: string; readonly sleepable?: boolean };
}

const TRACE_RAW_TP = 23;
const SLEEPABLE = 16;
const LOG_SIZE = 1 << 16;
const target = { type: 'tracing', attach: 'btf_trace_task_newtask' } as const;

function assembled(one: KernelCase, btf: Btf): Uint8Array {
  const text = one.program
    .replace(/kfunc:(\w+)/g, (_, name: string) => `kfunc#${btf.find(name, 'func') ?? 0}`)
    .replace(/off:(\w+)\.(\w+)/g, (_, struct: string, member: string) => {
      const id = btf.find(struct, 'struct');
      const found = id === undefined ? undefined : findMember(btf, id, member);
      return String((found?.bitOffset ?? 0) / 8);
    });
  if (!/^\s*([0-9a-f]{16}\s+)*[0-9a-f]{16}\s*$/.test(text)) return encode(assemble(text));
  return Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (byte) => Number.parseInt(byte, 16));
}

function attributes(
  one: KernelCase,
  btf: Btf,
): Pick<VerifierInput, 'progType' | 'progFlags' | 'expectedAttachType' | 'attachBtfId'> {
  const { type, attach, sleepable } = { sleepable: false, attach: undefined, ...(one.on ?? target) };
  return {
    progType: progTypes[type].id,
    progFlags: sleepable ? SLEEPABLE : 0,
    expectedAttachType: attach === undefined ? 0 : TRACE_RAW_TP,
    attachBtfId: attach === undefined ? undefined : btf.find(attach, 'typedef'),
  };
}

/** What the verifier says of a case, by the types of `btf`. */
function verdict(one: KernelCase, bytes: Uint8Array): string {
  const btf = readBtf(bytes);
  const result = verify({
    insns: assembled(one, btf),
    ...attributes(one, btf),
    gplCompatible: true,
    capabilities: { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true },
    resolveMap: () => 'EBADF',
    kernelBtf: bytes,
    logLevel: 1,
  });
  return result.ok ? 'ok' : result.message;
}

function linuxVerdict(one: KernelCase, system: LinuxSystem, bytes: Uint8Array): string {
  const btf = readBtf(bytes);
  const insns = assembled(one, btf);
  const { attachBtfId, ...attr } = attributes(one, btf);
  const logBuf = new Uint8Array(LOG_SIZE);
  try {
    system.close(
      system.bpf('progLoad', {
        ...attr,
        ...(attachBtfId === undefined ? {} : { attachBtfId }),
        insns,
        insnCnt: insns.length / 8,
        license: 'GPL',
        logLevel: 1,
        logSize: LOG_SIZE,
        logBuf,
      }),
    );
    return 'ok';
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const text = new TextDecoder().decode(logBuf.subarray(0, logBuf.indexOf(0)));
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('processed '));
    return lines[lines.length - 1] ?? error.message;
  }
}

/** Only this version's words are compared with. */
const VERSION = 0x0612_00;
const VERSION_MASK = 0xffff_00;

export function checkKernelCases(cases: readonly KernelCase[]): void {
  for (const one of cases) {
    test(one.name, () => assert.equal(verdict(one, kernelBtf.bytes), one.want));
  }
  test('the running kernel says the same', (t) => {
    const reason = whyNoLinux();
    if (reason !== false) return t.skip(reason);
    const system = new LinuxSystem();
    const bytes = system.kernelBtf();
    if (bytes === undefined) return t.skip('the running kernel has no BTF');
    if ((system.kernelVersion() & VERSION_MASK) !== VERSION)
      return t.skip('the running kernel is not Linux 6.18');
    for (const one of cases) {
      const linux = linuxVerdict(one, system, bytes);
      assert.equal(linux, one.want, `Linux on '${one.name}'`);
      assert.equal(verdict(one, bytes), linux, one.name);
    }
  });
}
