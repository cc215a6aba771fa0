/** States, ranges and source lines as Linux prints them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readBtf } from '../../btf/index.ts';
import { refineImm, scalarAluImm, setConst, setUnknown, tnumIsConst } from '../domain/index.ts';
import { Frame, regAt, slotKinds, spilledAt } from '../state/frame.ts';
import { AUX0, AUX1, FRAME_NO, ID, OFF, PRECISE, REF_OBJ_ID, SMIN, TYPE, U32_MAX } from '../state/layout.ts';
import { regTypes, typeFlags } from '../state/reg-types.ts';
import {
  ID_ADD_CONST,
  SourceLines,
  type StateNames,
  signedText,
  stateText,
  unsignedText,
  violationLine,
} from './index.ts';

const names: StateNames = {
  map: (index) =>
    [
      { name: '', keySize: 8, valueSize: 48 },
      { name: 'test_map', keySize: 4, valueSize: 8 },
    ][index]!,
  btfType: (_object, id) => (id === 7 ? 'task_struct' : 'sk_buff'),
  iterator: () => 'num',
};

/** A frame of no registers; `set` gives one a type and words, as constant 0 or unknown. */
function newFrame(): Frame {
  const frame = new Frame(0);
  frame.frameNo = 0;
  return frame;
}

function set(
  frame: Frame,
  r: number,
  facts: { type: number; words?: Record<number, number>; value?: bigint | null },
): void {
  if (facts.value === null) setUnknown(frame, r);
  else setConst(frame, r, facts.value ?? 0n);
  frame.i32[2 * r + TYPE] = facts.type;
  for (const [word, value] of Object.entries(facts.words ?? {})) frame.i32[2 * r + Number(word)] = value;
}

const print = (frame: Frame): string => stateText({ frame, names, refs: [] });

test('registers', () => {
  const cases: { name: string; facts: Parameters<typeof set>[2]; want: string }[] = [
    { name: 'scalar', facts: { type: regTypes.scalar, value: null }, want: 'scalar()' },
    { name: 'small constant', facts: { type: regTypes.scalar, value: -5n }, want: '-5' },
    { name: 'large constant', facts: { type: regTypes.scalar, value: 32768n }, want: '0x8000' },
    { name: 'precise', facts: { type: regTypes.scalar, value: 7n, words: { [PRECISE]: 1 } }, want: 'P7' },
    {
      name: 'linked with an offset',
      facts: { type: regTypes.scalar, value: null, words: { [ID]: 3 | ID_ADD_CONST, [OFF]: 4 } },
      want: 'scalar(id=3+4)',
    },
    {
      name: 'linked with a negative offset',
      facts: { type: regTypes.scalar, value: null, words: { [ID]: 3 | ID_ADD_CONST, [OFF]: -1 } },
      want: 'scalar(id=3-1)',
    },
    { name: 'context', facts: { type: regTypes.ctx }, want: 'ctx()' },
    { name: 'context with offset', facts: { type: regTypes.ctx, words: { [OFF]: -1 } }, want: 'ctx(off=-1)' },
    { name: 'context with constant', facts: { type: regTypes.ctx, value: 8n }, want: 'ctx(imm=8)' },
    { name: 'frame pointer', facts: { type: regTypes.stack }, want: 'fp0' },
    { name: 'stack', facts: { type: regTypes.stack, words: { [OFF]: -16 }, value: 8n }, want: 'fp-8' },
    {
      name: "caller's stack",
      facts: { type: regTypes.stack, words: { [FRAME_NO]: 1, [OFF]: -8 } },
      want: 'fp[1]-8',
    },
    { name: 'map', facts: { type: regTypes.constMapPtr }, want: 'map_ptr(ks=8,vs=48)' },
    {
      name: 'map value or null',
      facts: { type: regTypes.mapValue | typeFlags.maybeNull, words: { [ID]: 2, [AUX0]: 1 } },
      want: 'map_value_or_null(id=2,map=test_map,ks=4,vs=8)',
    },
    {
      name: 'packet',
      facts: { type: regTypes.packet, words: { [OFF]: 8, [AUX0]: 14 } },
      want: 'pkt(off=8,r=14)',
    },
    { name: 'end of packet', facts: { type: regTypes.packetEnd }, want: 'pkt_end()' },
    {
      name: 'memory',
      facts: { type: regTypes.mem | typeFlags.ringbuf, words: { [REF_OBJ_ID]: 2, [OFF]: 0xcafe, [AUX0]: 8 } },
      want: 'ringbuf_mem(ref_obj_id=2,off=0xcafe,sz=8)',
    },
    {
      name: 'trusted object or null',
      facts: {
        type: regTypes.btfId | typeFlags.trusted | typeFlags.maybeNull,
        words: { [ID]: 1, [AUX0]: 7 },
      },
      want: 'trusted_ptr_or_null_task_struct(id=1)',
    },
    {
      name: 'unowned object',
      facts: { type: regTypes.btfId | typeFlags.nonOwnRef, words: { [AUX0]: 1 } },
      want: 'ptr_sk_buff(non_own_ref)',
    },
    { name: 'arena', facts: { type: regTypes.arena, value: null }, want: 'arena' },
    { name: 'function', facts: { type: regTypes.func }, want: 'func()' },
    {
      name: 'dynptr',
      facts: { type: regTypes.constDynptr, words: { [ID]: 1, [AUX0]: 1 } },
      want: 'dynptr_ptr(id=1,type=local)',
    },
  ];
  for (const { name, facts, want } of cases) {
    const frame = newFrame();
    set(frame, regAt(1), facts);
    assert.equal(print(frame), ` R1=${want}`, name);
  }
});

