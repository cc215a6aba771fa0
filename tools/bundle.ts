/**
 * Puts the modules of a command into one file: Node takes about half a millisecond to find and link each of
 * some 170 modules, which is more than all that the command does with a small object.
 *
 * In goes what tsc made of this repository (relative imports, no cycles, no default exports, no exported
 * `let`); anything else is refused. Each module becomes a function that runs when it is first wanted, so
 * that what is imported lazily stays lazy.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

interface Module {
  readonly id: string;
  readonly code: string;
}

/** The text of one file with `entry` and all that it imports from beside it. */
export function bundle(entry: string): string {
  const bundler = new Bundler();
  const main = bundler.body(resolve(entry), { isEntry: true });
  const builtins = [...bundler.builtins].map(([name, id]) => `import * as ${id} from '${name}';`);
  const modules = [...bundler.modules.values()].map(({ code }) => code);
  return ['#!/usr/bin/env node', ...builtins, once, ...modules, main].join('\n');
}

const once = 'const once = (make) => { let made; return () => (made ??= make()); };';

class Bundler {
  readonly modules = new Map<string, Module>();
  readonly builtins = new Map<string, string>();
  readonly #open = new Set<string>();

  /** The name of the function that makes a module. */
  #module(file: string): string {
    const known = this.modules.get(file);
    if (known !== undefined) return known.id;
    if (this.#open.has(file)) throw new Error(`${file}: imports itself in a circle`);
    this.#open.add(file);
    const body = this.body(file, { isEntry: false });
    const id = `module${this.modules.size}`;
    this.modules.set(file, { id, code: `const ${id} = once(() => {\n${body}\n});` });
    return id;
  }

  /** What an import of `specifier` in `file` is as an expression. */
  #target(file: string, specifier: string): string {
    if (specifier.startsWith('.')) return `${this.#module(resolve(dirname(file), specifier))}()`;
    const id = this.builtins.get(specifier) ?? `builtin${this.builtins.size}`;
    this.builtins.set(specifier, id);
    return id;
  }

  /** The code of a module without imports and exports, which it returns. */
  body(file: string, { isEntry }: { isEntry: boolean }): string {
    const exports: string[] = [];
    const rows: readonly [RegExp, (...groups: string[]) => string][] = [
      [/^#!.*$/m, () => ''],
      [/^\/\/# sourceMappingURL=.*$/m, () => ''],
      [
        /^import \{([^}]*)\} from '([^']+)';/gm,
        (list, from) =>
          `const {${pairs(list).map(([a, b]) => ` ${a}: ${b}`)} } = ${this.#target(file, from)};`,
      ],
      [
        /^import \* as (\w+) from '([^']+)';/gm,
        (name, from) => `const ${name} = ${this.#target(file, from)};`,
      ],
      [
        /^export \* from '([^']+)';/gm,
        (from) => {
          exports.push(`...${this.#target(file, from)}`);
          return '';
        },
      ],
      [
        /^export \{([^}]*)\}(?: from '([^']+)')?;/gm,
        (list, from) => {
          const prefix = from === undefined ? '' : `${this.#target(file, from)}.`;
          exports.push(...pairs(list).map(([a, b]) => `${b}: ${prefix}${a}`));
          return '';
        },
      ],
      [
        /^export ((?:async )?function\*?|class|const) (\w+)/gm,
        (keyword, name) => {
          exports.push(name);
          return `${keyword} ${name}`;
        },
      ],
      [/\bimport\('(\.[^']+)'\)/g, (from) => `Promise.resolve().then(() => ${this.#target(file, from)})`],
    ];
    let code = readFileSync(file, 'utf8');
    for (const [pattern, replace] of rows) {
      code = code.replace(pattern, (_, ...groups: string[]) => replace(...groups));
    }
    const left = /^(?:import|export)\b.*$/m.exec(code)?.[0];
    if (left !== undefined) throw new Error(`${file}: not understood: ${left}`);
    if (isEntry) return code;
    if (code.includes('import.meta')) throw new Error(`${file}: import.meta outside of the entry`);
    return `${code}return { ${exports.join(', ')} };`;
  }
}

/** `a, b as c` as [['a', 'a'], ['b', 'c']]. */
function pairs(list: string): [string, string][] {
  const names = list.split(',').map((name) => name.trim());
  return names
    .filter((name) => name !== '')
    .map((name) => {
      const [from = '', to = from] = name.split(' as ');
      return [from, to];
    });
}
