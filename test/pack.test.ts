/**
 * The package as its users get it: packed, installed into an empty folder, and used there by the Node that npm
 * runs on; the command, the subpaths, the types, and a program written from the README's library example.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const fromSource = import.meta.url.endsWith('.ts');
const root = fileURLToPath(new URL('../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'skep-pack-'));
/** Without node_modules/.bin: what is installed runs on the user's own Node. */
const path = (process.env['PATH'] ?? '').split(delimiter).filter((entry) => !entry.includes('node_modules'));
const env = { ...process.env, PATH: path.join(delimiter), NODE_OPTIONS: '' };

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, {
    cwd: folder,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

const skip = fromSource ? false : 'packed once, in the run from source';

before(() => {
  if (!fromSource) return;
  const packed = execFileSync('npm', ['pack', '--json', '--loglevel=error', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
  });
  const [{ filename }] = JSON.parse(packed.slice(packed.indexOf('[\n'))) as [{ filename: string }];
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'user', private: true, type: 'module' }),
  );
  run(
    'npm',
    'install',
    '--offline',
    '--omit=optional',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    filename,
  );
  copyFileSync(join(folder, 'node_modules/skep/examples/firewall.bpf.o'), join(folder, 'firewall.bpf.o'));
});

after(() => rmSync(folder, { recursive: true, force: true }));

test("the README's library example runs in a folder of its own", { skip }, () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const example = /```js\n(.*?)```/s.exec(readme)?.[1];
  assert.ok(example !== undefined, 'the README has a library example');
  const file = readFileSync(join(root, 'examples/library.ts'), 'utf8');
  assert.equal(example, file.slice(file.indexOf('import')), 'it is examples/library.ts');
  writeFileSync(join(folder, 'library.js'), example);
  assert.match(run('node', 'library.js'), /^dropped\n.*protocol: 6, port: 80.*dropped: 1n/s);
});

test('the command is installed', { skip }, () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  assert.equal(run('npx', '--offline', 'skep', '--version'), `skep ${version}\n`);
  const result = run(
    'npx',
    '--offline',
    'skep',
    'run',
    'firewall.bpf.o',
    '--json',
    '--set',
    'blocked.80=1',
    '--pcap',
    join('node_modules/skep/examples/captures/network.pcap'),
  );
  const { verdicts } = JSON.parse(result) as { verdicts: Record<string, { packets: number }> };
  assert.equal(verdicts['drop']?.packets, 41);
});

test('the conformance plugin is installed, with both engines', { skip }, () => {
  for (const engine of ['interp', 'jit']) {
    const args = ['--offline', 'skep-conformance', '--engine', engine, '11 22'];
    const ran = execFileSync('npx', args, {
      cwd: folder,
      env,
      encoding: 'utf8',
      input: '71 10 01 00 00 00 00 00 95 00 00 00 00 00 00 00\n',
    });
    assert.equal(ran, '22\n');
  }
});

test('every subpath can be imported, and no other', { skip }, () => {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports: object };
  const subpaths = Object.keys(exports).filter((key) => !key.endsWith('.json'));
  const names = subpaths.map((key) => join('skep', key));
  const script = `for (const name of ${JSON.stringify(names)}) {
    const module = await import(name);
    if (Object.keys(module).length === 0) throw new Error(name + ' exports nothing');
  }
  console.log('all');`;
  assert.equal(run('node', '--input-type=module', '-e', script), 'all\n');
  assert.throws(() => run('node', '--input-type=module', '-e', "await import('skep/base')"));
});

const needsLinux = skip || (process.platform === 'linux' ? false : 'on Linux only');

test('without koffi, skep/linux says how to get it', { skip: needsLinux }, () => {
  const script = `const { LinuxKernel } = await import('skep/linux');
  try { new LinuxKernel(); } catch (error) { console.log(error.line); }`;
  assert.equal(
    run('node', '--input-type=module', '-e', script),
    'the optional package koffi, by which the Linux kernel is called, cannot be loaded (npm install koffi)\n',
  );
});

test('its types hold in a strict TypeScript project', { skip }, () => {
  const text = `import { Kernel, type CollectionSpec, openObject } from 'skep';
import { assemble, mov, exit, program, r0 } from 'skep/asm';
import { encode } from 'skep/isa';
const kernel = new Kernel();
const spec: CollectionSpec = openObject(new Uint8Array());
const retval: number = kernel.load(spec).program('firewall').testRun({ data: new Uint8Array(64) }).retval;
export const bytes: Uint8Array = encode(assemble('r0 = 11\\nexit'));
export const same = program(mov(r0, 11), exit());
export { retval };
// @ts-expect-error a packet is bytes
kernel.load(spec).program('firewall').testRun({ data: 'packet' });
`;
  writeFileSync(join(folder, 'types.ts'), text);
  const options = [
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2023',
    '--lib',
    'es2023,dom,esnext.disposable',
    '--noEmit',
    '--types',
    '',
  ];
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...options, 'types.ts'], {
    cwd: folder,
    stdio: 'pipe',
  });
});
