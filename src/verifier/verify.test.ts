import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assemble } from '../asm/index.ts';
import { encode } from '../isa/index.ts';
import { type Capabilities, type MapFacts, type VerifierInput, verify } from './index.ts';

const root: Capabilities = { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true };

function map(facts: Partial<MapFacts>): MapFacts {
  const base = {
    handle: facts,
    id: 1,
    name: '',
    type: 1,
    keySize: 4,
    valueSize: 16,
    maxEntries: 4,
    flags: 0,
  };
  return { ...base, frozen: false, address: 0x1000, ...facts };
}

/** By fd: a hash, an array, a program array, an array of one element with an address. */
const maps: Readonly<Record<number, MapFacts>> = {
  1: map({}),
  2: map({ type: 2 }),
  3: map({ type: 3, valueSize: 4 }),
  4: map({ type: 2, maxEntries: 1, valueAddress: 0x2000 }),
  5: map({ flags: 1 << 7 }),
};

const SOCKET_FILTER = 1;
const SCHED_CLS = 3;
const XDP = 6;
const CGROUP_SKB = 8;

function input(program: string, more: Partial<VerifierInput> = {}): VerifierInput {
  return {
    insns: encode(assemble(program)),
    progType: XDP,
    expectedAttachType: 0,
    progFlags: 0,
    gplCompatible: true,
    capabilities: root,
    resolveMap: (fd) => maps[fd] ?? 'EBADF',
    logLevel: 1,
    ...more,
  };
}

interface Case {
  readonly name: string;
  readonly program: string;
  /** 'ok', or the last message. */
  readonly want: string;
  readonly errno?: string;
  readonly with?: Partial<VerifierInput>;
}

function check(cases: readonly Case[]): void {
  for (const { name, program, want, errno, with: more } of cases) {
    test(name, () => {
      const result = verify(input(program, more));
      if (want === 'ok') {
        assert.equal(result.ok ? 'ok' : result.log, 'ok');
        return;
      }
      assert.equal(result.ok ? 'accepted' : result.message, want);
      if (!result.ok && errno !== undefined) assert.equal(result.errno, errno);
    });
  }
}

const lookup = (fd: number, key = '*(u32 *)(r10 - 4) = 0'): string => `
  ${key}
  r2 = r10
  r2 += -4
  r1 = map[fd:${fd}]
  call 1`;

check([
  { name: 'the smallest program', program: 'r0 = 11\nexit', want: 'ok' },
  { name: 'no result', program: 'exit', want: 'R0 !read_ok', errno: 'EACCES' },
  { name: 'a register that nobody wrote', program: 'r0 = r3\nexit', want: 'R3 !read_ok' },
  {
    name: 'the frame pointer is not written',
    program: 'r10 = 0\nr0 = 0\nexit',
    want: 'frame pointer is read only',
  },
  { name: 'no end', program: 'r0 = 0', want: 'last insn is not an exit or jmp', errno: 'EINVAL' },
  { name: 'unreachable', program: 'r0 = 0\nexit\nr0 = 1\nexit', want: 'unreachable insn 2', errno: 'EINVAL' },
  {
    name: 'a jump out',
    program: 'goto +5\nexit',
    want: 'jump out of range from insn 0 to 6',
    errno: 'EINVAL',
  },
  {
    name: 'a loop without progress',
    program: 'r0 = 0\nl:\ngoto l\nexit',
    want: 'unreachable insn 2',
  },
  {
    name: 'a loop that counts up to a bound',
    program: 'r0 = 0\nl:\nr0 += 1\nif r0 < 100 goto l\nexit',
    want: 'ok',
  },
  { name: 'division by a zero', program: 'r0 = 1\nr0 /= 0\nexit', want: 'div by zero', errno: 'EINVAL' },
  { name: 'a shift too far', program: 'r0 = 1\nr0 <<= 64\nexit', want: 'invalid shift 64', errno: 'EINVAL' },
]);

