/**
 * `skep btf`: the types of an object or a kernel.
 */
import { SkepError } from '../base/errors.ts';
import { type Btf, dumpC, dumpRaw, readBtf } from '../btf/index.ts';
import { readElf } from '../elf/index.ts';
import { usageError } from './args.ts';
import { readInput } from './files.ts';
import type { Invocation } from './invocation.ts';
import { inFile } from './open.ts';

const formats = ['raw', 'c'] as const;
type Format = (typeof formats)[number];

/** bpftool's words in any order: `file FILE`, or just FILE, and `format raw|c`. */
function request(operands: readonly string[]): { path: string; format: Format } {
  const [words, paths] = [[...operands], [] as string[]];
  let format: Format = 'raw';
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === 'format' && words.length > 0) {
      const name = words.shift()!;
      const known = formats.find((each) => each === name);
      if (known === undefined) throw usageError(`there is no format '${name}'`, 'formats are raw and c');
      format = known;
    } else {
      paths.push(word === 'file' && words.length > 0 ? words.shift()! : word);
    }
  }
  const [path, extra] = paths;
  if (path === undefined)
    throw usageError("'skep btf dump' wants a FILE", 'skep btf dump FILE [format raw|c]');
  if (extra !== undefined) throw usageError(`unexpected argument '${extra}' for 'skep btf dump'`);
  return { path, format };
}

/** The BTF of an ELF file, or the bytes themselves. */
function btfOf(bytes: Uint8Array): Btf {
  const isElf = bytes[0] === 0x7f && bytes[1] === 0x45;
  if (!isElf) return readBtf(bytes);
  const section = readElf(bytes).section('.BTF');
  if (section !== undefined) return readBtf(section.data);
  throw new SkepError({ code: 'btf', message: 'it has no section .BTF', hint: 'compile with -g' });
}

/** The raw BTF of the kernel that `--btf` gives; undefined without it. */
export function givenKernelBtf(invocation: Invocation): Uint8Array | undefined {
  const path = invocation.value('btf');
  if (path === undefined) return undefined;
  const bytes = readInput(path);
  return inFile(path, () => btfOf(bytes).bytes);
}

/** Lines that are written together: a kernel has 300 thousand. */
const batch = 4096;

export async function dump(invocation: Invocation): Promise<number> {
  const { path, format } = request(invocation.operands);
  const bytes = readInput(path);
  inFile(path, () => {
    const btf = btfOf(bytes);
    if (invocation.json) {
      const types = Array.from({ length: btf.typeCount - 1 }, (_, i) => ({ id: i + 1, ...btf.type(i + 1) }));
      invocation.printJson(types);
      return;
    }
    let lines: string[] = [];
    for (const line of format === 'c' ? dumpC(btf) : dumpRaw(btf)) {
      lines.push(line);
      if (lines.length < batch) continue;
      invocation.print(lines.join('\n'));
      lines = [];
    }
    if (lines.length > 0) invocation.print(lines.join('\n'));
  });
  return 0;
}
