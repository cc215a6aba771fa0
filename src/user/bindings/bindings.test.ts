/**
 * Typed bindings: the module of every object compiles, says what the object has, and loads it.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SkepError } from '../../base/errors.ts';
import { BtfBuilder, type BtfType } from '../../btf/index.ts';
import { type CollectionSpec, openObject } from '../../object/index.ts';
import { emptyMap } from '../../object/spec.ts';
import { generateBindings } from './generate.ts';
import { commentText, literal, NameSpace, pascalCase, propertyName } from './names.ts';

/** The repository, from src/ or from build/test/src/; with it are the sources that modules are compiled against. */
const repository = [3, 4, 5, 6]
  .map((up) => fileURLToPath(new URL('../'.repeat(up), import.meta.url)))
  .find((folder) => existsSync(join(folder, 'tsconfig.base.json')));
const skip = repository === undefined && 'the sources are not here';
const root = repository ?? '';

const scratch = mkdtempSync(join(tmpdir(), 'skep-bindings-'));
after(() => rmSync(scratch, { recursive: true }));

const objects = (skip ? [] : ['fixtures/objects', 'examples'])
  .flatMap((folder) => readdirSync(join(root, folder)).map((file) => join(root, folder, file)))
  .filter((path) => path.endsWith('.o'));

/** Compiles modules as their users would, strictly; what tsc says. */
function compile(name: string, modules: Readonly<Record<string, string>>): string {
  const folder = join(scratch, name);
  mkdirSync(folder);
  for (const [file, text] of Object.entries(modules)) writeFileSync(join(folder, file), text);
  const compilerOptions = {
    ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
    ...{ noUnusedLocals: true, noUnusedParameters: true, noEmit: true, skipLibCheck: true },
    ...{ target: 'ES2023', lib: ['ES2023', 'ESNext.Disposable', 'DOM'], module: 'NodeNext' },
    ...{ moduleResolution: 'NodeNext', verbatimModuleSyntax: true, isolatedModules: true },
    ...{ erasableSyntaxOnly: true, allowImportingTsExtensions: true, types: ['node'] },
    typeRoots: [join(root, 'node_modules/@types')],
    paths: { skep: [join(root, 'src/index.ts')] },
  };
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const tsc = join(root, 'node_modules/.bin/tsc');
  const { stdout, stderr } = spawnSync(tsc, ['-p', folder, '--pretty', 'false'], { encoding: 'utf8' });
  return stdout + stderr;
}

function bindingsOf(path: string, embeds: boolean): string | undefined {
  const bytes = new Uint8Array(readFileSync(path));
  const name = basename(path);
  try {
    const object = embeds ? bytes : { path };
    return generateBindings({ spec: openObject(bytes, { name }), name, object });
  } catch (error) {
    if (error instanceof SkepError) return undefined;
    throw error;
  }
}

test('the bindings of every object compile strictly', { skip }, () => {
  const modules: Record<string, string> = {};
  for (const path of objects) {
    const text = bindingsOf(path, path.includes('examples'));
    if (text !== undefined) modules[`${basename(path).replaceAll('.', '-')}.ts`] = text;
  }
  assert.ok(Object.keys(modules).length > 15);
  assert.equal(compile('objects', modules), '');
});

const fixture = join(root, 'fixtures/objects/bindings.bpf.o');

test('what a module says of its object', { skip }, () => {
  const text = bindingsOf(fixture, false)!;
  const wanted = [
    'export interface Event {\n  pid: number; // __u32\n',
    'export const Mode = {\n  OFF: 0,\n  ON: 1,\n  AUTO: 7,\n} as const;\nexport type Mode = number;\n',
    '  rules: Map<Address, Rule, AddressInput, RuleInput>; // hash, 16 entries\n',
    'export interface RuleInput {\n  from: AddressInput; // union address\n',
    'export interface Maps2 {\n  load: number; // int\n}\n',
    '  report: Program; // SEC("raw_tp/sys_enter")\n',
    "  return object.maps.events.ringBuffer<Event>({ type: 'event' });\n",
    "  return object.maps.tagged.perfBuffer<Sample>({ type: 'sample' });\n",
    'export type BindingsObject = Bindings<Programs, Maps, Variables, InitialValues>;\n',
  ];
  for (const each of wanted) assert.ok(text.includes(each), `${each} in\n${text}`);
});

/** What a user of the module writes, rightly and wrongly. */
const use = `
import { Kernel } from 'skep';
import { load, Mode, readEvents } from './object.ts';

const kernel = new Kernel();
const object = load(kernel, { variables: { mode: Mode.AUTO, limit: 5n, class: 9 } });
const limit: bigint = object.variables.limit.get();
object.variables.fallback.set({ from: { v4: 1 }, mode: Mode.ON });
object.maps.rules.set({ v4: 7 }, { from: { v6: new Array<number>(16).fill(1) }, mode: Mode.OFF });
const rule = object.maps.rules.get({ v4: 7 });
const v4: number | undefined = rule?.from.v4;
const events = readEvents(object);
object.programs.report.testRun();
events.drain(({ comm, data, pid }) => console.log(JSON.stringify({ comm, data, pid: typeof pid })));
console.log(JSON.stringify([Number(limit), v4, object.variables.mode.get()]));
events.close();
object.close();
// @ts-expect-error There is no such map.
object.maps.nothing;
// @ts-expect-error A number is wanted.
load(kernel, { variables: { class: 'x' } });
// @ts-expect-error The key is a union.
object.maps.rules.get({ v5: 1 });
// @ts-expect-error A ring buffer has no keys.
object.maps.events.get(1);
`;

