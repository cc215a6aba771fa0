/**
 * C types as declarations of TypeScript: what `codec` (src/btf) makes of a type, said for the compiler. A named
 * struct, union or enum is declared once; an anonymous one stands where it is used, or has its typedef's name.
 *
 * Reading a union gives all of its members, writing one takes those that are given. So a type that has a union in
 * it has a second declaration, 'FlowInput', for what may be written.
 */
import { Bug, SkepError } from '../../base/errors.ts';
import { type Btf, type BtfComposite, type BtfEnum, codec, cType, resolvedType } from '../../btf/index.ts';
import { commentText, type NameSpace, pascalCase, propertyName } from './names.ts';

/** Whether a type is that of values which are read or of values which are written. */
export type Direction = 'read' | 'write';

interface Declaration {
  readonly name: string;
  readonly lines: string[];
}

/** The type of an array of what `text` is the type of. */
export function arrayOf(text: string): string {
  return /^[\w$[\]]+$/.test(text) ? `${text}[]` : `(${text})[]`;
}

/** A shared anonymous struct is written wherever it is used: a hostile object could ask for very many lines. */
const maxMembers = 1 << 18;
/** So many bits of a length are not worth a member. */
const longText = 8;

export class TypeTexts {
  readonly #btf: Btf;
  readonly #names: NameSpace;
  readonly #declarations: Declaration[] = [];
  /** Names by type id and direction. */
  readonly #declared = new Map<string, string>();
  readonly #hasUnion = new Map<number, boolean>();
  #members = 0;

  constructor(btf: Btf, names: NameSpace) {
    this.#btf = btf;
    this.#names = names;
  }

