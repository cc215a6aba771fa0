import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '../asm/index.ts';
import { encode } from '../isa/index.ts';
import { type Accepted, type InsnFacts, type MapFacts, verify } from './index.ts';

const map = (type: number): MapFacts => ({
  handle: { type },
  id: 1,
  name: '',
  type,
  keySize: 4,
  valueSize: 8,
  maxEntries: 4,
  flags: 0,
  frozen: false,
  address: 0x1000,
});
const maps: Readonly<Record<number, MapFacts>> = { 1: map(2), 2: map(2) };

function accepted(program: string): Accepted {
  const result = verify({
    insns: encode(assemble(program)),
    progType: 6,
    expectedAttachType: 0,
    progFlags: 0,
    gplCompatible: true,
    capabilities: { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true },
    resolveMap: (fd) => maps[fd] ?? 'EBADF',
    logLevel: 0,
  });
  assert.ok(result.ok, result.ok ? '' : result.message);
  return result;
}

const lookup = (key: string, setup = 'r1 = map[fd:1]'): string => `
  *(u32 *)(r10 - 8) = ${key}
  r2 = r10
  r2 += -8
  ${setup}
  call 1
  r0 = 0
  exit`;

interface Case {
  readonly name: string;
  readonly program: string;
  readonly got: (facts: InsnFacts) => unknown;
  readonly want: unknown;
}

const bits = (mask: number | undefined): number[] =>
  Array.from({ length: 11 }, (_, reg) => reg).filter((reg) => (((mask ?? 0) >> reg) & 1) === 1);

const cases: readonly Case[] = [
  {
    name: 'the context and the frame pointer are pointers on entry',
    program: 'r0 = 0\nexit',
    got: (facts) => [bits(facts.pointers[0]), bits(facts.numbers[0]), bits(facts.numbers[1])],
    want: [[1, 10], [], [0]],
  },
  {
    name: 'a register that is a pointer on one path and a number on the other is neither',
    program: `
      r2 = *(u32 *)(r1 + 12)
      r3 = r10
      if r2 == 0 goto +1
      r3 = 7
      r0 = 0
      exit`,
    got: (facts) => [3, 4].map((slot) => [bits(facts.pointers[slot]), bits(facts.numbers[slot])]),
    want: [
      [[1, 3, 10], [2]],
      [[1, 10], [2]],
    ],
  },
  {
    name: 'a jump that is always taken',
    program: 'r0 = 1\nif r0 == 1 goto +1\nr0 = 2\nexit',
    got: (facts) => [[...facts.alwaysJumps], [...facts.neverJumps]],
    want: [[1], []],
  },
  {
    name: 'a jump that goes either way',
    program: 'r0 = *(u32 *)(r1 + 12)\nif r0 == 1 goto +1\nr0 = 2\nexit',
    got: (facts) => [[...facts.alwaysJumps], [...facts.neverJumps]],
    want: [[], []],
  },
  {
    name: 'a lookup in one map with one key',
    program: lookup('3'),
    got: (facts) => [facts.callMaps.get(5) === maps[1]?.handle, facts.constantKeys.get(5)],
    want: [true, 3],
  },
  {
    name: 'a lookup with a key that is not known',
    program: lookup('r3', 'r1 = map[fd:1]').replace('*(u32', 'r3 = *(u32 *)(r1 + 12)\n*(u32'),
    got: (facts) => [facts.callMaps.has(6), facts.constantKeys.has(6)],
    want: [true, false],
  },
  {
    name: 'a lookup in either of two maps',
    program: lookup('3', 'r3 = *(u32 *)(r1 + 12)\nr1 = map[fd:1]\nif r3 == 0 goto +2\nr1 = map[fd:2]'),
    got: (facts) => facts.callMaps.size,
    want: 0,
  },
  {
    name: 'offsets into the context and the stack',
    program: 'r0 = *(u32 *)(r1 + 12)\nr2 = r10\nr2 += -16\n*(u64 *)(r2 + 8) = r0\nexit',
    got: (facts) => [facts.regions.get(0), facts.regions.get(3)],
    want: [
      { kind: 'ctx', offset: 12 },
      { kind: 'stack', offset: -8 },
    ],
  },
  {
    name: 'an offset into the stack that differs by path',
    program: `
      r0 = *(u32 *)(r1 + 12)
      r2 = r10
      if r0 == 0 goto +1
      r2 += -8
      *(u64 *)(r2 - 8) = r0
      exit`,
    got: (facts) => facts.regions.has(4),
    want: false,
  },
];

for (const { name, program, got, want } of cases) {
  test(name, () => assert.deepEqual(got(accepted(program).facts), want));
}