test('a module that carries its object, used as it is meant to be and otherwise', { skip }, () => {
  const library = join(root, 'src/index.ts');
  const module = bindingsOf(fixture, true)!;
  assert.equal(compile('use', { 'object.ts': module, 'use.ts': use }), '');
  // Run from source, where Node takes TypeScript.
  if (!import.meta.url.endsWith('.ts')) return;
  for (const [file, text] of [
    ['object.ts', module],
    ['use.ts', use.slice(0, use.indexOf('// @ts'))],
  ] as const) {
    writeFileSync(join(scratch, 'use', file), text.replaceAll("'skep'", literal(library)));
  }
  const { stdout, stderr } = spawnSync(process.execPath, [join(scratch, 'use/use.ts')], { encoding: 'utf8' });
  assert.equal(stdout, '{"comm":"skep","data":[5,9,3],"pid":"number"}\n[5,16843009,7]\n', stderr);
});

/** Names that an object may have and C may not. */
const hostileNames = [
  "'; process.exit(1); '",
  '*/ process.exit(1) /*',
  `// \`\${process.exit(1)}\``,
  '\\',
  '\n',
  '\u2028',
  '\u202e',
  '\ud800',
  '__proto__',
  'constructor',
  'class',
  '',
  '0',
  'a b',
];

/** An object whose types, members, maps, programs and variables are all called so. */
function hostileSpec(): CollectionSpec {
  const builder = new BtfBuilder();
  const named = hostileNames.filter((name) => name !== '');
  const int: BtfType = {
    kind: 'int',
    name: 'int',
    size: 4,
    signed: true,
    char: false,
    bool: false,
    bitOffset: 0,
    bits: 32,
  };
  builder.add(int);
  const typeIds = named.map((name) => {
    const values = hostileNames.map((each, i) => ({ name: each, value: BigInt(i) }));
    const color = builder.add({ kind: 'enum', name, size: 4, signed: false, values });
    const members = [...new Set(named)]
      .filter((each) => each !== '__proto__')
      .map((each, i) => ({ name: each, type: i % 2 === 0 ? color : 1, bitOffset: i * 32, bitSize: 0 }));
    return builder.add({ kind: 'struct', name, size: members.length * 4, members });
  });
  const size = (named.length - 1) * 4;
  const map = { ...emptyMap(''), type: 1, keySize: 4, btfKeyTypeId: 1, valueSize: size, maxEntries: 1 };
  const each = <T>(make: (name: string, i: number) => T): Record<string, T> =>
    Object.fromEntries(named.map((name, i) => [name, make(name, i)]));
  return {
    maps: each((name, i) => ({ ...map, name, btfValueTypeId: typeIds[i]! })),
    variables: each((name, i) => ({ name, map: name, offset: 0, size, btfTypeId: typeIds[i]! })),
    programs: each((name) => ({
      ...Object.values(openObject(readFileSync(fixture)).programs)[0]!,
      name,
      section: name,
    })),
    btf: builder.build(),
    byteOrder: 'little',
  };
}

test('hostile names become names and text, and nothing else', { skip }, () => {
  const spec = hostileSpec();
  const modules = Object.fromEntries(
    hostileNames.map((name, i) => [`m${i}.ts`, generateBindings({ spec, name, object: { path: name } })]),
  );
  for (const text of Object.values(modules)) assert.match(text, /^[\n -~]*$/, 'printable ASCII');
  assert.equal(compile('hostile', modules), '');
});

test('an object that would be very much text is refused', () => {
  const builder = new BtfBuilder();
  builder.add({
    kind: 'int',
    name: 'int',
    size: 4,
    signed: true,
    char: false,
    bool: false,
    bitOffset: 0,
    bits: 32,
  });
  // Each is in the next twice, without a name: twice the members each time.
  for (let type = 1; type < 30; type++) {
    const members = ['a', 'b'].map((name, i) => ({
      name,
      type,
      bitOffset: i * 32 * 2 ** (type - 1),
      bitSize: 0,
    }));
    builder.add({ kind: 'struct', name: '', size: 4 * 2 ** type, members });
  }
  const maps = {
    big: { ...emptyMap('big'), type: 2, keySize: 4, btfValueTypeId: 24, valueSize: 4 * 2 ** 23 },
  };
  const spec: CollectionSpec = {
    maps,
    variables: {},
    programs: {},
    btf: builder.build(),
    byteOrder: 'little',
  };
  assert.throws(
    () => generateBindings({ spec, name: 'big', object: { path: 'big' } }),
    (error) => error instanceof SkepError && /more than 262144 members/.test(error.line),
  );
});

test('names', () => {
  const cases: [string, string][] = [
    ['flow_key', 'FlowKey'],
    ['__sk_buff', 'SkBuff'],
    ['4tuple', '_4tuple'],
    ['a-b.c', 'ABC'],
    ['', '_'],
    ['μ', '_'],
  ];
  for (const [name, want] of cases) assert.equal(pascalCase(name), want);
  const names = new NameSpace(['Map']);
  assert.deepEqual(
    ['Map', 'Map', 'Map2'].map((name) => names.unique(name)),
    ['Map2', 'Map3', 'Map22'],
  );
  assert.equal(literal("it's \\ \n \u00e9"), "'it\\'s \\\\ \\u000a \\u00e9'");
  assert.deepEqual([propertyName('ok_1'), propertyName('1'), propertyName('a b')], ['ok_1', "'1'", "'a b'"]);
  assert.equal(commentText('a*/b\n'), 'a* /b?');
});
