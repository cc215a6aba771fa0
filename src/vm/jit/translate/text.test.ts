/**
 * The generated code of a few small programs, as text: what a change of the translation does is seen here.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestRuntime } from '../../../../test/support/runtime.ts';
import { assemble } from '../../../asm/index.ts';
import { moduleText } from '../wasm/index.ts';
import { translate } from './module.ts';

const pinned: { name: string; text: string; want: string }[] = [
  {
    name: 'a loop, with its fuel',
    text: 'r0 = 10\nl: r0 += -1\nif r0 != 0 goto l\nexit',
    want: `(func $main (param $ctx i32) (param $stack i32) (result i64)
  (local $fuel i64)
  local.get $ctx
  i64.extend_i32_u
  local.set $r1
  i32.const 4096
  i64.load offset=88
  local.set $fuel
  i64.const 10
  local.set $r0
  loop
    local.get $r0
    i64.const -1
    i64.add
    local.set $r0
    local.get $r0
    i64.const 0
    i64.ne
    if
      local.get $fuel
      i64.const 2
      i64.sub
      local.tee $fuel
      i64.const 0
      i64.lt_s
      if
        i32.const 0
        i32.const 1
        call $stop
        unreachable
      end
      br 1
    end
    i32.const 4096
    local.get $fuel
    i64.store offset=88
    local.get $r0
    return
  end
  unreachable
)`,
  },
  {
    name: 'the stack, a byte of the context, 32-bit operations',
    text: 'r2 = *(u8 *)(r1 + 3)\n*(u32 *)(r10 - 8) = r2\nw0 = w2\nw0 >>= 4\nexit',
    want: `(func $main (param $ctx i32) (param $stack i32) (result i64)
  local.get $ctx
  i64.extend_i32_u
  local.set $r1
  local.get $stack
  i64.const 0
  i64.store offset=504
  local.get $r1
  i32.wrap_i64
  i64.load8_u offset=3
  local.set $r2
  local.get $stack
  local.get $r2
  i64.store32 offset=504
  local.get $r2
  i32.wrap_i64
  i64.extend_i32_u
  local.set $r0
  local.get $r0
  i32.wrap_i64
  i32.const 4
  i32.shr_u
  i64.extend_i32_u
  local.set $r0
  local.get $r0
  return
  unreachable
)`,
  },
  {
    name: 'a call and a division',
    text: 'r1 = 7\ncall f\nexit\nf: r0 = 100\nr0 /= r1\nexit',
    want: `(func $main (param $ctx i32) (param $stack i32) (result i64)
  (local $fuel i64)
  local.get $ctx
  i64.extend_i32_u
  local.set $r1
  i32.const 4096
  i64.load offset=88
  local.set $fuel
  i64.const 7
  local.set $r1
  local.get $fuel
  i64.const 1
  i64.sub
  local.tee $fuel
  i64.const 0
  i64.lt_s
  if
    i32.const 0
    i32.const 3
    call $stop
    unreachable
  end
  local.get $r1
  local.get $r2
  local.get $r3
  local.get $r4
  local.get $r5
  local.get $stack
  i32.const 512
  i32.sub
  call $f3
  local.set $r0
  i32.const 4096
  local.get $fuel
  i64.store offset=88
  local.get $r0
  return
  unreachable
)
(func $f3 (param $r1 i64) (param $r2 i64) (param $r3 i64) (param $r4 i64) (param $r5 i64) (param $stack i32) (result i64)
  i64.const 100
  local.set $r0
  local.get $r1
  i64.eqz
  if (result i64)
    i64.const 0
  else
    local.get $r0
    local.get $r1
    i64.div_u
  end
  local.set $r0
  local.get $r0
  return
  unreachable
)`,
  },
  {
    name: 'a lookup in an array',
    text: 'r1 = MAP\nr2 = r10\nr2 += -8\ncall 1\nexit',
    want: `(func $main (param $ctx i32) (param $stack i32) (result i64)
  (local $index i32)
  local.get $ctx
  i64.extend_i32_u
  local.set $r1
  local.get $stack
  i64.const 0
  i64.store offset=504
  i64.const MAP
  local.set $r1
  local.get $stack
  i32.const 512
  i32.add
  i64.extend_i32_u
  local.set $r2
  local.get $r2
  i64.const -8
  i64.add
  local.set $r2
  local.get $r2
  i32.wrap_i64
  i32.load
  local.tee $index
  i32.const 8
  i32.lt_u
  if (result i64)
    local.get $index
    i32.const 16
    i32.mul
    i32.const VALUES
    i32.add
    i64.extend_i32_u
  else
    i64.const 0
  end
  local.set $r0
  local.get $r0
  return
  unreachable
)`,
  },
  {
    name: 'two ways that meet',
    text: 'r0 = 1\nif w1 s> 5 goto l\nr0 = 2\ngoto m\nl: r0 = be16 r0\nm: r0 ^= 3\nexit',
    want: `(func $main (param $ctx i32) (param $stack i32) (result i64)
  (local $swapped i32)
  local.get $ctx
  i64.extend_i32_u
  local.set $r1
  block
    i64.const 1
    local.set $r0
    local.get $r1
    i32.wrap_i64
    i32.const 5
    i32.gt_s
    if
      local.get $r0
      i32.wrap_i64
      local.set $swapped
      local.get $swapped
      i32.const 16711935
      i32.and
      i32.const 24
      i32.rotl
      local.get $swapped
      i32.const 8
      i32.rotl
      i32.const 16711935
      i32.and
      i32.or
      i32.const 16
      i32.shr_u
      i64.extend_i32_u
      local.set $r0
      br 1
    end
    i64.const 2
    local.set $r0
    br 0
  end
  local.get $r0
  i64.const 3
  i64.xor
  local.set $r0
  local.get $r0
  return
  unreachable
)`,
  },
  {
    name: 'a helper, an atomic',
    text: 'call 5\nlock *(u32 *)(r6 + 4) += r0\nexit',
    want: `(func $main (param $ctx i32) (param $stack i32) (result i64)
  (local $at i32)
  (local $old i64)
  local.get $ctx
  i64.extend_i32_u
  local.set $r1
  i32.const 4096
  local.get $r1
  i64.store offset=8
  i32.const 4096
  local.get $r2
  i64.store offset=16
  i32.const 4096
  local.get $r3
  i64.store offset=24
  i32.const 4096
  local.get $r4
  i64.store offset=32
  i32.const 4096
  local.get $r5
  i64.store offset=40
  i32.const 0
  call $helper3
  i32.const 4096
  i64.load
  local.set $r0
  local.get $r6
  i32.wrap_i64
  local.set $at
  local.get $at
  i64.load32_u offset=4
  local.set $old
  local.get $at
  local.get $old
  local.get $r0
  i64.add
  i64.store32 offset=4
  local.get $r0
  return
  unreachable
)`,
  },
  {
    name: 'an irreducible loop',
    text: 'if r1 == 0 goto b\na: r0 += 1\nif r0 == 9 goto out\nb: r0 += 2\ngoto a\nout: exit',
    want: `(func $main (param $ctx i32) (param $stack i32) (result i64)
  (local $fuel i64)
  (local $next i32)
  local.get $ctx
  i64.extend_i32_u
  local.set $r1
  i32.const 4096
  i64.load offset=88
  local.set $fuel
  loop
    block
      block
        block
          block
            local.get $next
            br_table 0 1 2 3 0
          end
          local.get $r1
          i64.eqz
          if
            i32.const 1
            local.set $next
            br 4
          end
          i32.const 2
          local.set $next
          br 3
        end
        local.get $r0
        i64.const 2
        i64.add
        local.set $r0
        i32.const 2
        local.set $next
        br 2
      end
      local.get $r0
      i64.const 1
      i64.add
      local.set $r0
      local.get $r0
      i64.const 9
      i64.eq
      if
        i32.const 3
        local.set $next
        br 2
      end
      local.get $fuel
      i64.const 2
      i64.sub
      local.tee $fuel
      i64.const 0
      i64.lt_s
      if
        i32.const 0
        i32.const 3
        call $stop
        unreachable
      end
      i32.const 1
      local.set $next
      br 1
    end
    i32.const 4096
    local.get $fuel
    i64.store offset=88
    local.get $r0
    return
  end
  unreachable
)`,
  },
  {
    name: 'a tail call',
    text: 'call 12\nr0 = 2\nexit',
    want: `(func $main (param $ctx i32) (param $stack i32) (result i64)
  (local $fuel i64)
  local.get $ctx
  i64.extend_i32_u
  local.set $r1
  i32.const 4096
  i64.load offset=88
  local.set $fuel
  i32.const 4096
  local.get $fuel
  i64.store offset=88
  local.get $r2
  i32.wrap_i64
  local.get $r2
  i64.const 32
  i64.shr_u
  i32.wrap_i64
  local.get $r3
  i32.wrap_i64
  i32.const 0
  call $tailCall
  if
    i32.const 4096
    i64.load
    return
  end
  i32.const 4096
  i64.load offset=88
  local.set $fuel
  i64.const 2
  local.set $r0
  i32.const 4096
  local.get $fuel
  i64.store offset=88
  local.get $r0
  return
  unreachable
)`,
  },
];

/** The functions of the module alone, without the locals of registers: imports are the same for all. */
function functionsText(text: string): string {
  const runtime = new TestRuntime();
  const map = runtime.map('array', { maxEntries: 8, valueSize: 12 });
  const insns = assemble(text.replace('MAP', `${map.address} ll`));
  const program = {
    name: 'p',
    progType: 0,
    insns,
    subprogs: [{ start: 0, end: 0, stackDepth: 8 }],
    maps: [map],
  };
  const { module, bytes } = translate(program, { scratch: 4096, view: runtime.memory.view });
  assert.ok(WebAssembly.validate(bytes));
  const lines = moduleText(module)
    .replaceAll(String(map.address), 'MAP')
    .replaceAll(String(map.valueAddress), 'VALUES')
    .split('\n');
  const noise = /^ {2}\(import|^ {4}\(local \$r\d i64\)$/;
  const end = lines.findIndex((line) => line.startsWith('  (func $run'));
  return lines
    .slice(1, end)
    .filter((line) => !noise.test(line))
    .map((line) => line.slice(2))
    .join('\n');
}

for (const { name, text, want } of pinned) {
  test(`the text of ${name}`, () => assert.equal(functionsText(text), want));
}
