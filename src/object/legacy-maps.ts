/**
 * Maps of objects that are older than BTF (sections `maps`): a struct in the file says what each is. libbpf's is
 * struct bpf_map_def; that of iproute2's tc and of old Cilium, struct bpf_elf_map, starts alike and goes on with
 * ids, by which maps are put into each other, and where to pin.
 */
import { Reader } from '../base/bytes.ts';
import { type ElfSection, sectionFlags } from '../elf/elf.ts';
import { progTypes } from '../uapi/prog-types.ts';
import { sha1Hex } from './sha1.ts';
import { badObject, type ObjectSource, type PlacedMap, within } from './source.ts';
import { emptyMap, type MapSpec, type ProgramSpec } from './spec.ts';

/** struct bpf_map_def: type, key_size, value_size, max_entries, map_flags. */
const plainSize = 20;
/** struct bpf_elf_map goes on with id, pinning, and since 2017 inner_id, inner_idx. */
const tcSizes = { first: 28, withInner: 36 } as const;
/** PIN_NONE, PIN_OBJECT_NS, PIN_GLOBAL_NS of iproute2. */
const tcPinnings = { none: 0, object: 1, global: 2 } as const;
const noIndex = 0xffffffff;

/** A map and what iproute2 says of its neighbours. */
interface Legacy {
  readonly spec: MapSpec;
  /** Its number in the object; 0 for none. */
  readonly id: number;
  /** Of the map that is the model of those in it; 0 for none. */
  readonly innerId: number;
  /** Where it is put in maps of maps whose model it is. */
  readonly innerIndex: number;
}

function setPinning(spec: MapSpec, pinning: number, file: Uint8Array): void {
  switch (pinning) {
    case tcPinnings.none:
      return;
    case tcPinnings.global:
      spec.pinning = 'byName';
      spec.pinFolder = 'tc/globals';
      return;
    case tcPinnings.object:
      spec.pinning = 'byName';
      spec.pinFolder = `tc/${sha1Hex(file)}`;
      return;
    default:
      throw badObject(`pinning ${pinning} is unknown: it is of a table of tc's configuration`);
  }
}

function readLegacy(
  section: ElfSection,
  place: { name: string; offset: number; end: number },
  file: Uint8Array,
): Legacy {
  const size = place.end - place.offset;
  const bytes = new Reader(section.data, `section '${section.name}'`).slice(place.offset, size);
  const isTc = size === tcSizes.first || size === tcSizes.withInner;
  // Four fields are enough, and more are good as long as they ask for nothing.
  if (size < plainSize - 4 || (!isTc && bytes.subarray(plainSize).some((byte) => byte !== 0))) {
    throw badObject(
      `its definition of ${size} bytes is no struct bpf_map_def or bpf_elf_map`,
      undefined,
      'define it in SEC(".maps")',
    );
  }
  const reader = new Reader(bytes, 'the definition of a map');
  const spec: MapSpec = {
    ...emptyMap(place.name),
    type: reader.u32(0),
    keySize: reader.u32(4),
    valueSize: reader.u32(8),
    maxEntries: reader.u32(12),
    flags: size >= plainSize ? reader.u32(16) : 0,
  };
  if (isTc) setPinning(spec, reader.u32(24), file);
  const hasInner = size === tcSizes.withInner;
  return {
    spec,
    id: isTc ? reader.u32(20) : 0,
    innerId: hasInner ? reader.u32(28) : 0,
    innerIndex: hasInner ? reader.u32(32) : noIndex,
  };
}

/** Gives maps of maps their model, and the maps that start in them. */
function nest(maps: readonly Legacy[]): void {
  const byId = new Map<number, Legacy[]>();
  for (const map of maps) {
    if (map.id === 0 || map.innerId !== 0) continue;
    const known = byId.get(map.id);
    if (known === undefined) byId.set(map.id, [map]);
    else known.push(map);
  }
  for (const { spec, innerId } of maps) {
    if (innerId === 0) continue;
    const inner = byId.get(innerId) ?? [];
    const model = inner[0];
    if (model === undefined)
      throw badObject(`no map has the id ${innerId} of its inner map`, `map '${spec.name}'`);
    const { name: _, pinFolder: __, ...like } = model.spec;
    spec.inner = { ...like, name: `${spec.name}.inner`, pinning: 'none' };
    for (const { spec: each, innerIndex } of inner) {
      if (innerIndex === noIndex) continue;
      const key = new Uint8Array(4);
      new DataView(key.buffer).setUint32(0, innerIndex, true);
      spec.contents.push({ key, value: { map: each.name } });
    }
  }
}

/** The maps of sections `maps` and `maps/…`. */
export function legacyMaps({ elf, bytes }: ObjectSource): PlacedMap[] {
  const sections = elf.sections.filter(
    ({ name, flags }) => (name === 'maps' || name.startsWith('maps/')) && (flags & sectionFlags.alloc) !== 0,
  );
  const found: Legacy[] = [];
  const placed = sections.flatMap((section) => {
    const symbols = elf.symbolsIn(section).filter(({ name }) => name !== '');
    return symbols.map(({ name, value }, i): PlacedMap => {
      const end = symbols[i + 1]?.value ?? section.size;
      const map = within(`map '${name}'`, () => readLegacy(section, { name, offset: value, end }, bytes));
      found.push(map);
      return {
        spec: map.spec,
        section,
        offset: value,
        isData: false,
        ...(map.id === 0 ? {} : { tcId: map.id }),
      };
    });
  });
  nest(found);
  return placed;
}

/**
 * Programs of sections that tc names by a map and a key, as '2/7': it puts them there, and loads them as what the
 * others are.
 */
export function placeTailCalls(
  maps: readonly PlacedMap[],
  programs: Readonly<Record<string, ProgramSpec>>,
): void {
  const byId = new Map(maps.flatMap(({ tcId, spec }) => (tcId === undefined ? [] : [[tcId, spec] as const])));
  if (byId.size === 0) return;
  const all = Object.values(programs);
  const model = all.find(({ progType }) => progType !== 0);
  for (const program of all) {
    const [, id, index] = /^(\d{1,9})\/(\d{1,9})$/.exec(program.section) ?? [];
    const map = byId.get(Number(id));
    if (program.progType !== 0 || map === undefined) continue;
    program.progType = model?.progType ?? progTypes.sched_cls.id;
    program.expectedAttachType = model?.expectedAttachType ?? 0;
    const key = new Uint8Array(4);
    new DataView(key.buffer).setUint32(0, Number(index), true);
    map.contents.push({ key, value: { program: program.name } });
  }
}
