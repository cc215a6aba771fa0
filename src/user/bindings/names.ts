/**
 * Names of C as names of TypeScript. What an object calls its things is input like any other: here it becomes an
 * identifier, a string literal or the text of a comment, and can become nothing else.
 */

/** 'flow_key' and 'flow-key' become 'FlowKey', '4tuple' '_4tuple'. */
export function pascalCase(name: string): string {
  const words = name.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  const joined = words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('');
  return /^[A-Za-z]/.test(joined) ? joined : `_${joined}`;
}

/** Gives every name once: a second 'Flow' becomes 'Flow2'. */
export class NameSpace {
  readonly #taken: Set<string>;

  /** @param reserved names that are never given */
  constructor(reserved: readonly string[]) {
    this.#taken = new Set(reserved);
  }

  unique(wanted: string): string {
    let name = wanted;
    for (let i = 2; this.#taken.has(name); i++) name = `${wanted}${i}`;
    this.#taken.add(name);
    return name;
  }
}

/** A string literal. All but printable ASCII is escaped, so that it reads as what it is in any editor. */
export function literal(text: string): string {
  const inner = text.replace(/[^ -&(-[\]-~]/g, (char) => {
    if (char === "'" || char === '\\') return `\\${char}`;
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return `'${inner}'`;
}

/** The name of a property: as it is where it is an identifier, else quoted. */
export function propertyName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : literal(name);
}

/** Text for a comment: printable ASCII that ends none. */
export function commentText(text: string): string {
  return text
    .slice(0, 200)
    .replace(/[^ -~]/g, '?')
    .replaceAll('*/', '* /');
}
