/**
 * `skep prog dump`: the instructions of programs. `raw`: as an object has them. `xlated`: as a kernel runs them,
 * after it has verified and rewritten them; of an object, which is loaded for it, or of a live program.
 */
import { readBtf } from '../btf/index.ts';
import { dotLines } from '../object/flow/dot.ts';
import { flowOf } from '../object/flow/graph.ts';
import { svgLines } from '../object/flow/svg.ts';
import type { CollectionSpec, ProgramSpec } from '../object/index.ts';
import {
  type ListedInsn,
  type ListedProgram,
  listingLines,
  listProgram,
  type SlotOptions,
} from '../object/listing.ts';
import { Kernel, type KernelHandle } from '../user/index.ts';
import { readProgramImage } from '../user/program-image.ts';
import { type Engine, jit, jitText } from '../vm/index.ts';
import { usageError } from './args.ts';
import type { Invocation } from './invocation.ts';
import { openKernel } from './kernel.ts';
import { findProgram } from './live-programs.ts';
import { chosenPrograms, inFile, openFile } from './open.ts';

const forms = ['raw', 'xlated', 'jited'] as const;
const pictures = ['dot', 'svg'] as const;
type Picture = (typeof pictures)[number];

/** What bpftool's words say, in any order behind the first. */
interface Request {
  readonly form: (typeof forms)[number];
  readonly file: string | undefined;
  readonly prog: string | undefined;
  /** A live program: what `findProgram` takes. */
  readonly live: string | undefined;
  readonly opcodes: boolean;
  readonly linum: boolean;
  readonly picture: Picture | undefined;
}

function requestOf(invocation: Invocation): Request {
  const words = [...invocation.operands];
  const flags = new Set<string>();
  const names: string[] = [];
  let live: string | undefined;
  const form = forms.find((each) => each === words[0]);
  if (form !== undefined) words.shift();
  const argument = (word: string): string => {
    const value = words.shift();
    if (value === undefined) throw usageError(`'${word}' wants what it is of`);
    return value;
  };
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === 'opcodes' || word === 'linum' || word === 'visual') flags.add(word);
    else if (word === 'id' || word === 'pinned' || word === 'name') live = argument(word);
    else names.push(word === 'file' ? argument(word) : word);
  }
  const [file, prog, extra] = names;
  if (extra !== undefined) throw usageError(`unexpected argument '${extra}' for 'skep prog dump'`);
  if ((file === undefined) === (live === undefined)) {
    throw usageError(
      "'skep prog dump' wants a FILE, or a live program",
      'skep prog dump xlated id 42 --kernel linux',
    );
  }
  return {
    form: form ?? (live === undefined ? 'raw' : 'xlated'),
    file,
    prog: prog ?? invocation.value('prog'),
    live,
    opcodes: flags.has('opcodes'),
    linum: flags.has('linum'),
    picture: pictureOf(invocation, flags.has('visual')),
  };
}

function pictureOf(invocation: Invocation, isWord: boolean): Picture | undefined {
  if (!isWord && !invocation.has('visual')) return undefined;
  const wanted = invocation.value('visual') ?? 'dot';
  const picture = pictures.find((each) => each === wanted);
  if (picture !== undefined) return picture;
  throw usageError(`option '--visual' wants one of ${pictures.join(', ')}, not '${wanted}'`);
}

/** A program with what there is to say of its instructions. */
interface Shown {
  readonly name: string;
  readonly program: ListedProgram;
  readonly options: SlotOptions;
}

/** As an object has them: loads name maps. */
function rawPrograms(spec: CollectionSpec, prog: string | undefined): Shown[] {
  const btf = spec.btf === undefined ? undefined : readBtf(spec.btf);
  return chosenPrograms(spec, prog).map(([name, program]) => {
    const references = new Map(program.references.map((reference) => [reference.slot, reference]));
    return {
      name,
      program: { insns: program.insns, btf, funcInfo: program.funcInfo, lineInfo: program.lineInfo },
      options: (slot) => {
        const reference = references.get(slot);
        if (reference === undefined) return {};
        const { map } = reference;
        return { wideLoad: () => `map[${map}]${reference.kind === 'map' ? '' : `[0]+${reference.offset}`}` };
      },
    };
  });
}

/** As the kernel runs them: all that the object loads by itself, or the one that is wanted. */
function loadedPrograms(kernel: KernelHandle, spec: CollectionSpec, prog: string | undefined): Shown[] {
  const wanted = chosenPrograms(spec, prog);
  const programs = Object.fromEntries(
    Object.entries(spec.programs).map(([name, program]): [string, ProgramSpec] => [
      name,
      { ...program, autoload: prog === undefined ? program.autoload : name === prog || isNamed(spec, name) },
    ]),
  );
  const collection = kernel.load({ ...spec, programs });
  try {
    return wanted.flatMap(([name]) => {
      const program = collection.programs[name];
      return program === undefined ? [] : [liveProgram(kernel, program.fd, name)];
    });
  } finally {
    collection.close();
  }
}

