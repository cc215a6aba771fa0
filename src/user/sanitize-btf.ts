/**
 * BTF for kernels that do not know all kinds of types yet (libbpf: bpf_object__sanitize_btf): types of kinds that
 * a kernel lacks become others of the same length, so that all ids stay.
 */
import { BtfBuilder, type BtfKind, btfKinds, btfLinkages, readBtf } from '../btf/index.ts';
import type { System } from '../uapi/seam.ts';
import { type Feature, supports } from './features.ts';

/** A record in the type section: struct btf_type, and what follows it. */
interface Record {
  readonly view: DataView;
  readonly at: number;
  /** Elements. */
  readonly vlen: number;
  /** Of a name that stands for others. */
  readonly placeholder: number;
  /** The id of an integer of 32 bits. */
  readonly int: number;
}

const typeSize = 12;

function setKind({ view, at, vlen }: Record, kind: BtfKind, flag = false): void {
  view.setUint32(at + 4, (flag ? 0x80000000 : 0) + btfKinds.indexOf(kind) * 2 ** 24 + vlen, true);
}

/** An integer of a byte, in place of a type with one word behind it. */
function becomeInt(record: Record): void {
  const { view, at } = record;
  setKind({ ...record, vlen: 0 }, 'int');
  view.setUint32(at + 8, 1, true);
  view.setUint32(at + typeSize, 8, true);
}

/** Variables as members of a struct; its name must be one of C. */
function becomeStruct(record: Record): void {
  const { view, at, vlen, placeholder } = record;
  view.setUint32(at, placeholder, true);
  setKind(record, 'struct');
  for (let i = 0; i < vlen; i++) {
    const each = at + typeSize + i * 12;
    const [type, offset] = [view.getUint32(each, true), view.getUint32(each + 4, true)];
    view.setUint32(each, placeholder, true);
    view.setUint32(each + 4, type, true);
    view.setUint32(each + 8, offset * 8, true);
  }
}

/** Enumerators as members of a union. */
function becomeUnion(record: Record): void {
  const { view, at, vlen, int } = record;
  setKind(record, 'union');
  for (let i = 0; i < vlen; i++) {
    const each = at + typeSize + i * 12;
    view.setUint32(each + 4, int, true);
    view.setUint32(each + 8, 0, true);
  }
}

/** What becomes of a kind that a kernel lacks. */
const replacements: Partial<{
  readonly [K in BtfKind]: { needs: Feature; become: (record: Record) => void };
}> = {
  var: { needs: 'btfDatasec', become: becomeInt },
  datasec: { needs: 'btfDatasec', become: becomeStruct },
  declTag: { needs: 'btfDeclTag', become: becomeInt },
  func: { needs: 'btfFunc', become: (record) => setKind({ ...record, vlen: 0 }, 'typedef') },
  funcProto: {
    needs: 'btfFunc',
    become: (record) => {
      setKind(record, 'enum');
      record.view.setUint32(record.at + 8, 4, true);
    },
  },
  float: {
    needs: 'btfFloat',
    become: (record) => setKind({ ...record, vlen: 0 }, 'struct'),
  },
  typeTag: {
    needs: 'btfTypeTag',
    become: (record) => {
      record.view.setUint32(record.at, 0, true);
      setKind({ ...record, vlen: 0 }, 'const');
    },
  },
  enum64: { needs: 'btfEnum64', become: becomeUnion },
};

/** The BTF without what the kernel lacks; undefined where it lacks nothing of it. */
export function sanitizeBtf(raw: Uint8Array, system: System): Uint8Array | undefined {
  const builder = new BtfBuilder(readBtf(raw));
  const placeholder = builder.string('skep_placeholder');
  const int = builder.add({
    kind: 'int',
    name: 'skep_placeholder',
    size: 4,
    signed: false,
    char: false,
    bool: false,
    bitOffset: 0,
    bits: 32,
  });
  const bytes = builder.build();
  const btf = readBtf(bytes);
  const view = new DataView(bytes.buffer);
  let changed = false;
  for (let id = 1; id < btf.typeCount; id++) {
    const at = btf.recordOffset(id);
    const kind = btf.kind(id);
    const info = view.getUint32(at + 4, true);
    const record = { view, at, vlen: info & 0xffff, placeholder, int };
    const replacement = replacements[kind];
    if (replacement !== undefined && !supports(system, replacement.needs)) {
      replacement.become(record);
    } else if (kind === 'func' && record.vlen === btfLinkages.global && !supports(system, 'btfGlobalFunc')) {
      setKind({ ...record, vlen: btfLinkages.static }, 'func');
    } else if (kind === 'enum' && info >>> 31 === 1 && !supports(system, 'btfEnum64')) {
      setKind(record, 'enum');
    } else {
      continue;
    }
    changed = true;
  }
  return changed ? bytes : undefined;
}