check([
  {
    name: 'spill and fill',
    program: '*(u64 *)(r10 - 8) = r1\nr0 = 0\nr2 = *(u64 *)(r10 - 8)\nr0 = *(u32 *)(r2 + 12)\nexit',
    want: 'ok',
  },
  {
    name: 'above the stack',
    program: '*(u64 *)(r10 + 0) = 1\nr0 = 0\nexit',
    want: 'invalid write to stack R10 off=0 size=8',
  },
  {
    name: 'below the stack',
    program: 'r0 = *(u64 *)(r10 - 520)\nexit',
    want: 'invalid read from stack R10 off=-520 size=8',
  },
  {
    name: 'unaligned',
    program: '*(u32 *)(r10 - 6) = 1\nr0 = 0\nexit',
    want: 'misaligned stack access off 0+0+-6 size 4',
  },
  {
    name: 'half a pointer spilled',
    program: '*(u32 *)(r10 - 8) = r1\nr0 = 0\nexit',
    want: 'invalid size of register spill',
  },
  {
    name: 'half a pointer filled',
    program: '*(u64 *)(r10 - 8) = r1\nr0 = *(u32 *)(r10 - 8)\nexit',
    want: 'invalid size of register fill',
  },
  {
    name: 'a variable offset within the stack',
    program:
      '*(u64 *)(r10 - 16) = 0\n*(u64 *)(r10 - 8) = 0\ncall 7\nr0 &= 8\nr2 = r10\nr2 += -16\nr2 += r0\nr0 = *(u64 *)(r2 + 0)\nexit',
    want: 'ok',
  },
]);

const bounded = (size: number): string => `
  r2 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r4 = r2
  r4 += ${size}
  if r4 > r3 goto out
  r0 = *(u16 *)(r2 + 12)
out:
  r0 = 2
  exit`;

check([
  { name: 'packet bytes after a check', program: bounded(14), want: 'ok' },
  {
    name: 'packet bytes beyond the check',
    program: bounded(13),
    want: 'R2 offset is outside of the packet',
    errno: 'EACCES',
  },
  {
    name: 'packet bytes without a check',
    program: 'r2 = *(u32 *)(r1 + 0)\nr0 = *(u8 *)(r2 + 0)\nexit',
    want: 'R2 offset is outside of the packet',
  },
  {
    name: 'a helper that moves the packet ends pointers into it',
    program: `r6 = r1
      r7 = *(u32 *)(r1 + 0)
      r3 = *(u32 *)(r1 + 4)
      r4 = r7
      r4 += 14
      if r4 > r3 goto out
      r1 = r6
      r2 = 0
      call 44
      r0 = *(u8 *)(r7 + 0)
    out:
      r0 = 2
      exit`,
    want: "R7 invalid mem access 'scalar'",
  },
  {
    name: 'a socket filter has no packet pointers',
    program: 'r0 = *(u32 *)(r1 + 76)\nexit',
    want: 'invalid bpf_context access off=76 size=4',
    with: { progType: SOCKET_FILTER },
  },
  {
    name: 'a narrow load of the context',
    program: 'r0 = *(u8 *)(r1 + 16)\nexit',
    want: 'ok',
    with: { progType: SOCKET_FILTER },
  },
  {
    name: 'a field that is not written',
    program: '*(u32 *)(r1 + 0) = 1\nr0 = 0\nexit',
    want: 'invalid bpf_context access off=0 size=4',
    with: { progType: SCHED_CLS },
  },
  {
    name: 'a field that is',
    program: '*(u32 *)(r1 + 8) = 1\nr0 = 0\nexit',
    want: 'ok',
    with: { progType: SCHED_CLS },
  },
  {
    name: 'a moved context',
    program: 'r1 += 4\nr0 = *(u32 *)(r1 + 0)\nexit',
    want: 'dereference of modified ctx ptr R1 off=4 disallowed',
  },
]);

