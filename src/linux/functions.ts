/**
 * Functions that can be probed: the kernel's, by its symbols and the list of its function tracer, and those of
 * executables and shared objects; and the events of tracefs, by which kernels before 4.17 probe them.
 */
import { appendFileSync, readFileSync, statSync } from 'node:fs';
import process from 'node:process';
import { SkepError } from '../base/errors.ts';
import { executableFunctions, usdtProbes } from '../elf/index.ts';
import { BpfError } from '../uapi/errno.ts';
import type { BinaryFunctions, BinaryProbes, KernelFunction } from '../uapi/seam.ts';
import { fileError, isMissing, readIfThere, tracefs } from './targets.ts';

/**
 * Functions that the kernel lists by address: those that its function tracer can trace, where it tells, since 6.5 by
 * address. Without CAP_SYSLOG addresses are hidden, and none is found.
 */
export function kernelFunctions(wanted: (name: string) => boolean): KernelFunction[] {
  const traced = tracedFunctions('available_filter_functions_addrs');
  if (traced !== undefined) return functionsIn(traced.matchAll(/^([0-9a-f]+) ([^\s]+)/gm), wanted);
  const list = tracedFunctions('available_filter_functions');
  const names = list === undefined ? undefined : namesIn(list, wanted);
  // 'ffffffff81000000 t do_one', with a module behind a tab: functions alone.
  const symbols = readText('/proc/kallsyms').matchAll(/^([0-9a-f]+) [tT] ([^\s]+)/gm);
  return functionsIn(symbols, (name) => names?.has(name) ?? wanted(name));
}

function functionsIn(lines: Iterable<RegExpExecArray>, wanted: (name: string) => boolean): KernelFunction[] {
  const found: KernelFunction[] = [];
  for (const [, digits = '', name = ''] of lines) {
    if (!wanted(name)) continue;
    const address = BigInt(`0x${digits}`);
    if (address !== 0n) found.push({ name, address });
  }
  return found;
}

/** The module of a function stands behind a space. */
function namesIn(list: string, wanted: (name: string) => boolean): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [name] of list.matchAll(/^[^\s]+/gm)) if (wanted(name)) names.add(name);
  return names;
}

/** A list of the function tracer; undefined where it has none. */
function tracedFunctions(list: string): string | undefined {
  try {
    return readText(`${tracefs()}/${list}`) || undefined;
  } catch (error) {
    // Not mounted, or not for us: then every function may be one.
    if (error instanceof SkepError) return undefined;
    throw error;
  }
}

const readText = (path: string): string => new TextDecoder('latin1').decode(readIfThere(path));

/** Where a loader looks for shared objects, after LD_LIBRARY_PATH. */
const libraryFolders = [
  ...{ x64: ['/lib/x86_64-linux-gnu', '/usr/lib/x86_64-linux-gnu'], arm64: ['/lib/aarch64-linux-gnu'] }[
    process.arch as 'x64' | 'arm64'
  ],
  '/usr/lib64',
  '/usr/lib',
  '/lib64',
  '/lib',
];

/**
 * The file of a name: itself where it has a slash, else what a shell finds, or a loader for a shared object.
 * @throws {BpfError} ENOENT
 */
export function findBinary(name: string): string {
  if (name.includes('/')) return name;
  const isLibrary = /\.so(\.|$)/.test(name);
  const listed = (isLibrary ? process.env['LD_LIBRARY_PATH'] : process.env['PATH']) ?? '';
  const folders = [...listed.split(':'), ...(isLibrary ? libraryFolders : ['/usr/bin', '/usr/sbin'])];
  for (const folder of folders) {
    const path = `${folder}/${name}`;
    if (folder !== '' && statSync(path, { throwIfNoEntry: false })?.isFile()) return path;
  }
  const where = isLibrary ? 'the folders of libraries' : 'PATH';
  throw new BpfError('ENOENT', 'executable', `${JSON.stringify(name)} is in none of ${where}`);
}

/** @throws {SkepError} 'elf' where it is no executable or shared object of 64 bits */
export function binaryFunctions(binary: string, wanted: (name: string) => boolean): BinaryFunctions {
  return readBinary(binary, (bytes) => ({ functions: executableFunctions(bytes, wanted) }));
}

/** @throws {SkepError} 'elf' where it is no executable or shared object of 64 bits */
export function binaryProbes(
  binary: string,
  wanted: (provider: string, name: string) => boolean,
): BinaryProbes {
  return readBinary(binary, (bytes) => usdtProbes(bytes, wanted));
}

/** What `read` makes of a file, and where that is. */
function readBinary<T>(binary: string, read: (bytes: Uint8Array) => T): T & { path: string } {
  const path = findBinary(binary);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw fileError(error, path);
  }
  try {
    return { path, ...read(bytes) };
  } catch (error) {
    throw error instanceof SkepError ? error.at(path) : error;
  }
}

/**
 * Adds a probe to tracefs, or takes one away.
 * @throws {BpfError} ENOENT where the kernel has none, EINVAL for a probe that cannot be
 */
export function defineProbe(kind: 'kprobe' | 'uprobe', definition: string): void {
  const path = `${tracefs()}/${kind}_events`;
  try {
    // Not made where it is missing: tracefs would refuse that in other words.
    if (statSync(path, { throwIfNoEntry: false }) === undefined) {
      throw new BpfError('ENOENT', path, `this kernel was built without CONFIG_${kind.toUpperCase()}_EVENTS`);
    }
    appendFileSync(path, `${definition}\n`);
  } catch (error) {
    if (isMissing(error)) throw error;
    throw fileError(error, `${path}: ${definition}`);
  }
}
