/**
 * The loader and libbpf, side by side: what libbpf gives to the kernel for each program of each object at hand
 * (our fixtures and examples, and what Debian's xdp-tools and libbpf-tools have) is what we give.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { whyNoLinux } from '../../test/support/linux.ts';
import { carve } from '../../tools/exam/carve.ts';
import { toHex } from '../base/bytes.ts';
import { SkepError } from '../base/errors.ts';
import { LinuxSystem } from '../linux/index.ts';
import { LinuxKernel } from '../linux-kernel.ts';
import { type CollectionSpec, openObject } from '../object/index.ts';
import type { BpfAttr, Cmd } from '../uapi/commands.ts';
import { BpfError } from '../uapi/errno.ts';
import type { InfoOf } from '../uapi/info.ts';
import type { System } from '../uapi/seam.ts';
import { KernelHandle } from './index.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'skep-calls-'));
after(() => rmSync(folder, { recursive: true }));
const oracle = join(folder, 'calls');
const caught = [
  'bpf_prog_load',
  'bpf_map_create',
  'bpf_btf_load',
  'bpf_map_update_elem',
  'bpf_map_freeze',
  'bpf_prog_bind_map',
];

function whyNot(): string | false {
  const noLinux = whyNoLinux();
  if (noLinux !== false) return noLinux;
  if (!existsSync('/sys/kernel/btf/vmlinux')) return 'this kernel tells no BTF';
  const compiler = ['cc', 'gcc', 'clang-19'].find((tool) => spawnSync(tool, ['--version']).status === 0);
  if (compiler === undefined) return 'no C compiler';
  const wraps = caught.map((name) => `--wrap=${name}`).join(',');
  const args = [
    `${root}fixtures/libbpf/calls.c`,
    '-o',
    oracle,
    `-Wl,${wraps}`,
    '-l:libbpf.a',
    '-lelf',
    '-lz',
  ];
  return spawnSync(compiler, args).status !== 0 && 'no libbpf-dev';
}
const skip = whyNot();

type Line = Record<string, unknown>;

/** A system that takes everything, and notes what it is given. */
class Recorder {
  readonly lines: Line[] = [];
  readonly #names = new Map<number, string>();
  readonly #infos = new Map<number, InfoOf<'map'>>();
  #next = 1;
  readonly system: System;

  constructor(linux: LinuxSystem) {
    const own: Partial<System> = {
      bpf: (cmd, attr) => this.#bpf(cmd, attr),
      close: () => undefined,
      mmap: (_fd, { length }) => ({ bytes: new Uint8Array(length), unmap: () => undefined }),
    };
    this.system = new Proxy(linux as System, {
      get: (target, name) => {
        const value = (Reflect.get(own, name) ?? Reflect.get(target, name)) as unknown;
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  clear(): void {
    this.lines.length = 0;
  }

  #bpf<C extends Cmd>(cmd: C, attr: BpfAttr<C>): number {
    if (cmd === 'mapCreate') return this.#map(attr as BpfAttr<'mapCreate'>);
    // Probes of features have no name.
    if (cmd === 'progLoad' && 'progName' in attr) this.#program(attr as BpfAttr<'progLoad'>);
    if (cmd === 'objGet') throw new BpfError('ENOENT', 'no pins');
    if (cmd === 'objGetInfoByFd') {
      const { bpfFd, info } = attr as BpfAttr<'objGetInfoByFd'> & { bpfFd: number; info: object };
      Object.assign(info, this.#infos.get(bpfFd));
    }
    return this.#next++;
  }

  #map(attr: BpfAttr<'mapCreate'>): number {
    const fd = this.#next++;
    const { mapType, keySize, valueSize, maxEntries, mapFlags } = attr;
    this.#names.set(fd, attr.mapName ?? '');
    this.#infos.set(fd, {
      kind: 'map',
      type: mapType,
      keySize,
      valueSize,
      maxEntries,
      mapFlags,
    } as InfoOf<'map'>);
    this.lines.push({
      map: attr.mapName,
      type: mapType,
      keySize,
      valueSize,
      maxEntries,
      flags: mapFlags,
      mapExtra: Number(attr.mapExtra),
      btfKeyTypeId: attr.btfKeyTypeId ?? 0,
      btfValueTypeId: attr.btfValueTypeId ?? 0,
      kernelValueTypeId: attr.btfVmlinuxValueTypeId ?? 0,
      inner: attr.innerMapFd === undefined ? '' : this.#names.get(attr.innerMapFd),
    });
    return fd;
  }

  #program(attr: BpfAttr<'progLoad'>): void {
    this.lines.push({
      program: attr.progName,
      type: attr.progType,
      expectedAttachType: attr.expectedAttachType,
      flags: attr.progFlags,
      license: attr.license,
      attachBtfId: attr.attachBtfId ?? 0,
      insns: this.#insns(new Uint8Array(attr.insns!)),
      funcInfo: toHex(attr.funcInfo ?? new Uint8Array()),
      lineInfo: toHex(attr.lineInfo ?? new Uint8Array()),
    });
  }