check([
  {
    name: 'a value after a null check',
    program: `${lookup(1)}\nif r0 == 0 goto out\nr0 = *(u64 *)(r0 + 8)\nout:\nr0 = 0\nexit`,
    want: 'ok',
  },
  {
    name: 'a value without one',
    program: `${lookup(1)}\nr0 = *(u64 *)(r0 + 8)\nexit`,
    want: "R0 invalid mem access 'map_value_or_null'",
  },
  {
    name: 'an element of an array at a constant index',
    program: `${lookup(2)}\nr0 = *(u64 *)(r0 + 8)\nexit`,
    want: 'ok',
  },
  {
    name: 'an element beyond the array may be missing',
    program: `${lookup(2, '*(u32 *)(r10 - 4) = 4')}\nr0 = *(u64 *)(r0 + 8)\nexit`,
    want: "R0 invalid mem access 'map_value_or_null'",
  },
  {
    name: 'beyond a value',
    program: `${lookup(1)}\nif r0 == 0 goto out\nr0 = *(u64 *)(r0 + 16)\nout:\nr0 = 0\nexit`,
    want: 'R0 min value is outside of the allowed memory range',
  },
  {
    name: 'a bounded index into a value',
    program: `${lookup(1)}\nif r0 == 0 goto out\nr1 = *(u32 *)(r0 + 0)\nif r1 > 12 goto out\nr0 += r1\nr0 = *(u32 *)(r0 + 0)\nout:\nr0 = 0\nexit`,
    want: 'ok',
  },
  {
    name: 'an index one too far',
    program: `${lookup(1)}\nif r0 == 0 goto out\nr1 = *(u32 *)(r0 + 0)\nif r1 > 13 goto out\nr0 += r1\nr0 = *(u32 *)(r0 + 0)\nout:\nr0 = 0\nexit`,
    want: 'R0 max value is outside of the allowed memory range',
  },
  {
    name: 'a bound that only one path has',
    program: `${lookup(1)}\nif r0 == 0 goto out\nr1 = *(u32 *)(r0 + 0)\nr2 = *(u32 *)(r0 + 4)\nif r2 == 1 goto use\nif r1 > 12 goto out\nuse:\nr0 += r1\nr0 = *(u8 *)(r0 + 0)\nout:\nr0 = 0\nexit`,
    want: 'R0 unbounded memory access, make sure to bounds check any such access',
  },
  {
    name: 'a read-only map',
    program: `${lookup(5)}\nif r0 == 0 goto out\n*(u64 *)(r0 + 0) = 1\nout:\nr0 = 0\nexit`,
    want: 'write into map forbidden, value_size=16 off=0 size=8',
  },
  {
    name: 'a map that is none',
    program: `${lookup(9)}\nr0 = 0\nexit`,
    want: 'fd 9 is not pointing to valid bpf_map',
    errno: 'EBADF',
  },
  {
    name: 'a lookup in a program array',
    program: `${lookup(3)}\nr0 = 0\nexit`,
    want: 'cannot pass map_type 3 into func bpf_map_lookup_elem#1',
    errno: 'EINVAL',
  },
  {
    name: 'two pointers added',
    program: 'r0 = r10\nr0 += r1\nexit',
    want: 'R0 pointer += pointer prohibited',
  },
  {
    name: 'bits of a pointer',
    program: 'r1 &= 7\nr0 = 0\nexit',
    want: 'R1 bitwise operator &= on pointer prohibited',
  },
  {
    name: 'half a pointer moved',
    program: 'w1 += 1\nr0 = 0\nexit',
    want: 'R1 32-bit pointer arithmetic prohibited',
  },
]);

