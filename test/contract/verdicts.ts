/**
 * Programs and what the verifier says of them, one small program a rule: 'ok', or the last line of the log. Grouped by
 * what the rule is about; every kernel of the contract must say the same.
 */
import assert from 'node:assert/strict';
import { assemble } from '../../src/asm/index.ts';
import { encode } from '../../src/isa/index.ts';
import { type AttachTypeName, attachTypes } from '../../src/uapi/attach-types.ts';
import { BpfError } from '../../src/uapi/errno.ts';
import { mapTypes } from '../../src/uapi/map-types.ts';
import { type ProgTypeName, progTypes } from '../../src/uapi/prog-types.ts';
import type { System } from '../../src/uapi/seam.ts';
import { calls } from './cases/calls.ts';
import type { Case } from './cases/case.ts';
import { contexts } from './cases/contexts.ts';
import { control } from './cases/control.ts';
import { helpers } from './cases/helpers.ts';
import { memory } from './cases/memory.ts';
import { numbers } from './cases/numbers.ts';
import { type ContractTest, makeMap } from './harness.ts';

/** The maps that a case may name: `map[fd:HASH]`. */
function makeMaps(system: System): Readonly<Record<string, number>> {
  const readOnly = makeMap(system, {
    mapType: mapTypes.array.id,
    valueSize: 8,
    maxEntries: 1,
    mapFlags: 1 << 7,
  });
  const value = new TextEncoder().encode('%d\0wxyz\0');
  system.bpf('mapUpdateElem', { mapFd: readOnly, key: new Uint8Array(4), value, flags: 0n });
  system.bpf('mapFreeze', { mapFd: readOnly });
  return {
    HASH: makeMap(system, { valueSize: 16 }),
    ARRAY: makeMap(system, { mapType: mapTypes.array.id, valueSize: 16 }),
    ONE: makeMap(system, { mapType: mapTypes.array.id, valueSize: 16, maxEntries: 1 }),
    READONLY: readOnly,
    PROGS: makeMap(system, { mapType: mapTypes.prog_array.id }),
    RING: makeMap(system, { mapType: mapTypes.ringbuf.id, keySize: 0, valueSize: 0, maxEntries: 4096 }),
    QUEUE: makeMap(system, { mapType: mapTypes.queue.id, keySize: 0, valueSize: 8 }),
    DEVICES: makeMap(system, { mapType: mapTypes.devmap.id }),
    INNER: makeMap(system, {
      mapType: mapTypes.array_of_maps.id,
      innerMapFd: makeMap(system, { valueSize: 24 }),
    }),
  };
}

function attachId(name: AttachTypeName | undefined): number {
  return name === undefined ? 0 : attachTypes[name].id;
}

const flags = { sleepable: 1 << 4, strictAlignment: 1 << 0 } as const;

/** 'ok', or the last line of the log that is a message. */
function verdict(system: System, maps: Readonly<Record<string, number>>, one: Case): string {
  const text = one.program.replace(/fd:([A-Z]+)/g, (_, name: string) => `fd:${maps[name]}`);
  const insns = encode(assemble(text));
  const type: ProgTypeName = one.type ?? 'socket_filter';
  const logBuf = new Uint8Array(1 << 16);
  try {
    const fd = system.bpf('progLoad', {
      progType: progTypes[type].id,
      expectedAttachType: attachId(one.attach),
      progFlags: one.flag === undefined ? 0 : flags[one.flag],
      insns,
      insnCnt: insns.length / 8,
      license: one.license ?? 'GPL',
      logLevel: 1,
      logSize: logBuf.length,
      logBuf,
    });
    system.close(fd);
    return 'ok';
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const log = new TextDecoder().decode(logBuf.subarray(0, logBuf.indexOf(0)));
    // One message of Linux ends without a line break, and the statistics follow it at once.
    const lines = log
      .replace(/processed \d+ insns.*$/m, '')
      .split('\n')
      .filter((line) => line !== '');
    return lines.at(-1) ?? error.errno;
  }
}

const families = { control, numbers, memory, contexts, helpers, calls };

export const verdicts: readonly ContractTest[] = Object.entries(families).map(([name, cases]) => ({
  name,
  since: '6.18',
  run: (machine) => {
    const system = machine.spawn();
    const maps = makeMaps(system);
    for (const one of cases) {
      assert.equal(verdict(system, maps, one), one.want, one.name);
    }
  },
}));
