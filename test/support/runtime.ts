/**
 * A runtime for tests of engines and helpers, without a kernel: one memory, maps by address, programs by id,
 * and a clock, randomness, CPU and task that the test sets.
 */
import type { Slots } from '../../src/isa/index.ts';
import { type BpfMap, createMap, type MapDef, ProgArrayMap } from '../../src/maps/index.ts';
import { createMemory } from '../../src/memory/index.ts';
import { type MapTypeName, mapTypes, type ProgTypeName, progTypes } from '../../src/uapi/index.ts';
import type { Engine, Executable, Runtime, Task } from '../../src/vm/index.ts';

export class TestRuntime implements Runtime {
  readonly memory = createMemory({ limitBytes: 64 << 20 });
  readonly maps = new Map<number, BpfMap>();
  readonly programs = new Map<number, Executable>();
  readonly lines: string[] = [];
  now = 0n;
  randomValue = 0;
  cpuNumber = 0;
  currentTask: Task = { pid: 1, tgid: 1, uid: 0, gid: 0, comm: 'test' };

  ktimeNs(): bigint {
    return this.now;
  }
  random(): number {
    return this.randomValue;
  }
  cpu(): number {
    return this.cpuNumber;
  }
  readonly cpus = 4;
  task(): Task {
    return this.currentTask;
  }
  mapAt(address: number): BpfMap | undefined {
    return this.maps.get(address);
  }
  progAt(map: BpfMap, index: number): Executable | undefined {
    return map instanceof ProgArrayMap ? this.programs.get(map.programId(index)) : undefined;
  }
  trace(message: string): void {
    this.lines.push(message);
  }

  map(type: MapTypeName, def: Partial<MapDef> = {}): BpfMap {
    const base = { keySize: 4, valueSize: 8, maxEntries: 8, flags: 0, name: 'm', mapExtra: 0n };
    const full = {
      ...base,
      type: mapTypes[type].id,
      ...(type === 'prog_array' ? { valueSize: 4 } : {}),
      ...def,
    };
    const map = createMap(full, { memory: this.memory, cpus: 4, random: () => this.randomValue });
    this.maps.set(map.address, map);
    return map;
  }

  load(engine: Engine, insns: Slots, progType: ProgTypeName = 'raw_tracepoint'): Executable {
    const program = {
      name: 'test',
      progType: progTypes[progType].id,
      insns,
      subprogs: [],
      maps: [...this.maps.values()],
    };
    return engine.load(program, this);
  }

  /** Bytes in memory, for a context or a packet. */
  bytes(content: Uint8Array): number {
    const at = this.memory.alloc(content.length);
    this.memory.u8.set(content, at);
    return at;
  }
}