check([
  {
    name: 'a subprogram',
    program: 'r1 = 3\ncall twice\nexit\ntwice:\nr0 = r1\nr0 += r0\nexit',
    want: 'ok',
  },
  {
    name: 'a subprogram leaves r1 unreadable',
    program: 'r1 = 3\ncall f\nr0 = r1\nexit\nf:\nr0 = 0\nexit',
    want: 'R1 !read_ok',
  },
  {
    name: "a pointer to the callee's stack",
    program: 'call f\nr0 = 0\nexit\nf:\nr0 = r10\nexit',
    want: 'cannot return stack pointer to the caller',
    errno: 'EINVAL',
  },
  {
    name: 'recursion',
    program: 'call f\nexit\nf:\ncall f\nr0 = 0\nexit',
    want: 'the call stack of 9 frames is too deep',
    errno: 'E2BIG',
  },
  {
    name: 'stacks that do not fit together',
    program: '*(u64 *)(r10 - 400) = 0\ncall f\nexit\nf:\n*(u64 *)(r10 - 200) = 0\nr0 = 0\nexit',
    want: 'combined stack size of 2 calls is 608. Too large',
    errno: 'EACCES',
  },
  {
    name: 'a helper of other programs',
    program: 'call 44\nexit',
    want: 'program of this type cannot use helper bpf_xdp_adjust_head#44',
    with: { progType: SOCKET_FILTER },
    errno: 'EINVAL',
  },
  { name: 'no such helper', program: 'call 4242\nexit', want: 'invalid func unknown#4242', errno: 'EINVAL' },
  {
    name: 'a helper under the GPL',
    program: '*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\nr2 = 8\ncall 6\nexit',
    want: 'cannot call GPL-restricted function from non-GPL compatible program',
    with: { gplCompatible: false },
  },
  { name: 'a wrong argument', program: 'r1 = 1\nr2 = 0\ncall 44\nexit', want: 'R1 type=scalar expected=ctx' },
  {
    name: 'a size without bound',
    program: 'r6 = r1\ncall 7\nr4 = r0\nr1 = r6\nr2 = 0\nr3 = r10\nr3 += -8\ncall 26\nr0 = 0\nexit',
    want: "R4 min value is negative, either use unsigned or 'var &= const'",
    with: { progType: SOCKET_FILTER },
  },
  {
    name: 'a socket that is not given back',
    program: `*(u64 *)(r10 - 16) = 0\n*(u64 *)(r10 - 8) = 0\nr2 = r10\nr2 += -16\nr3 = 12\nr4 = 0\nr5 = 0\ncall 84\nr0 = 0\nexit`,
    want: 'BPF_EXIT instruction in main prog would lead to reference leak',
    errno: 'EINVAL',
  },
  {
    name: 'a result out of range',
    program: 'r0 = 2\nexit',
    want: 'At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]',
    with: { progType: CGROUP_SKB },
    errno: 'EINVAL',
  },
]);

check([
  {
    name: 'leaks: a pointer as result',
    program: 'r0 = r10\nexit',
    want: 'R0 leaks addr as return value',
    with: { progType: SOCKET_FILTER, capabilities: { ...root, perfmon: false } },
  },
  {
    name: 'leaks: a pointer into a map',
    program: `${lookup(1)}\nif r0 == 0 goto out\n*(u64 *)(r0 + 0) = r10\nout:\nr0 = 0\nexit`,
    want: 'R10 leaks addr into map',
    with: { progType: SOCKET_FILTER, capabilities: { ...root, perfmon: false } },
  },
  {
    name: 'speculation: an addition that two paths would mask differently, told apart though the number does not matter',
    program: `r7 = *(u32 *)(r1 + 0)\nif r7 < 5 goto +0\n${lookup(1)}\nif r0 == 0 goto out\nif r7 >= 8 goto out\nr0 += r7\nout:\nr0 = 0\nexit`,
    want: 'R0 tried to add from different maps, paths or scalars, pointer arithmetic with it prohibited for !root',
    with: { progType: SOCKET_FILTER, capabilities: { ...root, perfmon: false } },
  },
]);

