/** Programs that a compiler made, as starting points for mutation: their maps become those of the fuzzer's world. */
import { readFileSync } from 'node:fs';
import { SkepError } from '../../src/base/errors.ts';
import { decodeLenient, type Insn, type Slots } from '../../src/isa/index.ts';
import { openObject } from '../../src/object/index.ts';
import type { MapSpec } from '../../src/object/spec.ts';
import { progTypeName } from '../../src/uapi/prog-types.ts';
import { type FuzzedType, fuzzedTypes } from './candidate.ts';
import { FIRST_MAP_FD, jumpsFds, PROG_ARRAY, valueMaps, worldMaps } from './world.ts';

export interface SeedProgram {
  readonly type: FuzzedType;
  readonly slots: Slots;
}

/** The fd of the map of the world that is most like `spec`. */
function likeMap(spec: MapSpec | undefined, type: FuzzedType): number {
  if (spec === undefined) return FIRST_MAP_FD;
  if (spec.type === PROG_ARRAY) return jumpsFds[type];
  // A program array belongs to the first type of program that names it.
  const unlike = worldMaps
    .slice(0, valueMaps)
    .map(
      (map) =>
        (map.type === spec.type ? 0 : 100) +
        Math.abs(map.valueSize - spec.valueSize) +
        50 * Math.abs(map.keySize - spec.keySize),
    );
  return FIRST_MAP_FD + unlike.indexOf(Math.min(...unlike));
}

/** The programs of the object files that decode and are of a type that is fuzzed. */
export function seedPrograms(files: readonly string[]): SeedProgram[] {
  return files.flatMap((file) => {
    try {
      const spec = openObject(new Uint8Array(readFileSync(file)));
      return Object.values(spec.programs).flatMap((made): SeedProgram[] => {
        const type = fuzzedTypes.find((name) => name === progTypeName(made.progType));
        if (type === undefined) return [];
        const slots: (Insn | undefined)[] = [];
        for (const insn of decodeLenient(made.insns)) {
          if (insn?.op === 'invalid') return [];
          slots.push(insn);
        }
        for (const reference of made.references) {
          const insn = slots[reference.slot];
          if (insn?.op !== 'ldimm64') return [];
          const lo = likeMap(spec.maps[reference.map], type);
          const isValue = reference.kind === 'mapValue';
          slots[reference.slot] = isValue
            ? { ...insn, pseudo: 'mapValue', lo: FIRST_MAP_FD, hi: reference.offset }
            : { ...insn, pseudo: 'mapFd', lo, hi: 0 };
        }
        return [{ type, slots }];
      });
    } catch (error) {
      if (error instanceof SkepError) return [];
      throw error;
    }
  });
}
