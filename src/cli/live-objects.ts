/**
 * Programs and links of a running kernel: `skep prog show, load, loadall, pin, tracelog`, `skep link show, pin,
 * detach`, in bpftool's words.
 */
import { mkdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { BpfError } from '../uapi/errno.ts';
import type { Collection, KernelHandle, Link, Program, ProgramInfo } from '../user/index.ts';
import { usageError } from './args.ts';
import type { Invocation } from './invocation.ts';
import { oneLink, onLiveKernel } from './live.ts';
import { findProgram } from './live-programs.ts';
import { inFile, openFile } from './open.ts';
import { loadWithSettings } from './session.ts';
import { untilInterrupted } from './signals.ts';
import { type Column, formatTable } from './table.ts';

function reading<H extends { close(): void }, T>(handle: H, read: (handle: H) => T): T {
  try {
    return read(handle);
  } finally {
    handle.close();
  }
}

/** One of a list; none where it went between the list of ids and the look at it. */
function look<H extends { close(): void }, T>(open: () => H, read: (handle: H) => T): T[] {
  let handle: H;
  try {
    handle = open();
  } catch (error) {
    if (error instanceof BpfError && error.errno === 'ENOENT') return [];
    throw error;
  }
  return [reading(handle, read)];
}

function printRows<T extends object>(
  invocation: Invocation,
  rows: readonly T[],
  columns: readonly (Column & { of: (row: T) => string })[],
): void {
  if (invocation.json) {
    invocation.printJson(rows);
    return;
  }
  const cells = rows.map((row) => columns.map(({ of }) => of(row)));
  for (const line of formatTable(columns, cells, invocation.style)) invocation.print(line);
}

export const showPrograms = (invocation: Invocation): Promise<number> =>
  onLiveKernel(invocation, (kernel, words) => {
    const wanted = words.left === 0 ? undefined : words.object('PROG');
    words.end();
    const info = (program: Program): ProgramInfo => program.info();
    const programs =
      wanted === undefined
        ? kernel.programIds().flatMap((id) => look(() => kernel.programById(id), info))
        : [reading(findProgram(kernel, wanted), info)];
    printRows(invocation, programs, [
      { title: 'ID', align: 'right', of: ({ id }) => String(id) },
      { title: 'PROGRAM', of: ({ name }) => name },
      { title: 'TYPE', of: ({ typeName }) => typeName },
      { title: 'TAG', of: ({ tag }) => tag },
      { title: 'XLATED', align: 'right', of: ({ xlatedBytes }) => String(xlatedBytes) },
      { title: 'JITED', align: 'right', of: ({ jitedBytes }) => String(jitedBytes) },
      { title: 'MAPS', of: ({ mapIds }) => mapIds.join(',') },
    ]);
    return 0;
  });

export const showLinks = (invocation: Invocation): Promise<number> =>
  onLiveKernel(invocation, (kernel, words) => {
    const wanted = words.left === 0 ? undefined : words.object('LINK');
    words.end();
    const info = (link: Link) => link.info();
    const links =
      wanted === undefined
        ? kernel.linkIds().flatMap((id) => look(() => kernel.linkById(id), info))
        : [reading(oneLink(kernel, wanted), info)];
    printRows(invocation, links, [
      { title: 'ID', align: 'right', of: ({ id }) => String(id) },
      { title: 'TYPE', of: ({ typeName }) => typeName },
      { title: 'PROG', align: 'right', of: ({ programId }) => String(programId) },
    ]);
    return 0;
  });

export const detachLink = (invocation: Invocation): Promise<number> =>
  onLiveKernel(invocation, (kernel, words) => {
    const link = oneLink(kernel, words.object('LINK'));
    try {
      words.end();
      link.detach();
    } finally {
      link.close();
    }
    return 0;
  });

/** `OBJECT PATH`. */
function pinned<H extends { pin(path: string): void; close(): void }>(
  invocation: Invocation,
  { what, find }: { what: string; find: (kernel: KernelHandle, wanted: string) => H },
): Promise<number> {
  return onLiveKernel(invocation, (kernel, words) => {
    const handle = find(kernel, words.object(what));
    try {
      const path = words.next('path');
      words.end();
      handle.pin(path);
    } finally {
      handle.close();
    }
    return 0;
  });
}

export const pinProgram = (invocation: Invocation): Promise<number> =>
  pinned(invocation, { what: 'PROG', find: findProgram });

export const pinLink = (invocation: Invocation): Promise<number> =>
  pinned(invocation, { what: 'LINK', find: oneLink });

/** `FILE PATH [pinmaps DIRECTORY]`: one program, pinned at the path. */
export const load = (invocation: Invocation): Promise<number> =>
  loaded(invocation, (collection, path) => {
    const programs = Object.values(collection.programs);
    const name = invocation.value('prog');
    const [program] = name === undefined ? programs : [collection.program(name)];
    if (program === undefined) throw usageError('the object has no programs');
    if (name === undefined && programs.length > 1) {
      const names = programs.map((each) => each.name).join(', ');
      throw usageError('the object has several programs', `choose one with --prog: ${names}; or use loadall`);
    }
    return [{ handle: program, path }];
  });

/** `FILE DIRECTORY [pinmaps DIRECTORY]`: all programs, each pinned under its name. */
export const loadAll = (invocation: Invocation): Promise<number> =>
  loaded(invocation, (collection, directory) =>
    Object.entries(collection.programs).map(([name, handle]) => ({ handle, path: `${directory}/${name}` })),
  );

interface Pin {
  readonly handle: { pin(path: string): void };
  readonly path: string;
}

function loaded(
  invocation: Invocation,
  choose: (collection: Collection, path: string) => Pin[],
): Promise<number> {
  return onLiveKernel(invocation, (kernel, words) => {
    const file = words.next('FILE');
    const path = words.next('path');
    const mapDirectory = words.take(['pinmaps']) === undefined ? undefined : words.next('directory');
    words.end();
    const spec = openFile(file);
    inFile(file, () => {
      const collection = loadWithSettings(kernel, spec, invocation);
      try {
        const pins = choose(collection, path);
        if (mapDirectory !== undefined) {
          for (const [name, handle] of Object.entries(collection.maps))
            pins.push({ handle, path: `${mapDirectory}/${name}` });
        }
        pinAll(pins);
      } finally {
        collection.close();
      }
    });
    return 0;
  });
}

/** All pins or none; directories in which they lie are made. */
function pinAll(pins: readonly Pin[]): void {
  const undo: (() => void)[] = [];
  try {
    for (const { handle, path } of pins) {
      const directory = path.slice(0, path.lastIndexOf('/'));
      if (makeDirectory(directory)) undo.push(() => rmdirSync(directory));
      handle.pin(path);
      undo.push(() => unlinkSync(path));
    }
  } catch (error) {
    for (const each of undo.reverse()) each();
    throw error;
  }
}

/** Whether it was made; false where it was there. */
function makeDirectory(path: string): boolean {
  try {
    mkdirSync(path);
    return true;
  } catch {
    // What is wrong with it is said when something is pinned there.
    return false;
  }
}

/** The trace pipe, until Ctrl-C. */
export const traceLog = (invocation: Invocation): Promise<number> =>
  onLiveKernel(invocation, async (kernel, words) => {
    words.end();
    await untilInterrupted(async (signal) => {
      for await (const line of kernel.tracePipe({ signal })) invocation.print(line);
    });
    return 0;
  });