// Linux 6.18 accepts these: it takes the byte at fp-8, 255, for the -1 that its sign extension is.
check([
  {
    name: 'a spilled byte and its sign extension are not the same number',
    program:
      'r9 = *(u32 *)(r1 + 0)\nr9 &= 255\n*(u64 *)(r10 - 8) = r9\nr8 = *(s8 *)(r10 - 8)\nif r8 != -1 goto out\nr1 = *(u64 *)(r10 - 8)\nr1 += r10\nr0 = *(u8 *)(r1 + 0)\nout:\nr0 = 0\nexit',
    want: 'invalid variable-offset read from stack R1 var_off=(0x0; 0xff) off=0 size=1',
    with: { progType: SOCKET_FILTER },
  },
]);

test('a loop that comes back to the same state', () => {
  const result = verify(input('r0 = r1\nl:\nr2 = r0\nr3 = r0\nif r1 < r0 goto l\nr0 = 0\nexit'));
  assert.ok(!result.ok);
  assert.equal(result.errno, 'EINVAL');
  assert.match(
    result.log,
    /infinite loop detected at insn 3\ncur state: R0=ctx\(\).*\nold state: R0=ctx\(\)/,
  );
});

test('the log of a rejected program', () => {
  const result = verify(input('r0 = 1\nr2 = r0\nif r2 == 5 goto +1\nr0 = *(u64 *)(r2 + 0)\nexit'));
  assert.equal(
    result.log,
    `0: R1=ctx() R10=fp0
0: (b7) r0 = 1                        ; R0=1
1: (bf) r2 = r0                       ; R0=1 R2=1
2: (15) if r2 == 0x5 goto pc+1        ; R2=1
3: (79) r0 = *(u64 *)(r2 +0)
R2 invalid mem access 'scalar'
processed 4 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`,
  );
});

test('an accepted program comes back with addresses in it', () => {
  const result = verify(input('r1 = map[fd:1]\nr2 = map[fd:4][0]+8\nr0 = *(u64 *)(r2 + 0)\nexit'));
  assert.ok(result.ok);
  const load = (slot: number): unknown => {
    const insn = result.insns[slot];
    return insn?.op === 'ldimm64' ? [insn.pseudo, insn.lo, insn.hi] : insn;
  };
  assert.deepEqual(load(0), ['imm', 0x1000, 0]);
  assert.deepEqual(load(2), ['imm', 0x2008, 0]);
  assert.equal(result.maps.length, 2);
  assert.equal(result.tailCalls, false);
});

test('dead code is gone, stacks are measured', () => {
  const result = verify(input('*(u64 *)(r10 - 24) = 0\nr0 = 0\nif r0 == 0 goto +1\nr0 = 1\nexit'));
  assert.ok(result.ok);
  assert.equal(result.insns[3], undefined);
  assert.deepEqual(result.subprogs, [{ name: undefined, start: 0, end: 5, stackDepth: 24 }]);
});

test('how far into the context a program reaches', () => {
  const result = verify(input('r0 = *(u32 *)(r1 + 12)\nexit'));
  assert.ok(result.ok);
  assert.equal(result.maxCtxOffset, 16);
});

test('subprograms that call subprograms', () => {
  const chain = 'call f\nexit\nf:\ncall g\nexit\ng:\nr0 = 0\nexit';
  assert.ok(verify(input(chain)).ok);
});

test('deep frames of tracing programs have stacks of their own', () => {
  const deep = '*(u8 *)(r10 - 473) = 4\ncall f\nexit\nf:\n*(u32 *)(r10 - 40) = 2\nr0 = 0\nexit';
  const RAW_TRACEPOINT = 17;
  assert.ok(verify(input(deep, { progType: RAW_TRACEPOINT })).ok);
  const result = verify(input(deep));
  assert.equal(result.ok ? 'ok' : result.message, 'combined stack size of 2 calls is 528. Too large');
});

test('at level 0 there is a message but no log', () => {
  const result = verify(input('exit', { logLevel: 0 }));
  assert.ok(!result.ok);
  assert.equal(result.message, 'R0 !read_ok');
  assert.equal(result.log, '');
});

test('a program of nothing is refused', () => {
  const result = verify(input('exit', { insns: new Uint8Array(0) }));
  assert.equal(result.ok ? '' : result.errno, 'E2BIG');
});
