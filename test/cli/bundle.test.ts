/**
 * The bundler that makes the published command one file: what it makes of each form of import and export,
 * and that it refuses what it does not know.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, test } from 'node:test';
import { bundle } from '../../tools/bundle.ts';
import { scratch } from './skep.ts';

const files = scratch();
after(() => files.remove());

test('every form of import and export, lazy ones on demand', () => {
  files.write(
    'leaf.js',
    "console.log('leaf');\nexport const one = 1;\nexport function two() {\n  return 2;\n}\n",
  );
  files.write('barrel.js', "export * from './leaf.js';\nexport { one as uno } from './leaf.js';\n");
  files.write(
    'lazy.js',
    "import { two as zwei } from './barrel.js';\nclass Three {}\nexport { Three as Drei };\nexport const sum = zwei() + 1;\n",
  );
  const main = files.write(
    'main.js',
    [
      '#!/usr/bin/env node',
      "import { basename } from 'node:path';",
      "import * as os from 'node:os';",
      "console.log('start', basename('/a/b'), typeof os.tmpdir);",
      "const lazy = await import('./lazy.js');",
      "const again = await import('./barrel.js');",
      'console.log(lazy.sum, lazy.Drei.name, again.uno, again.two());',
    ].join('\n'),
  );
  const out = files.write('out.mjs', bundle(main));
  assert.equal(
    execFileSync(process.execPath, [out], { encoding: 'utf8' }),
    'start b function\nleaf\n3 Three 1 2\n',
  );
});

test('what it does not know is refused', () => {
  const cases = [
    { code: 'export default 1;\n', want: /not understood: export default 1/ },
    { code: 'export let changing = 1;\n', want: /not understood: export let/ },
    { code: "import './effect.js';\n", want: /not understood: import/ },
    { code: 'console.log(import.meta.url);\n', want: /import\.meta outside of the entry/ },
    { code: "import { a } from './bad.js';\n", want: /imports itself in a circle/ },
  ];
  const main = files.write('entry.js', "import { a } from './bad.js';\n");
  for (const { code, want } of cases) {
    files.write('bad.js', code);
    assert.throws(() => bundle(main), want);
  }
});
