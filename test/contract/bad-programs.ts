/** Programs that are no programs: counts, buffers, encodings, BTF records. Linux's errno, and its words where it has some. */
import assert from 'node:assert/strict';
import { assemble } from '../../src/asm/index.ts';
import { encode } from '../../src/isa/index.ts';
import type { BpfAttr } from '../../src/uapi/commands.ts';
import { BpfError } from '../../src/uapi/errno.ts';
import { mapTypes } from '../../src/uapi/map-types.ts';
import type { System } from '../../src/uapi/seam.ts';
import { type ContractTest, load as loadText, outcome } from './harness.ts';

/** BPF_F_MMAPABLE */
const F_MMAPABLE = 1 << 10;

/** Slots of 8 bytes, as words: opcode and registers and offset, then the immediate. */
function slots(...words: readonly number[]): Uint8Array {
  return new Uint8Array(new Uint32Array(words).buffer);
}

const EXIT = [0x95, 0] as const;
const RETURN_ZERO = [0xb7, 0, ...EXIT] as const;

/** BTF: 1 int, 2 a prototype `int ()`, 3 the function `f`, 4 the function `g`, both static. */
function functionTypes(): Uint8Array {
  const names = '\0int\0f\0g\0';
  const at = (name: string): number => names.indexOf(`\0${name}\0`) + 1;
  const kind = (id: number, linkage = 0): number => ((id << 24) | linkage) >>> 0;
  const types = [
    ...[at('int'), kind(1), 4, (1 << 24) | 32],
    ...[0, kind(13), 1],
    ...[at('f'), kind(12), 2],
    ...[at('g'), kind(12), 2],
  ];
  const text = new TextEncoder().encode(names);
  const bytes = new Uint8Array(24 + 4 * types.length + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xeb9f, true);
  view.setUint8(2, 1);
  [24, 0, 4 * types.length, 4 * types.length, text.length].forEach((word, i) => {
    view.setUint32(4 + 4 * i, word, true);
  });
  types.forEach((word, i) => {
    view.setUint32(24 + 4 * i, word, true);
  });
  bytes.set(text, 24 + 4 * types.length);
  return bytes;
}

interface Case {
  readonly name: string;
  readonly attr: BpfAttr<'progLoad'> | ((btfFd: number) => BpfAttr<'progLoad'>);
  /** The errno, or 'ok'. */
  readonly want: string;
  /** The last line of the log. */
  readonly says?: string;
}

const twoFunctions = encode(assemble('call pc+1\nexit\nr0 = 0\nexit'));

/** func_info of the two functions, at these slots. */
const funcs = (...records: readonly number[]) => ({
  insns: twoFunctions,
  insnCnt: 4,
  funcInfo: slots(...records),
  funcInfoCnt: records.length / 2,
  funcInfoRecSize: 8,
});

const cases: readonly Case[] = [
  { name: 'no instructions', attr: { insnCnt: 0 }, want: 'E2BIG' },
  { name: 'more than a million instructions', attr: { insnCnt: 1_000_001 }, want: 'E2BIG' },
  { name: 'instructions that are not there', attr: { insns: undefined, insnCnt: 2 }, want: 'EFAULT' },
  { name: 'flags that are none', attr: { progFlags: 1 << 20 }, want: 'EINVAL' },
  { name: 'a program type that is none', attr: { progType: 99 }, want: 'EINVAL' },
  { name: 'a log buffer of one byte', attr: { logSize: 1, logBuf: new Uint8Array(1) }, want: 'ENOSPC' },
  { name: 'a log without room', attr: { logSize: 0 }, want: 'EINVAL' },
  { name: 'a log level that is none', attr: { logLevel: 16 }, want: 'EINVAL' },
  {
    name: 'an opcode that is none',
    attr: { insns: slots(0x8d, 0, ...RETURN_ZERO) },
    want: 'EINVAL',
    says: 'unknown opcode 8d',
  },
  {
    name: 'a register that is none',
    attr: { insns: slots(0x0fb7, 0, ...RETURN_ZERO) },
    want: 'EINVAL',
    says: 'R15 is invalid',
  },
  {
    name: 'an exit with an immediate',
    attr: { insns: slots(0xb7, 0, 0x95, 1) },
    want: 'EINVAL',
    says: 'BPF_EXIT uses reserved fields',
  },
  {
    name: 'a move with an offset',
    attr: { insns: slots(0x0001_00b7, 0, ...EXIT) },
    want: 'EINVAL',
    says: 'BPF_MOV uses reserved fields',
  },
  {
    name: 'half a load of 64 bits',
    attr: { insns: slots(0x18, 0, ...EXIT) },
    want: 'EINVAL',
    says: 'invalid bpf_ld_imm64 insn',
  },
  {
    name: 'a jump into a load of 64 bits',
    attr: { insns: slots(0x0001_0005, 0, 0x18, 0, 0, 0, ...RETURN_ZERO) },
    want: 'EINVAL',
    says: 'unreachable insn 1',
  },
  {
    name: 'a function that calls itself',
    attr: { insns: encode(assemble('call pc+1\nexit\ncall pc-1\nexit')) },
    want: 'E2BIG',
    says: 'the call stack of 9 frames is too deep',
  },
  { name: 'functions in order', attr: funcs(0, 3, 2, 4), want: 'ok' },
  {
    name: 'functions out of order',
    attr: funcs(2, 4, 0, 3),
    want: 'EINVAL',
    says: 'nonzero insn_off 2 for the first func info record',
  },
  {
    name: 'one function too few',
    attr: funcs(0, 3),
    want: 'EINVAL',
    says: "number of funcs in func_info doesn't match number of subprogs",
  },
  {
    name: 'a function where none starts',
    attr: funcs(0, 3, 3, 4),
    want: 'EINVAL',
    says: "func_info BTF section doesn't match subprog layout in BPF program",
  },
  {
    name: 'one function twice',
    attr: funcs(0, 3, 0, 4),
    want: 'EINVAL',
    says: 'same or smaller insn offset (0) than previous func info record (0)',
  },
  { name: 'a function of a type that is none', attr: funcs(0, 99, 2, 4), want: 'EINVAL' },
  { name: 'a function that is an int', attr: funcs(0, 1, 2, 4), want: 'EINVAL' },
  {
    name: 'records of three bytes',
    attr: { ...funcs(0, 3, 2, 4), funcInfoRecSize: 3 },
    want: 'EINVAL',
  },
];

