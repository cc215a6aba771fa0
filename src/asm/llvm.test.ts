import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { anyInsnBytes } from '../../test/support/programs.ts';
import { fromHex, toHex } from '../base/index.ts';
import { decode, encode, type Insn } from '../isa/index.ts';
import { assemble, formatInsn } from './index.ts';

const tool = ['llvm-mc-19', 'llvm-mc'].find((name) => spawnSync(name, ['--version']).status === 0);
const skip = tool === undefined ? 'llvm-mc is not installed' : false;

function llvmMc(args: string[], input: string): string {
  const run = spawnSync(tool as string, ['-triple', 'bpfel', '-mcpu=v4', ...args], {
    input,
    encoding: 'utf8',
  });
  assert.equal(run.status, 0, run.stderr);
  return run.stdout;
}

/** What LLVM 19 reads and writes without losing anything. */
function isCommon(insn: Insn): boolean {
  switch (insn.op) {
    case 'loadAcquire':
    case 'storeRelease':
      return false;
    case 'ldimm64':
      return insn.pseudo === 'imm';
    case 'ldPacket':
      return insn.src === undefined || insn.imm === 0;
    case 'call':
      return insn.kind === 'helper';
    // LLVM knows casts, but from and to no other spaces than these.
    case 'addrSpaceCast':
      return insn.to <= 1 && insn.from <= 1;
    default:
      return true;
  }
}

const sample = (): Uint8Array[] =>
  fc.sample(anyInsnBytes, { numRuns: 3000, seed: 1 }).filter((bytes) => isCommon(decode(bytes)[0] as Insn));

const spacedHex = (bytes: Uint8Array): string => toHex(bytes, ' ').replace(/\S+/g, '0x$&');

describe('LLVM reads and writes the same', { skip }, () => {
  test('llvm-mc prints what formatInsn prints, and assemble reads it', () => {
    const all = sample();
    const lines = llvmMc(['-disassemble'], all.map(spacedHex).join('\n'))
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('.'));
    assert.equal(lines.length, all.length);
    all.forEach((bytes, i) => {
      const line = lines[i] as string;
      assert.equal(formatInsn(decode(bytes)[0] as Insn, { dialect: 'llvm' }), line, toHex(bytes));
      assert.equal(toHex(encode(assemble(line))), toHex(bytes), line);
    });
  });

  test('llvm-mc assembles what formatInsn prints', () => {
    // LLVM 19 takes a wide jump beyond 16 bits only as a label.
    const isNear = (insn: Insn): boolean => insn.op !== 'ja' || Math.abs(insn.off) < 0x8000;
    const all = sample().filter((bytes) => isNear(decode(bytes)[0] as Insn));
    const text = all.map((bytes) => formatInsn(decode(bytes)[0] as Insn, { dialect: 'llvm' })).join('\n');
    const encodings = [...llvmMc(['-show-encoding'], text).matchAll(/encoding: \[([0-9a-fx,]+)\]/g)];
    const got = encodings.map((found) => toHex(fromHex((found[1] as string).replace(/0x|,/g, ''))));
    assert.deepEqual(
      got,
      all.map((bytes) => toHex(bytes)),
    );
  });
});
