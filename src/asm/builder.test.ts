import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SkepError } from '../base/index.ts';
import * as b from './builder.ts';
import { disassemble } from './index.ts';

const { program, r0, r1, r2, r3, r10, u8, u16, u32, u64, s16 } = b;

describe('each function makes its instruction', () => {
  const cases: { name: string; input: b.Line; want: string }[] = [
    { name: 'mov', input: b.mov(r0, 11), want: 'r0 = 11' },
    { name: 'mov32, unsigned', input: b.mov32(r0, 0xffffffff), want: 'w0 = -1' },
    { name: 'arsh', input: b.arsh(r1, r2), want: 'r1 s>>= r2' },
    { name: 'smod32', input: b.smod32(r1, 3), want: 'w1 s%= 3' },
    { name: 'neg', input: b.neg(r1), want: 'r1 = -r1' },
    { name: 'neg32', input: b.neg32(r1), want: 'w1 = -w1' },
    { name: 'movsx', input: b.movsx(r1, r2, 32), want: 'r1 = (s32)r2' },
    { name: 'movsx32', input: b.movsx32(r1, r2, 8), want: 'w1 = (s8)w2' },
    { name: 'be', input: b.be(r1, 16), want: 'r1 = be16 r1' },
    { name: 'bswap', input: b.bswap(r1, 64), want: 'r1 = bswap64 r1' },
    {
      name: 'cast',
      input: b.addrSpaceCast(r1, r2, { to: 0, from: 1 }),
      want: 'r1 = addr_space_cast(r2, 0, 1)',
    },
    { name: 'load', input: b.load(r1, s16(r2, 4)), want: 'r1 = *(s16 *)(r2 +4)' },
    { name: 'store', input: b.store(u64(r10, -8), r1), want: '*(u64 *)(r10 -8) = r1' },
    { name: 'store a number', input: b.store(u8(r1), 7), want: '*(u8 *)(r1 +0) = 7' },
    { name: 'atomicXor', input: b.atomicXor(u32(r1, 4), r2), want: 'lock *(u32 *)(r1 +4) ^= r2' },
    { name: 'fetchAdd', input: b.fetchAdd(u64(r1), r2), want: 'r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)' },
    { name: 'xchg', input: b.xchg(u32(r1), r2), want: 'r2 = atomic_xchg((u32 *)(r1 +0), r2)' },
    { name: 'cmpxchg', input: b.cmpxchg(u64(r1), r2), want: 'r0 = atomic64_cmpxchg((u64 *)(r1 +0), r0, r2)' },
    { name: 'loadAcquire', input: b.loadAcquire(r1, u16(r2)), want: 'r1 = load_acquire((u16 *)(r2 +0))' },
    { name: 'storeRelease', input: b.storeRelease(u64(r1), r2), want: 'store_release((u64 *)(r1 +0), r2)' },
    { name: 'jset', input: b.jset(r1, 4, 2), want: 'if r1 & 0x4 goto pc+2' },
    { name: 'jsle32', input: b.jsle32(r1, r2, -1), want: 'if w1 s<= w2 goto pc-1' },
    { name: 'ja', input: b.ja(3), want: 'goto pc+3' },
    { name: 'gotol', input: b.gotol(100000), want: 'gotol pc+100000' },
    { name: 'mayGoto', input: b.mayGoto(3), want: 'may_goto pc+3' },
    { name: 'call', input: b.call('map_lookup_elem'), want: 'call bpf_map_lookup_elem#1' },
    { name: 'callSubprog', input: b.callSubprog(2), want: 'call pc+2' },
    { name: 'callKfunc', input: b.callKfunc(7, 1), want: 'call kfunc#7[1]' },
    { name: 'exit', input: b.exit(), want: 'exit' },
    { name: 'ldImm64', input: b.ldImm64(r1, 0x1122334455667788n), want: 'r1 = 0x1122334455667788 ll' },
    { name: 'ldImm64, negative', input: b.ldImm64(r1, -1), want: 'r1 = 0xffffffffffffffff ll' },
    { name: 'ldMapFd', input: b.ldMapFd(r1, 3), want: 'r1 = map[fd:3]' },
    { name: 'ldMapValue', input: b.ldMapValue(r1, 3, 8), want: 'r1 = map[fd:3][0]+8' },
    { name: 'ldMapIdxValue', input: b.ldMapIdxValue(r1, 3), want: 'r1 = map[idx:3][0]+0' },
    { name: 'ldBtfId', input: b.ldBtfId(r1, 9), want: 'r1 = btf[id:9]' },
    { name: 'ldFunc', input: b.ldFunc(r1, 5), want: 'r1 = subprog[+5]' },
    { name: 'ldPacket', input: b.ldPacket(2, 12), want: 'r0 = *(u16 *)skb[12]' },
    { name: 'ldPacket with an index', input: b.ldPacket(1, 14, r3), want: 'r0 = *(u8 *)skb[r3 + 14]' },
  ];
  for (const { name, input, want } of cases) {
    test(name, () => assert.equal(disassemble(program(input)), `${want}\n`));
  }
});

test('labels, forwards and backwards, over two-slot loads', () => {
  const slots = program(
    b.label('again'),
    b.jeq(r1, 0, 'out'),
    b.ldImm64(r2, 1),
    b.ja('again'),
    b.callSubprog('sub'),
    b.label('out'),
    b.exit(),
    b.label('sub'),
    b.exit(),
  );
  const want = 'if r1 == 0x0 goto pc+4\nr2 = 0x1 ll\ngoto pc-4\ncall pc+1\nexit\nexit\n';
  assert.equal(disassemble(slots), want);
});

describe('what cannot be built', () => {
  const cases: { name: string; input: () => unknown; want: RegExp }[] = [
    { name: 'a missing label', input: () => program(b.ja('x')), want: /no label "x"/ },
    { name: 'a label twice', input: () => program(b.label('x'), b.label('x')), want: /twice/ },
    { name: '64 bits in a move', input: () => program(b.mov(r0, 0xffffffff)), want: /does not fit 32 bits/ },
    { name: 'a fraction', input: () => program(b.add(r0, 0.5)), want: /does not fit 32 bits/ },
    { name: 'an offset', input: () => program(b.load(r0, u8(r1, 40000))), want: /does not fit 16 bits/ },
    { name: 'a wide fraction', input: () => b.ldImm64(r0, 0.5), want: /no exact integer/ },
    { name: '65 bits', input: () => b.ldImm64(r0, 2n ** 64n), want: /does not fit 64 bits/ },
  ];
  for (const { name, input, want } of cases) {
    test(name, () => assert.throws(input, (error) => error instanceof SkepError && want.test(error.message)));
  }
});