/** Whether a map starts with the program in it: then it is needed. */
function isNamed({ maps }: CollectionSpec, name: string): boolean {
  return Object.values(maps).some(({ contents }) =>
    contents.some(({ value }) => 'program' in value && value.program === name),
  );
}

function liveProgram(kernel: KernelHandle, fd: number, name: string): Shown {
  const program = readProgramImage(kernel.sys, fd);
  return { name, program, options: program.options };
}

async function programsOf(invocation: Invocation, request: Request): Promise<Shown[]> {
  const { form, file, prog, live } = request;
  if (live !== undefined) {
    if (invocation.value('kernel') !== 'linux') throw usageError('a live program is one of --kernel linux');
    const kernel = await openKernel(invocation);
    const program = findProgram(kernel, live);
    try {
      return [liveProgram(kernel, program.fd, program.name)];
    } finally {
      program.close();
    }
  }
  const spec = openFile(file!);
  if (form === 'raw') return rawPrograms(spec, prog);
  const kernel = await openKernel(invocation);
  return inFile(file!, () => loadedPrograms(kernel, spec, prog));
}

export async function dump(invocation: Invocation): Promise<number> {
  const request = requestOf(invocation);
  if (request.form === 'jited') return dumpJited(invocation, request);
  const programs = (await programsOf(invocation, request)).map((shown) => ({
    name: shown.name,
    insns: listProgram(shown.program, shown.options),
  }));
  if (request.picture !== undefined) draw(invocation, programs, request.picture);
  else if (invocation.json) {
    invocation.printJson(programs.map(({ name, insns }) => ({ name, insns: insns.map(jsonOf) })));
  } else print(invocation, programs, request);
  return 0;
}

/** The WebAssembly that the embedded kernel makes of a program, with its instructions and their C source. */
function dumpJited(invocation: Invocation, { file, prog, live, linum, opcodes, picture }: Request): number {
  if (live !== undefined || invocation.value('kernel') === 'linux' || picture !== undefined) {
    throw usageError("'skep prog dump jited' is of a FILE, and of the embedded kernel");
  }
  const texts = new Map<string, (notes: (slot: number) => readonly string[]) => string>();
  const engine: Engine = {
    name: jit.name,
    load(program, runtime) {
      texts.set(program.name, (notes) => jitText(program, runtime, notes));
      return jit.load(program, runtime);
    },
  };
  const spec = openFile(file!);
  const kernel = new Kernel({ engine });
  const shown = inFile(file!, () => loadedPrograms(kernel, spec, prog)).map(({ name, program, options }) => {
    const insns = new Map(listProgram(program, options).map((insn) => [insn.slot, insn]));
    const notes = (slot: number): string[] => {
      const insn = insns.get(slot);
      const lines = [...listingLines(insn === undefined ? [] : [insn], { opcodes, linum })];
      return lines.map(({ text }) => text.replace(/^; /, ''));
    };
    // The kernel keeps 15 characters of a name.
    const text = texts.get(name) ?? texts.get(name.slice(0, NAME_MAX));
    return { name, text: text?.(notes) ?? '' };
  });
  if (invocation.json) invocation.printJson(shown);
  else for (const { text } of shown) invocation.print(text.trimEnd());
  return 0;
}

/** BPF_OBJ_NAME_LEN less its NUL. */
const NAME_MAX = 15;

function jsonOf({ slot, opcode, text, source, proto }: ListedInsn): object {
  return {
    slot,
    opcode,
    text,
    ...(proto === undefined ? {} : { proto }),
    ...(source === undefined ? {} : { source: source.text, file: source.file, line: source.line }),
  };
}

type Listed = readonly { readonly name: string; readonly insns: readonly ListedInsn[] }[];

function draw(invocation: Invocation, programs: Listed, picture: Picture): void {
  const functions = programs.flatMap(({ insns }) => flowOf(insns));
  invocation.print([...(picture === 'dot' ? dotLines(functions) : svgLines(functions))].join('\n'));
}

function print(invocation: Invocation, programs: Listed, { opcodes, linum }: Request): void {
  const { style } = invocation;
  for (const [i, { name, insns }] of programs.entries()) {
    // A function's prototype says its name.
    const isNamed = programs.length === 1 && insns[0]?.proto !== undefined;
    if (!isNamed) invocation.print(`${i === 0 ? '' : '\n'}${style.strong(`${name}:`)}`);
    const lines: string[] = [];
    for (const { kind, text } of listingLines(insns, { opcodes, linum })) {
      if (kind === 'proto') lines.push(style.strong(text));
      else lines.push(kind === 'source' || kind === 'bytes' ? style.faint(text) : text);
    }
    if (lines.length > 0) invocation.print(lines.join('\n'));
  }
}
