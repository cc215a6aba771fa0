/**
 * A map that programs are verified against and that holds nothing: its definition is checked as Linux checks it,
 * and it has an address to be known by. No program that names it is run, and user space is told so before it
 * reaches an element.
 */
import { Bug } from '../base/errors.ts';
import type { VerifiedOnly } from '../uapi/label.ts';
import type { mapTypes } from '../uapi/map-types.ts';
import { definitionChecks } from './definitions.ts';
import { mapFlags } from './flags.ts';
import { MAP_HEADER_BYTES } from './layout.ts';
import type { BpfMap, MapContext, MapDef } from './types.ts';

function holdsNothing(): never {
  throw new Bug('an element of a map that exists for the verifier alone');
}

export class VerifiedOnlyMap implements BpfMap {
  readonly def: MapDef;
  readonly address: number;
  readonly userValueSize: number;
  readonly valueAddress: undefined;
  readonly lookup: () => never = holdsNothing;
  readonly update: () => never = holdsNothing;
  readonly delete: () => never = holdsNothing;
  readonly userLookup: () => never = holdsNothing;
  readonly userUpdate: () => never = holdsNothing;
  readonly userDelete: () => never = holdsNothing;
  readonly userNextKey: () => never = holdsNothing;
  private readonly context: MapContext;

  constructor(kind: VerifiedOnly<typeof mapTypes>, def: MapDef, context: MapContext) {
    definitionChecks[kind](def);
    // Programs may look at devices, never change them (dev_map_init_map).
    const readOnly = kind === 'devmap' || kind === 'devmap_hash';
    this.def = readOnly ? { ...def, flags: (def.flags | mapFlags.RDONLY_PROG) >>> 0 } : def;
    this.context = context;
    this.userValueSize = def.valueSize;
    this.address = context.memory.alloc(MAP_HEADER_BYTES);
  }

  destroy(): void {
    this.context.memory.free(this.address);
  }
}