  /** The lines of all declarations that texts referred to, in the order of their names. */
  declarations(): string[] {
    const sorted = [...this.#declarations].sort((a, b) => (a.name < b.name ? -1 : 1));
    return sorted.flatMap(({ lines }) => [...lines, '']);
  }

  /** Whether a type has values of TypeScript, and of `size` bytes; else its values are raw bytes. */
  hasValues(id: number, size: number): boolean {
    if (id === 0) return false;
    try {
      return codec(this.#btf, id).size === size;
    } catch (error) {
      if (error instanceof SkepError) return false;
      throw error;
    }
  }

  /** What a value of the type is in TypeScript. The type must have values. */
  text(id: number, direction: Direction): string {
    const { name, type } = this.#named(id);
    switch (type.kind) {
      case 'int':
        if (type.bool) return 'boolean';
        return type.size > 4 ? 'bigint' : 'number';
      case 'float':
        return 'number';
      case 'ptr':
        return 'bigint';
      case 'enum':
      case 'enum64':
        return name === '' ? this.#enumText(type) : this.#enumName(id, name, type);
      case 'array': {
        const element = resolvedType(this.#btf, type.type);
        const isText =
          element.kind === 'int' &&
          element.size === 1 &&
          !element.bool &&
          (element.char || element.name === 'char');
        const inner = this.text(type.type, direction);
        return isText ? `string | ${arrayOf(inner)}` : arrayOf(inner);
      }
      case 'struct':
      case 'union':
        return name === ''
          ? this.#composite(type, direction).join(' ')
          : this.#compositeName(id, { name, type, direction });
      case 'datasec': {
        this.#count(type.variables.length);
        const members = type.variables.map((each) => {
          const variable = this.#btf.type(each.type);
          return `${propertyName(variable.name)}: ${this.text(each.type, direction)};`;
        });
        return `{ ${members.join(' ')} }`;
      }
      case 'var':
        return this.text(type.type, direction);
      default:
        throw new Bug(`${type.kind} has no values`);
    }
  }

  /** A type without modifiers, with its own name or that of the typedef which gives it one. */
  #named(id: number): { name: string; type: ReturnType<typeof resolvedType> } {
    const type = resolvedType(this.#btf, id);
    if (type.name !== '') return { name: type.name, type };
    for (let at = id; ; ) {
      const outer = this.#btf.type(at);
      if (outer.kind === 'typedef') return { name: outer.name, type };
      if (outer === type || !('type' in outer)) return { name: '', type };
      at = outer.type;
    }
  }

  #enumText(type: BtfEnum): string {
    return type.size > 4 ? 'bigint' : 'number';
  }

  /** The key under which a type is declared: its id without modifiers, which ids of typedefs share. */
  #key(id: number, direction: Direction): string {
    const wanted = resolvedType(this.#btf, id);
    let at = id;
    for (let type = this.#btf.type(at); type !== wanted; type = this.#btf.type(at)) {
      at = (type as { type: number }).type;
    }
    return `${at} ${direction}`;
  }

  #enumName(id: number, cName: string, type: BtfEnum): string {
    const key = this.#key(id, 'read');
    const known = this.#declared.get(key);
    if (known !== undefined) return known;
    const name = this.#names.unique(pascalCase(cName));
    this.#declared.set(key, name);
    const suffix = type.size > 4 ? 'n' : '';
    this.#count(type.values.length);
    const seen = new Set<string>();
    const values = type.values.filter(
      (each) => each.name !== '__proto__' && !seen.has(each.name) && seen.add(each.name),
    );
    this.#declarations.push({
      name,
      lines: [
        `/** enum ${commentText(cName)}, ${type.size} bytes. */`,
        `export const ${name} = {`,
        ...values.map((each) => `  ${propertyName(each.name)}: ${each.value}${suffix},`),
        '} as const;',
        `export type ${name} = ${this.#enumText(type)};`,
      ],
    });
    return name;
  }

  #compositeName(
    id: number,
    { name: cName, type, direction }: { name: string; type: BtfComposite; direction: Direction },
  ): string {
    const isInput = direction === 'write' && this.#containsUnion(id);
    const key = this.#key(id, isInput ? 'write' : 'read');
    const known = this.#declared.get(key);
    if (known !== undefined) return known;
    const name = this.#names.unique(isInput ? `${pascalCase(cName)}Input` : pascalCase(cName));
    this.#declared.set(key, name);
    const declaration: Declaration = { name, lines: [] };
    this.#declarations.push(declaration);
    const what = `${type.kind} ${commentText(cName)}, ${type.size} bytes`;
    const note = isInput ? ': what may be written, where the members of a union are given or left out.' : '.';
    declaration.lines.push(
      `/** ${what}${note} */`,
      `export interface ${name} {`,
      ...this.#memberLines(type, { direction, optional: false }),
      '}',
    );
    return name;
  }

  /** An anonymous type, where it is used. */
  #composite(type: BtfComposite, direction: Direction): string[] {
    const members = this.#memberLines(type, { direction, optional: false, isInline: true });
    return members.length === 0
      ? ['Record<string, never>']
      : ['{', ...members.map((line) => line.trim()), '}'];
  }

  #count(members: number): void {
    this.#members += members;
    if (this.#members <= maxMembers) return;
    throw new SkepError({ code: 'bindings', message: `its types have more than ${maxMembers} members` });
  }

  #memberLines(
    type: BtfComposite,
    options: { direction: Direction; optional: boolean; isInline?: boolean },
  ): string[] {
    const { direction, isInline } = options;
    const optional = options.optional || (direction === 'write' && type.kind === 'union');
    this.#count(type.members.length);
    return type.members.flatMap((member) => {
      if (member.name === '') {
        const inner = resolvedType(this.#btf, member.type);
        const isPart = inner.kind === 'struct' || inner.kind === 'union';
        return isPart ? this.#memberLines(inner, { ...options, optional }) : [];
      }
      const text = this.text(member.type, direction);
      const bits = member.bitSize === 0 ? '' : ` : ${member.bitSize}`;
      const cText = isInline ? '' : cType(this.#btf, member.type);
      // C's text of a type may be long: it counts for members too.
      this.#count(cText.length >> longText);
      const comment = isInline ? '' : ` // ${commentText(cText)}${bits}`;
      return [`  ${propertyName(member.name)}${optional ? '?' : ''}: ${text};${comment}`];
    });
  }

  /** Whether there is a union in it by value. */
  #containsUnion(id: number): boolean {
    let known = this.#hasUnion.get(id);
    if (known === undefined) {
      const type = resolvedType(this.#btf, id);
      known =
        type.kind === 'union' ||
        (type.kind === 'struct' && type.members.some((member) => this.#containsUnion(member.type))) ||
        (type.kind === 'datasec' && type.variables.some((each) => this.#containsUnion(each.type))) ||
        ((type.kind === 'array' || type.kind === 'var') && this.#containsUnion(type.type));
      this.#hasUnion.set(id, known);
    }
    return known;
  }
}
