/** Live programs as lists and graphs: on the embedded kernel, and on Linux as bpftool prints them. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { whyNoLinux } from '../../test/support/linux.ts';
import { LinuxKernel } from '../linux-kernel.ts';
import { dotLines } from '../object/flow/dot.ts';
import { flowOf } from '../object/flow/graph.ts';
import { type CollectionSpec, openObject } from '../object/index.ts';
import { type LineOptions, listingLines, listProgram } from '../object/listing.ts';
import { Kernel } from './index.ts';
import { type ProgramImage, readProgramImage } from './program-image.ts';

const open = (name: string): CollectionSpec =>
  openObject(readFileSync(fileURLToPath(new URL(`../../fixtures/objects/${name}.bpf.o`, import.meta.url))));

const text = (image: ProgramImage, options: LineOptions = {}): string[] =>
  [...listingLines(listProgram(image, image.options), options)].map((line) => line.text);

test('on the embedded kernel: prototypes, source, ids of maps', () => {
  using kernel = new Kernel();
  using collection = kernel.load(open('globals'));
  const lines = text(readProgramImage(kernel.sys, collection.program('other').fd), { linum: true });
  const { id } = collection.maps['object.bss']!;
  assert.equal(lines[0], 'int other(struct __sk_buff * skb):');
  assert.match(lines[1]!, /^; return calls\+\+; \[file:\.\/globals\.bpf\.c line_num:\d+ line_col:\d+\]$/);
  assert.match(lines[2]!, new RegExp(`^ {3}0: \\(18\\) r\\d = map\\[id:${id}\\]\\[0\\]\\+\\d+$`));
});

const why = whyNoLinux() || (spawnSync('bpftool', ['version']).status !== 0 && 'no bpftool');

describe('as bpftool prog dump xlated', { skip: why }, () => {
  const cases: [string, string[]][] = [
    ['programs', ['first', 'second', 'loop', 'on_read']],
    ['globals', ['count', 'other']],
    ['types', ['use']],
  ];
  /** A record without text is a line of bpftool's, and none of ours. */
  const isEmpty = (line: string): boolean => /^; *(\[file:.* line_num:0 line_col:0\])?$/.test(line);

  for (const [object, names] of cases) {
    test(object, () => {
      const kernel = new LinuxKernel();
      const spec = open(object);
      using collection = kernel.load(spec);
      for (const name of names.filter((each) => each in collection.programs)) {
        const { fd, id } = collection.program(name);
        const image = readProgramImage(kernel.sys, fd);
        const theirs = (...words: string[]): string[] =>
          execFileSync('bpftool', ['prog', 'dump', 'xlated', 'id', String(id), ...words], {
            encoding: 'utf8',
          })
            .trimEnd()
            .split('\n')
            .filter((line) => !isEmpty(line));
        assert.deepEqual(text(image), theirs(), name);
        assert.deepEqual(text(image, { linum: true }), theirs('linum'), `${name} linum`);
        const bytes = (lines: string[]): string[] => lines.map((line) => line.trimEnd());
        assert.deepEqual(bytes(text(image, { opcodes: true })), bytes(theirs('opcodes')), `${name} opcodes`);
        // Here bpftool leaves out the names of subprograms, and draws an edge of a jump to the next slot twice.
        const flow = [...dotLines(flowOf(listProgram(image, image.options)))];
        const plain = (lines: string[]): string[] => [
          ...new Set(lines.map((line) => line.replace(/(call pc[+-]\d+)#\w+/, '$1'))),
        ];
        assert.deepEqual(plain(flow), plain(theirs('visual')), `${name} visual`);
      }
    });
  }
});