  #insns(bytes: Uint8Array): string {
    const view = new DataView(bytes.buffer);
    let text = '';
    for (let at = 0; at < bytes.length; at += 8) {
      const src = bytes[at + 1]! >> 4;
      const isMap = bytes[at] === 0x18 && (src === 1 || src === 2);
      const fd = view.getInt32(at + 4, true);
      if (isMap) view.setInt32(at + 4, 0, true);
      text += `${toHex(bytes.subarray(at, at + 8))}${isMap ? this.#names.get(fd) : ''} `;
    }
    return text;
  }
}

/** Kernels keep 15 characters of a name; libbpf's calls were caught before they were cut. */
function cut(line: Line): Line {
  const short = (value: unknown): unknown =>
    typeof value === 'string' ? value.replace(/[^\w.]/g, '_').slice(0, 15) : value;
  if ('map' in line) return { ...line, map: short(line['map']), inner: short(line['inner']) };
  if ('insns' in line) {
    const insns = String(line['insns']).replace(
      /(?<=[0-9a-f]{16})\S+ /g,
      (name) => `${String(short(name.trim()))} `,
    );
    return { ...line, program: short(line['program']), insns };
  }
  return line;
}

/** What libbpf does, by the program: undefined where it loads nothing. */
function theirs(files: readonly string[]): Map<string, Line[] | undefined> {
  const output = execFileSync(oracle, files, { encoding: 'utf8', maxBuffer: 1 << 28 });
  const found = new Map<string, Line[] | undefined>();
  let lines: Line[] = [];
  for (const text of output.trim().split('\n')) {
    const line = JSON.parse(text) as Line;
    if ('refused' in line) continue;
    if ('object' in line) {
      lines = [];
      found.set(`${String(line['object'])} ${String(line['program'])}`, undefined);
    } else {
      lines.push(cut(line));
      if ('insns' in line) found.set([...found.keys()].at(-1)!, lines);
    }
  }
  return found;
}

/** What we do, or why nothing. */
function ours(recorder: Recorder, spec: CollectionSpec, name: string): Line[] | string {
  const program = { ...spec.programs[name]!, autoload: true };
  // What is put into maps is of no interest here.
  const maps = Object.fromEntries(
    Object.entries(spec.maps).map(([key, map]) => [key, { ...map, contents: [], pinning: 'none' as const }]),
  );
  recorder.clear();
  try {
    new KernelHandle(recorder.system).load({ ...spec, maps, programs: { [name]: program } });
  } catch (error) {
    if (error instanceof SkepError) return error.line;
    throw error;
  }
  return recorder.lines.map(cut);
}

/** What libbpf 1.1 has never heard of: arenas, links of structs of functions, tcx, numbers of 64 bits in maps. */
const newer = ['arena.bpf.o', 'exceptions.bpf.o', 'attach.bpf.o', 'modern.bpf.o', 'struct-ops.bpf.o'];

