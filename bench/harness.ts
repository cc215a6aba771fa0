/**
 * What the benchmarks share: a case, a runtime without a kernel around it, and the measuring (mitata), which
 * gives a row of the table.
 */
import { measure } from 'mitata';
import type { Slots } from '../src/isa/index.ts';
import { type BpfMap, createMap } from '../src/maps/index.ts';
import { createMemory } from '../src/memory/index.ts';
import { type MapTypeName, mapTypes, progTypes } from '../src/uapi/index.ts';
import type { Engine, Executable, Runtime, Task } from '../src/vm/index.ts';

export interface Case {
  readonly name: string;
  /** What one of `count` is: an instruction, a lookup. */
  readonly unit: string;
  /** How many of them one `run` does. */
  readonly count: number;
  /** Returns something, so that the work is not thrown away. */
  run(): unknown;
}

export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly medianNs: number;
  readonly bestNs: number;
}

export async function measureCase({ name, unit, count, run }: Case): Promise<Row> {
  const stats = await measure(run);
  return { name, unit, medianNs: stats.p50 / count, bestNs: stats.min / count };
}

export class BenchRuntime implements Runtime {
  readonly memory = createMemory({ limitBytes: 256 << 20 });
  private readonly maps = new Map<number, BpfMap>();

  ktimeNs(): bigint {
    return 0n;
  }
  random(): number {
    return 1;
  }
  cpu(): number {
    return 0;
  }
  readonly cpus = 1;
  task(): Task {
    return { pid: 1, tgid: 1, uid: 0, gid: 0, comm: 'bench' };
  }
  mapAt(address: number): BpfMap | undefined {
    return this.maps.get(address);
  }
  progAt(): undefined {
    return undefined;
  }
  trace(): void {}

  map(type: MapTypeName, maxEntries: number): BpfMap {
    const def = { keySize: 4, valueSize: 8, maxEntries, flags: 0, name: 'bench', mapExtra: 0n };
    const context = { memory: this.memory, cpus: 1, random: () => 1 };
    const map = createMap({ ...def, type: mapTypes[type].id }, context);
    this.maps.set(map.address, map);
    return map;
  }

  load(engine: Engine, insns: Slots): Executable {
    return engine.load(
      {
        name: 'bench',
        progType: progTypes.raw_tracepoint.id,
        insns,
        subprogs: [],
        maps: [...this.maps.values()],
      },
      this,
    );
  }
}