test('ranges', () => {
  const cases: { name: string; narrow: (frame: Frame, r: number) => void; want: string }[] = [
    {
      name: 'ends that are one number share it',
      narrow: (f, r) => scalarAluImm(f, r, 0xff, { alu: 'and', bits: 64 }),
      want: 'smin=smin32=0,smax=umax=smax32=umax32=255,var_off=(0x0; 0xff)',
    },
    {
      name: 'a word',
      narrow: (f, r) => scalarAluImm(f, r, 1, { alu: 'add', bits: 32 }),
      want: 'smin=0,smax=umax=0xffffffff,var_off=(0x0; 0xffffffff)',
    },
    {
      name: 'negative numbers share nothing with large ones',
      narrow: (f, r) => scalarAluImm(f, r, 63, { alu: 'arsh', bits: 64 }),
      want: 'smin=smin32=-1,smax=smax32=0',
    },
    {
      name: 'from -8 to -4',
      narrow: (f, r) => {
        scalarAluImm(f, r, 4, { alu: 'and', bits: 64 });
        scalarAluImm(f, r, -8, { alu: 'add', bits: 64 });
      },
      want:
        'smin=smin32=-8,smax=smax32=-4,umin=0xfffffffffffffff8,umax=0xfffffffffffffffc,' +
        'umin32=0xfffffff8,umax32=0xfffffffc,var_off=(0xfffffffffffffff8; 0x4)',
    },
    {
      name: 'not zero',
      narrow: (f, r) => refineImm(f, r, 0, { cond: 'ne', bits: 64, holds: true }),
      want: 'umin=1',
    },
    {
      name: 'large ends in hex',
      narrow: (f, r) => refineImm(f, r, 99, { cond: 'sgt', bits: 64, holds: true }),
      want: 'smin=umin=100,umax=0x7fffffffffffffff,var_off=(0x0; 0x7fffffffffffffff)',
    },
  ];
  for (const { name, narrow, want } of cases) {
    const frame = newFrame();
    set(frame, regAt(3), { type: regTypes.scalar, value: null });
    narrow(frame, regAt(3));
    assert.equal(print(frame), ` R3=scalar(${want})`, name);
    assert.ok(!tnumIsConst(frame.i32, 2 * regAt(3) + 8));
  }
});

