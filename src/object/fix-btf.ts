/**
 * What a loader does to an object's BTF before a kernel takes it. The compiler leaves to the linker what
 * only the ELF file knows: sizes of sections of variables, and offsets of global variables in them. And a
 * hidden function is verified with its callers, as a static one is, so its BTF says static (libbpf:
 * btf_fixup_datasec, bpf_object__sanitize_btf).
 */
import { SkepError } from '../base/errors.ts';
import { type Btf, readBtf } from '../btf/read.ts';
import { type BtfDatasec, btfLinkages } from '../btf/types.ts';
import {
  type ElfFile,
  type ElfSection,
  type ElfSymbol,
  symbolBindings,
  symbolTypes,
  symbolVisibilities,
} from '../elf/elf.ts';

/** struct btf_type and struct btf_var_secinfo. */
const [typeSize, varSize] = [12, 12];

/** The symbols of a section by name. */
function symbolTable(elf: ElfFile, section: ElfSection): Map<string, ElfSymbol> {
  return new Map(elf.symbolsIn(section).map((symbol) => [symbol.name, symbol]));
}

function fixDatasec(
  view: DataView,
  at: number,
  parts: { btf: Btf; datasec: BtfDatasec; section: ElfSection; elf: ElfFile },
): void {
  const { btf, datasec, section, elf } = parts;
  const symbols = symbolTable(elf, section);
  if (datasec.size === 0) view.setUint32(at + 8, section.size, true);
  const placed = datasec.variables.map((variable) => {
    const type = btf.type(variable.type);
    // Of a static variable the compiler knows the offset.
    if (type.kind !== 'var' || type.linkage === btfLinkages.static) return variable;
    const symbol = symbols.get(type.name);
    if (symbol === undefined) {
      throw new SkepError({
        code: 'object',
        message: `BTF has a variable '${type.name}', for which there is no symbol`,
        where: `section '${section.name}'`,
      });
    }
    return { ...variable, offset: symbol.value };
  });
  placed.sort((a, b) => a.offset - b.offset);
  placed.forEach((variable, i) => {
    const entry = at + typeSize + i * varSize;
    if (variable.offset + variable.size > section.size) {
      throw new SkepError({
        code: 'object',
        message: `BTF puts '${btf.type(variable.type).name}' at ${variable.offset}, beyond its ${section.size} bytes`,
        where: `section '${section.name}'`,
      });
    }
    view.setUint32(entry, variable.type, true);
    view.setUint32(entry + 4, variable.offset, true);
    view.setUint32(entry + 8, variable.size, true);
  });
}

/** An object's BTF with what is said above filled in; a copy. */
export function fixBtf(raw: Uint8Array, elf: ElfFile): Btf {
  const bytes = new Uint8Array(raw);
  const btf = readBtf(bytes);
  const view = new DataView(bytes.buffer);
  const hidden = new Set(
    elf.symbols
      .filter(
        ({ type, binding, visibility }) =>
          type === symbolTypes.func &&
          binding !== symbolBindings.local &&
          (visibility === symbolVisibilities.hidden || visibility === symbolVisibilities.internal),
      )
      .map(({ name }) => name),
  );
  const changed: number[] = [];
  if (hidden.size > 0) {
    for (const id of btf.idsOf('func')) {
      const type = btf.type(id);
      if (type.kind !== 'func' || type.linkage !== btfLinkages.global || !hidden.has(type.name)) continue;
      view.setUint16(btf.recordOffset(id) + 4, btfLinkages.static, true);
      changed.push(id);
    }
  }
  for (const id of btf.idsOf('datasec')) {
    const type = btf.type(id);
    // `.kconfig` and `.ksyms` are sections in BTF only.
    const section = type.kind === 'datasec' ? elf.section(type.name) : undefined;
    if (type.kind !== 'datasec' || section === undefined) continue;
    fixDatasec(view, btf.recordOffset(id), { btf, datasec: type, section, elf });
    changed.push(id);
  }
  return btf.refreshed(changed);
}
