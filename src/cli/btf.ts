/**
 * `skep btf`: the types of an object or a kernel.
 */
import { SkepError } from '../base/errors.ts';
import { type Btf, dumpC, dumpRaw, dumpRawJson, readBtf } from '../btf/index.ts';
import { readElfSections } from '../elf/index.ts';
import { usageError } from './args.ts';
import { type BtfRequest, parseBtfRequest } from './btf-request.ts';
import { readInput } from './files.ts';
import type { Invocation } from './invocation.ts';
import { openKernel } from './kernel.ts';
import { findMaps } from './live-maps.ts';
import { findProgram } from './live-programs.ts';
import { inFile } from './open.ts';

/** Where Linux shows the types of itself and of its modules. */
const sysfs = '/sys/kernel/btf/';
const vmlinux = `${sysfs}vmlinux`;

/** The BTF of an ELF file, or the bytes themselves. */
function btfOf(bytes: Uint8Array, base?: Btf): Btf {
  const isElf = bytes[0] === 0x7f && bytes[1] === 0x45;
  if (!isElf) return readBtf(bytes, { base });
  const sections = readElfSections(bytes);
  const section = sections.find(({ name }) => name === '.BTF');
  if (section === undefined)
    throw new SkepError({ code: 'btf', message: 'it has no section .BTF', hint: 'compile with -g' });
  // A module of newer kernels carries what it needs of the kernel's types.
  const own = sections.find(({ name }) => name === '.BTF.base');
  return readBtf(section.data, { base: base ?? (own && readBtf(own.data)) });
}

function btfOfFile(path: string, basePath: string | undefined): Btf {
  const below = basePath ?? (path.startsWith(sysfs) && path !== vmlinux ? vmlinux : undefined);
  const base = below === undefined ? undefined : btfOfFile(below, undefined);
  const bytes = readInput(path);
  return inFile(path, () => btfOf(bytes, base));
}

/** The raw BTF of the kernel that `--btf` gives; undefined without it. */
export function givenKernelBtf(invocation: Invocation): Uint8Array | undefined {
  const path = invocation.value('btf');
  if (path === undefined) return undefined;
  const bytes = readInput(path);
  return inFile(path, () => btfOf(bytes).bytes);
}

/** What is dumped: types of it, or all. */
interface Chosen {
  readonly btf: Btf;
  readonly ids?: readonly number[];
}

/** What a running kernel has. */
async function chosenOfKernel(
  invocation: Invocation,
  source: Exclude<BtfRequest['source'], { kind: 'file' }>,
): Promise<Chosen> {
  const kernel = await openKernel(invocation);
  if (source.kind === 'id') return { btf: kernel.btfById(source.id) };
  if (source.kind === 'prog') {
    const program = findProgram(kernel, source.named);
    const { btfId } = program.info();
    program.close();
    if (btfId !== 0) return { btf: kernel.btfById(btfId) };
    throw new SkepError({ code: 'btf', message: `${program.what} has no BTF` });
  }
  const [map, ...others] = findMaps(kernel, source.named);
  try {
    if (map === undefined || others.length > 0)
      throw new SkepError({
        code: 'no-map',
        message: `several maps are named '${source.named}'`,
        hint: 'say which by its id',
      });
    if (map.types === undefined) throw new SkepError({ code: 'btf', message: `${map.what} has no BTF` });
    const { keyTypeId, valueTypeId } = map.types;
    const ids = { key: [keyTypeId], value: [valueTypeId], kv: [keyTypeId, valueTypeId] };
    const btf = map.types.btf();
    return source.part === 'all' ? { btf } : { btf, ids: ids[source.part] };
  } finally {
    for (const each of [map, ...others]) each?.close();
  }
}

async function chosenBy(invocation: Invocation, { source }: BtfRequest): Promise<Chosen> {
  const kernel = invocation.value('kernel');
  if (source.kind === 'file') {
    if (kernel !== undefined) throw usageError(`a FILE with --kernel ${kernel}`, 'give one of them');
    return { btf: btfOfFile(source.path, invocation.value('base-btf')) };
  }
  if (kernel === undefined || kernel === 'embedded') {
    throw usageError(
      `each command line starts a fresh embedded kernel, so there is no ${source.kind} to ask for its types`,
      `--kernel linux asks the running kernel`,
    );
  }
  return chosenOfKernel(invocation, source);
}

/** Lines that are written together: a kernel has 300 thousand. */
const batch = 4096;

function printJoined(invocation: Invocation, parts: Iterable<string>, separator: string): void {
  let waiting: string[] = [];
  let isFirst = true;
  const flush = (): void => {
    if (waiting.length === 0) return;
    invocation.streams.stdout.write(`${isFirst ? '' : separator}${waiting.join(separator)}`);
    isFirst = false;
    waiting = [];
  };
  for (const part of parts) {
    waiting.push(part);
    if (waiting.length >= batch) flush();
  }
  flush();
}

/** `skep btf dump`: the types, as `bpftool btf dump` prints them. */
export async function dump(invocation: Invocation): Promise<number> {
  const request = parseBtfRequest(invocation.operands);
  const { btf, ids } = await chosenBy(invocation, request);
  const act = (): void => {
    if (invocation.json) {
      if (request.format === 'c') throw usageError('C is no JSON', 'leave --json out');
      invocation.streams.stdout.write('{"types":[');
      printJoined(invocation, dumpRawJson(btf, ids), ',');
      invocation.print(']}');
      return;
    }
    printJoined(invocation, request.format === 'c' ? dumpC(btf, ids) : dumpRaw(btf, ids), '\n');
    invocation.print();
  };
  if (request.source.kind === 'file') inFile(request.source.path, act);
  else act();
  return 0;
}