test('numbers', () => {
  const cases: { value: bigint; signed: string; unsigned: string }[] = [
    { value: 0n, signed: '0', unsigned: '0' },
    { value: 32767n, signed: '32767', unsigned: '32767' },
    { value: 32768n, signed: '0x8000', unsigned: '32768' },
    { value: 65536n, signed: '0x10000', unsigned: '0x10000' },
  ];
  for (const { value, signed, unsigned } of cases) {
    assert.equal(signedText(value), signed);
    assert.equal(unsignedText(value), unsigned);
  }
  assert.equal(signedText(-32768n), '-32768');
  assert.equal(signedText(-32769n), '0xffffffffffff7fff');
});

test('a contradiction is told with all numbers', () => {
  const frame = newFrame();
  const r = regAt(7);
  setConst(frame, r, 1n);
  assert.equal(violationLine(frame, r, 'alu'), undefined);
  frame.u32[2 * r + U32_MAX] = 0;
  frame.i64[r + SMIN] = -1n;
  assert.equal(
    violationLine(frame, r, 'true_reg1'),
    'verifier bug: REG INVARIANTS VIOLATION (true_reg1): range bounds violation u64=[0x1, 0x1] ' +
      's64=[0xffffffffffffffff, 0x1] u32=[0x1, 0x0] s32=[0x1, 0x1] var_off=(0x1, 0x0)',
  );
});

test('the stack', () => {
  const frame = newFrame();
  frame.growTo(8);
  const { spill, misc, zero, invalid, dynptr, iter } = slotKinds;
  const fill = (slot: number, kinds: readonly number[]): void => frame.kinds.set(kinds, slot * 8);
  fill(0, Array(8).fill(spill));
  set(frame, spilledAt(0), { type: regTypes.scalar, value: 42n, words: { [PRECISE]: 1 } });
  fill(1, [misc, misc, zero, zero, spill, spill, spill, spill]);
  set(frame, spilledAt(1), { type: regTypes.scalar, value: 1n });
  fill(2, [zero, zero, zero, zero, invalid, invalid, invalid, invalid]);
  fill(3, Array(8).fill(invalid));
  fill(4, Array(8).fill(dynptr));
  fill(5, Array(8).fill(dynptr));
  set(frame, spilledAt(5), { type: 0, words: { [AUX0]: 2, [ID]: 4, [REF_OBJ_ID]: 5, [AUX1]: 6 } });
  fill(6, Array(8).fill(iter));
  set(frame, spilledAt(6), { type: 0, words: { [REF_OBJ_ID]: 3, [AUX1]: 1 | (2 << 2) } });
  fill(7, Array(8).fill(misc));
  assert.equal(
    print(frame),
    ' fp-8=P42 fp-16=mm001 fp-24=0000???? fp-48=dynptr_ringbuf(id=4,ref_id=5,dynptr_id=6)' +
      ' fp-56=iter_num(ref_id=3,state=active,depth=2) fp-64=mmmmmmmm',
  );
});

test('of a state: its frame, what changed, its references, its callback', () => {
  const frame = newFrame();
  frame.growTo(1);
  frame.kinds.fill(slotKinds.misc, 0, 8);
  for (const reg of [1, 2]) set(frame, regAt(reg), { type: regTypes.ctx });
  const refs = [{ id: 2 }, { id: 0 }, { id: 5 }];
  assert.equal(stateText({ frame, names, refs }), ' R1=ctx() R2=ctx() fp-8=mmmmmmmm refs=2,5');
  const changed = { regs: 0b100, slotsLow: 0, slotsHigh: 0 };
  assert.equal(stateText({ frame, names, refs: [], scratched: changed }), ' R2=ctx()');
  const slots = { regs: 0, slotsLow: 1, slotsHigh: 0 };
  assert.equal(stateText({ frame, names, refs: [], scratched: slots }), ' fp-8=mmmmmmmm');
  frame.frameNo = 1;
  assert.equal(
    stateText({ frame, names, refs: [], scratched: changed, suffix: ' cb' }),
    ' frame1: R2=ctx() cb',
  );
});

