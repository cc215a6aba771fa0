/**
 * The programs of the suite, all in programs/*.bpf.c: what goes into them. One packet serves all: Ethernet,
 * IPv4 and TCP headers that are right, then bytes of a generator, as random as the branches on them should be.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const programsFolder = fileURLToPath(new URL('./programs/', import.meta.url));

/** The program that does nothing: what entering costs. */
export const EMPTY = 'empty';

/** Runs after which a ring buffer that nobody reads is full. */
const RING_RUNS = 3500;

export interface SuiteProgram {
  readonly name: string;
  /** What the C source says of it. */
  readonly title: string;
  /** Runs after which its ring buffer has to be emptied; undefined where it has none. */
  readonly ringRuns: number | undefined;
}

const ending = '.bpf.c';

export function suitePrograms(): SuiteProgram[] {
  return readdirSync(programsFolder)
    .filter((file) => file.endsWith(ending))
    .sort()
    .map((file) => {
      const source = readFileSync(`${programsFolder}${file}`, 'utf8');
      const title = /^\/\* (?!SPDX)(.*) \*\/$/m.exec(source)?.[1] ?? file;
      const name = file.slice(0, -ending.length);
      return { name, title, ringRuns: source.includes('RINGBUF(') ? RING_RUNS : undefined };
    });
}

export function suiteObject(name: string): Uint8Array {
  return readFileSync(`${programsFolder}${name}.bpf.o`);
}

/** The firewall of examples/, which is no program of the suite: it executes fewer instructions. */
export const EXAMPLE = 'examples/firewall';

export function exampleObject(): Uint8Array {
  return readFileSync(fileURLToPath(new URL('../examples/firewall.bpf.o', import.meta.url)));
}

const header = Uint8Array.of(
  ...[0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00],
  ...[0x45, 0, 0x05, 0xdc, 0, 1, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2],
  ...[0x30, 0x39, 0x0b, 0xc8, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0],
);

export function suitePacket(): Uint8Array {
  const packet = new Uint8Array(1514);
  let state = 1;
  for (let i = 0; i < packet.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    packet[i] = state >>> 24;
  }
  packet.set(header);
  return packet;
}