/** Files of a folder that are objects. */
function objectsIn(path: string): string[] {
  if (!existsSync(path)) return [];
  const names = readdirSync(path).filter(
    (name) => name.endsWith('.o') && !name.includes('bpfeb') && !newer.includes(name),
  );
  return names.sort().map((name) => join(path, name));
}

/** The objects of Debian's libbpf-tools, which are inside its programs; those files are no larger than a few MB. */
function libbpfTools(): string[] {
  const listed = spawnSync('dpkg', ['-L', 'libbpf-tools'], { encoding: 'utf8' });
  if (listed.status !== 0) return [];
  const out = join(folder, 'libbpf-tools');
  mkdirSync(out, { recursive: true });
  return listed.stdout
    .split('\n')
    .filter((path) => path.startsWith('/usr/sbin/') && statSync(path).isFile())
    .flatMap((path) =>
      carve(readFileSync(path)).map((bytes, i) => {
        const file = join(out, `${basename(path)}${i || ''}.bpf.o`);
        writeFileSync(file, bytes);
        return file;
      }),
    );
}

/** Maps as small as the oracle makes them. */
const largest = 4096;

function loadsOnLinux(kernel: LinuxKernel, spec: CollectionSpec, name: string): string | true {
  const maps = Object.fromEntries(
    Object.entries(spec.maps).map(([key, map]) => {
      const contents = map.contents.filter(({ value }) => !('program' in value));
      return [
        key,
        { ...map, contents, pinning: 'none' as const, maxEntries: Math.min(map.maxEntries, largest) },
      ];
    }),
  );
  try {
    const programs = { [name]: { ...spec.programs[name]!, autoload: true } };
    kernel.load({ ...spec, maps, programs }).close();
    return true;
  } catch (error) {
    if (error instanceof SkepError) return error.line;
    throw error;
  }
}

const sets: { name: string; files: () => string[] }[] = [
  { name: 'fixtures', files: () => objectsIn(`${root}fixtures/objects`) },
  { name: 'examples', files: () => objectsIn(`${root}examples`) },
  { name: 'xdp-tools', files: () => objectsIn('/usr/lib/x86_64-linux-gnu/bpf') },
  { name: 'libbpf-tools', files: libbpfTools },
];

describe('what is given to the kernel is what libbpf gives', { skip }, () => {
  for (const { name, files } of sets) {
    test(name, (t) => {
      const paths = files();
      if (paths.length === 0) return t.skip(`${name} is not installed`);
      const recorder = new Recorder(new LinuxSystem());
      const wanted = theirs(paths);
      let [programs, path, spec] = [0, '', undefined as CollectionSpec | undefined];
      for (const [key, lines] of wanted) {
        const [file = '', program = ''] = key.split(' ');
        if (file !== path) [path, spec] = [file, openObject(readFileSync(file), { name: file })];
        const got = ours(recorder, spec!, program);
        if (lines === undefined) assert.equal(typeof got, 'string', `${key}: libbpf does not load it`);
        else assert.deepEqual(got, lines, key);
        programs++;
      }
      t.diagnostic(`${programs} programs of ${paths.length} objects`);
      assert.ok(programs > 0);
    });
  }
});

test('what libbpf loads into the running kernel, we load', { skip }, (t) => {
  const paths = sets.flatMap(({ name, files }) => (name === 'libbpf-tools' ? files() : []));
  if (paths.length === 0) return t.skip('libbpf-tools is not installed');
  const kernel = new LinuxKernel();
  const loaded = execFileSync(oracle, ['-l', ...paths], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const specs = new Map(paths.map((path) => [path, openObject(readFileSync(path), { name: path })]));
  const lines = loaded.split('\n').filter((line) => line !== '');
  for (const line of lines) {
    const { object, program } = JSON.parse(line) as { object: string; program: string };
    assert.equal(loadsOnLinux(kernel, specs.get(object)!, program), true, `${object} ${program}`);
  }
  t.diagnostic(`${lines.length} programs`);
});
