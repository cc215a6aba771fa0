/**
 * The output of a BPF iterator (kernel doc: bpf/bpf_iterators): each reading of an fd made from its link walks all
 * objects of the kernel anew and runs the program for each.
 */
import { BpfError } from '../uapi/errno.ts';
import type { System } from '../uapi/seam.ts';

/** The kernel gives at most its own buffer, of eight pages, at once. */
const CHUNK = 1 << 15;

/**
 * What the programs write, as the kernel hands it out.
 * @throws {BpfError} EINVAL for a link that is no iterator's; what the walk fails with
 */
export function* iteratorChunks(system: System, linkFd: number): Generator<Uint8Array, void> {
  const fd = system.bpf('iterCreate', { linkFd });
  try {
    for (;;) {
      const chunk = new Uint8Array(CHUNK);
      const count = readOn(system, fd, chunk);
      if (count === 0) return;
      yield chunk.subarray(0, count);
    }
  } finally {
    system.close(fd);
  }
}

/** After a million objects without output the kernel takes a rest, with EAGAIN. */
function readOn(system: System, fd: number, chunk: Uint8Array): number {
  for (;;) {
    try {
      return system.read(fd, chunk);
    } catch (error) {
      if (!(error instanceof BpfError) || error.errno !== 'EAGAIN') throw error;
    }
  }
}

/** The lines of a text, without their ends; the last one also where it has none. */
export function* linesOf(chunks: Iterable<Uint8Array>): Generator<string, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}
