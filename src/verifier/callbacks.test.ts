/** Helpers that call functions of the program back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '../asm/index.ts';
import { BtfBuilder, type BtfType } from '../btf/index.ts';
import { encode } from '../isa/index.ts';
import { type MapFacts, type VerifierResult, verify } from './index.ts';

const SOCKET_FILTER = 1;

/** The BTF of two functions that take a pointer to nothing and return an int: the second is static. */
function btf(): { types: Uint8Array; ids: readonly number[] } {
  const builder = new BtfBuilder();
  const add = (type: BtfType): number => builder.add(type);
  const int = add({
    kind: 'int',
    name: 'int',
    size: 4,
    signed: true,
    char: false,
    bool: false,
    bitOffset: 0,
    bits: 32,
  });
  const proto = add({ kind: 'funcProto', name: '', type: int, parameters: [] });
  const main = add({ kind: 'func', name: 'main', type: proto, linkage: 1 });
  const callback = add({ kind: 'func', name: 'callback', type: proto, linkage: 0 });
  return { types: builder.build(), ids: [main, callback] };
}

function run(program: string, callback: number): VerifierResult {
  const { types, ids } = btf();
  const funcInfo = new Uint8Array(new Uint32Array([0, ids[0] as number, callback, ids[1] as number]).buffer);
  const array: MapFacts = {
    handle: {},
    id: 1,
    name: 'm',
    type: 2,
    keySize: 4,
    valueSize: 8,
    maxEntries: 4,
    flags: 0,
    frozen: false,
    address: 0x1000,
  };
  return verify({
    insns: encode(assemble(program)),
    progType: SOCKET_FILTER,
    expectedAttachType: 0,
    progFlags: 0,
    gplCompatible: true,
    capabilities: { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true },
    resolveMap: () => array,
    btf: types,
    funcInfo,
    logLevel: 0,
  });
}

/** Calls bpf_loop with a pointer to a stack slot; the callback, at slot 12, is `body`. */
const loop = (body: string, after = 'r0 = 0\nr9 = 0'): string => `
  *(u64 *)(r10 - 8) = 0
  r1 = 10
  r2 = subprog[+9]
  r3 = r10
  r3 += -8
  r4 = 0
  call 181
  ${after}
  r9 = 0
  exit
  ${body}`;

const cases = [
  { name: 'a callback that does nothing', input: loop('r0 = 0\nexit'), want: 'ok' },
  {
    name: 'a callback that writes its caller',
    input: loop('*(u64 *)(r2 + 0) = 1\nr0 = 0\nexit'),
    want: 'ok',
  },
  {
    name: 'what a callback may return',
    input: loop('r0 = 2\nexit'),
    want: 'At callback return the register R0 has smin=2 smax=2 should have been in [0, 1]',
  },
  {
    name: 'what it wrote is not what was there before',
    input: loop(
      '*(u64 *)(r2 + 0) = 7\nr0 = 0\nexit',
      'r1 = *(u64 *)(r10 - 8)\nr0 = 0\nif r1 == 0 goto +1\nr0 = *(u64 *)(r1 + 0)',
    ).replace('+9]', '+11]'),
    want: "R1 invalid mem access 'scalar'",
  },
  {
    name: 'registers of the caller are not its own',
    input: loop('r0 = r6\nexit'),
    want: 'R6 !read_ok',
  },
  {
    name: 'elements of a map',
    input: `
      r1 = map[fd:1]
      r2 = subprog[+6]
      r3 = 0
      r4 = 0
      call 164
      r0 = 0
      exit
      r1 = *(u32 *)(r2 + 0)
      r1 = *(u64 *)(r3 + 0)
      r0 = 1
      exit`,
    want: 'ok',
  },
  {
    name: 'keys are not written',
    input: `
      r1 = map[fd:1]
      r2 = subprog[+6]
      r3 = 0
      r4 = 0
      call 164
      r0 = 0
      exit
      *(u32 *)(r2 + 0) = 0
      r0 = 1
      exit`,
    want: 'write to change key R2 not allowed',
  },
];

for (const { name, input, want } of cases) {
  test(name, () => {
    const slots = encode(assemble(input)).length / 8;
    const callback = input.lastIndexOf('exit', input.lastIndexOf('exit') - 1);
    const body = encode(assemble(input.slice(callback + 4))).length / 8;
    const result = run(input, slots - body);
    assert.equal(result.ok ? 'ok' : result.message, want);
  });
}