/** BTF without types, and where each string is in it. */
function stringsBtf(strings: readonly string[]): { btf: ReturnType<typeof readBtf>; at: number[] } {
  const text = new TextEncoder().encode(`\0${strings.join('\0')}\0`);
  const header = new DataView(new ArrayBuffer(24));
  header.setUint16(0, 0xeb9f, true);
  header.setUint8(2, 1);
  header.setUint32(4, 24, true);
  header.setUint32(20, text.length, true);
  const bytes = new Uint8Array([...new Uint8Array(header.buffer), ...text]);
  let next = 1;
  const at = strings.map((s) => {
    const here = next;
    next += s.length + 1;
    return here;
  });
  return { btf: readBtf(bytes), at };
}

const { btf, at } = stringsBtf(['src/dir/prog.c', '\tint x = 1;', 'return x;']);
const [file, first, second] = at as [number, number, number];

function lines(
  records: readonly (readonly [slot: number, file: number, text: number, line: number])[],
): SourceLines {
  const words = records.flatMap(([slot, name, text, line]) => [slot, name, text, line * 1024 + 5]);
  return new SourceLines(btf, new Uint8Array(new Uint32Array(words).buffer));
}

test('source lines are shown once, by line and not by record', () => {
  const shown = lines([
    [0, file, first, 10],
    [2, file, first, 10],
    [3, file, second, 11],
  ]);
  assert.equal(shown.show(0), '; int x = 1; @ prog.c:10\n');
  assert.equal(shown.show(1), '');
  assert.equal(shown.show(2), '');
  assert.equal(shown.show(3), '; return x; @ prog.c:11\n');
  assert.equal(shown.show(4), '');
  assert.equal(shown.show(0), '; int x = 1; @ prog.c:10\n');
  shown.restart();
  assert.equal(shown.show(1), '; int x = 1; @ prog.c:10\n');
  assert.deepEqual(shown.at(9), { file: 'prog.c', line: 11, text: 'return x;' });
  assert.equal(lines([[4, file, first, 1]]).at(3), undefined);
});

test('line_info is checked', () => {
  const context = { slots: 4, isInsn: (slot: number) => slot !== 2, subprogStarts: [0, 3] };
  const cases: { name: string; records: Parameters<typeof lines>[0]; want: string | undefined }[] = [
    {
      name: 'good',
      records: [
        [0, file, first, 1],
        [3, file, second, 2],
      ],
      want: undefined,
    },
    {
      name: 'out of order',
      records: [
        [1, file, first, 1],
        [1, file, first, 1],
      ],
      want: 'missing bpf_line_info for func#0',
    },
    {
      name: 'twice the same slot',
      records: [
        [0, file, first, 1],
        [0, file, first, 1],
      ],
      want: 'Invalid line_info[1].insn_off:0 (prev_offset:0 prog->len:4)',
    },
    {
      name: 'beyond the program',
      records: [[4, file, first, 1]],
      want: 'Invalid line_info[0].insn_off:4 (prev_offset:0 prog->len:4)',
    },
    {
      name: 'in the middle of an instruction',
      records: [
        [0, file, first, 1],
        [2, file, first, 1],
      ],
      want: 'Invalid insn code at line_info[1].insn_off',
    },
    {
      name: 'no such string',
      records: [[0, file, 9999, 1]],
      want: 'Invalid line_info[0].line_off or .file_name_off',
    },
    {
      name: 'a function without',
      records: [[0, file, first, 1]],
      want: 'missing bpf_line_info for 1 funcs starting from func#1',
    },
  ];
  for (const { name, records, want } of cases) assert.equal(lines(records).problem(context), want, name);
});