/** The errno with which a load ends, and the last line of its log. */
function load(system: System, attr: BpfAttr<'progLoad'>): { errno: string; said: string } {
  const logBuf = attr.logBuf ?? new Uint8Array(1 << 14);
  const insns = 'insns' in attr ? attr.insns : slots(...RETURN_ZERO);
  let errno = 'ok';
  try {
    const fd = system.bpf('progLoad', {
      progType: 1,
      insnCnt: (insns?.length ?? 0) / 8,
      license: 'GPL',
      logLevel: 1,
      logSize: logBuf.length,
      ...attr,
      insns,
      logBuf,
    });
    system.close(fd);
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    errno = error.errno;
  }
  const text = new TextDecoder().decode(logBuf.subarray(0, Math.max(0, logBuf.indexOf(0))));
  // Some messages of Linux end without a line break, and the statistics follow at once.
  const lines = text
    .replace(/processed \d+ insns.*$/m, '')
    .split('\n')
    .filter((line) => line !== '');
  return { errno, said: lines.at(-1) ?? '' };
}

const refused: ContractTest = {
  name: 'are refused',
  since: '6.18',
  run: (machine) => {
    const system = machine.spawn();
    const btf = functionTypes();
    const btfFd = system.bpf('btfLoad', { btf, btfSize: btf.length });
    for (const { name, attr, want, says } of cases) {
      const given = typeof attr === 'function' ? attr(btfFd) : attr;
      const { errno, said } = load(
        system,
        given.funcInfoCnt === undefined ? given : { ...given, progBtfFd: btfFd },
      );
      assert.equal(errno, want, name);
      if (says !== undefined) assert.equal(said, says, name);
    }
  },
};

const hostileTypes: ContractTest = {
  name: 'types that are none are refused',
  run: (machine) => {
    const system = machine.spawn();
    const good = functionTypes();
    const changes = [
      { name: 'magic', at: 0, to: 0 },
      { name: 'version', at: 2, to: 9 },
      { name: 'length of the header', at: 4, to: 200 },
      { name: 'length of the types', at: 12, to: 255 },
      { name: 'kind', at: 24 + 7, to: 0x1f },
      { name: 'the type that a function has', at: 24 + 36, to: 77 },
      { name: 'names that do not end', at: good.length - 1, to: 65 },
    ];
    for (const { name, at, to } of changes) {
      const btf = good.slice();
      btf[at] = to;
      assert.throws(() => system.bpf('btfLoad', { btf, btfSize: btf.length }), { name: 'BpfError' }, name);
    }
    for (let size = 0; size < good.length; size++) {
      const btf = good.slice(0, size);
      assert.throws(
        () => system.bpf('btfLoad', { btf, btfSize: size }),
        { name: 'BpfError' },
        `${size} bytes`,
      );
    }
  },
};

const arenas: ContractTest = {
  name: 'an arena has its place before a program names it',
  since: '6.9',
  run: (machine) => {
    const s = machine.spawn();
    const arena = (mapExtra: bigint): number =>
      s.bpf('mapCreate', { mapType: mapTypes.arena.id, maxEntries: 1, mapFlags: F_MMAPABLE, mapExtra });
    const named = (fd: number) => outcome(() => loadText(s, `r1 = map[fd:${fd}]\nr0 = 0\nexit`));
    assert.equal(named(arena(1n << 44n)), 'ok');
    const fd = arena(0n);
    assert.equal(named(fd), 'EINVAL');
    // There may be no memory behind it.
    outcome(() => s.mmap(fd, { length: 4096, offset: 0, writable: true }));
    assert.equal(named(fd), 'ok');
  },
};

export const badPrograms: readonly ContractTest[] = [refused, hostileTypes, arenas];
