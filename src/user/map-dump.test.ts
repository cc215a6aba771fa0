/** What maps hold as bpftool prints it: goldens on the embedded kernel, and bpftool itself on the running one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { whyNoLinux } from '../../test/support/linux.ts';
import { BtfBuilder, readBtf } from '../btf/index.ts';
import { LinuxKernel } from '../linux-kernel.ts';
import { openObject } from '../object/index.ts';
import {
  type Map as BpfMap,
  type Collection,
  Kernel,
  type KernelHandle,
  type MapDumpFormat,
} from './index.ts';
import { dumpMap } from './map-dump.ts';

const object = readFileSync(fileURLToPath(new URL('../../fixtures/objects/dump.bpf.o', import.meta.url)));
const flags: readonly [MapDumpFormat, string[]][] = [
  ['text', []],
  ['json', ['-j']],
  ['pretty', ['-p']],
];

/** Bytes by a rule that hits every bit. */
function bytes(size: number, byte: (index: number) => number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => byte(i));
}

/** Elements in every map of the object. */
function fill(kernel: KernelHandle, loaded: Collection): void {
  const everything = loaded.map('everything');
  const size = everything.valueSize;
  everything.setRawValue({ number: 1, name: 'ab' }, new Uint8Array(size));
  everything.setRawValue(
    { number: 2, name: '"\'/' },
    bytes(size, (i) => i * 7 + 33),
  );
  everything.setRawValue(
    { number: 3, name: [-1, 1, 65, 0] },
    bytes(size, (i) => (i > 90 ? 0x40 + (i % 20) : 255)),
  );
  loaded.map('texts').set('ab', 0x123456789abcdef0123456789abcdef0n);
  loaded.map('texts').set([1, 2, 3, 4], 5n);
  loaded.map('enums').set('GREEN', 0x100000000n);
  loaded.map('enums').set(3, 5n);
  loaded.map('chars').set(0, 65);
  loaded.map('untyped').set(7, new Uint8Array(12).fill(3));
  const bss = loaded.map('object.bss');
  bss.setRawValue(
    0,
    bytes(bss.valueSize, (i) => i),
  );
  const cpus = Array.from({ length: kernel.sys.possibleCpus() }, (_, i) => i);
  loaded.map('percpu').set(
    1,
    cpus.map((cpu) => ({ a: cpu % 8, b: 9, c: -3, d: true, e: 5n, f: 7 })),
  );
  loaded.map('untyped_percpu').set(
    7,
    cpus.map((cpu) => Uint8Array.of(cpu, 2, 3, 4)),
  );
}

test('on the embedded kernel', () => {
  using kernel = new Kernel();
  const spec = openObject(object);
  // Maps of maps are for the verifier alone here.
  spec.maps['outer']!.contents = [];
  const loaded = kernel.load(spec);
  fill(kernel, loaded);
  const dump = (name: string, format?: MapDumpFormat): string => loaded.map(name).dump(format);
  assert.equal(
    dump('percpu'),
    `[{
        "key": 0,
        "values": [{
                "cpu": 0,
                "value": {
                    "a": 0x0,
                    "b": 0x0,
                    "c": 0x0,
                    "d": 0x0,
                    "e": 0x0,
                    "f": 0x0
                }
            }
        ]
    },{
        "key": 1,
        "values": [{
                "cpu": 0,
                "value": {
                    "a": 0x0,
                    "b": 0x9,
                    "c": 0x1d,
                    "d": 0x1,
                    "e": 0x5,
                    "f": 0x7
                }
            }
        ]
    }
]
`,
  );
  assert.equal(
    dump('object.bss', 'json'),
    `[{"key":["0x00","0x00","0x00","0x00"],"value":[${Array.from({ length: 24 }, (_, i) => `"0x${i.toString(16).padStart(2, '0')}"`).join()}],"formatted":{"value":{".bss":[{"zeros":{"a":"0x0","b":"0x20","c":"0x0","d":"0x0","e":"0x5040302","f":"0x3"}},{"counters":[1084818905618843912,1663540288323457296]}]}}}]\n`,
  );
  assert.equal(
    dump('untyped'),
    'key: 07 00 00 00  value: 03 03 03 03 03 03 03 03  03 03 03 03\nFound 1 element\n',
  );
  assert.equal(dump('untyped_percpu'), 'key:\n07 00 00 00\nvalue (CPU 00): 00 02 03 04\nFound 1 element\n');
  assert.match(dump('everything'), /"i128": 0x6a635c554e474039322b241d160f0801,\n/);
  assert.match(dump('everything', 'pretty'), /"i128": "0x6a635c554e474039322b241d160f0801",\n/);
  assert.match(dump('everything'), /"next": 0x423b342d261f1811,\n/);
  assert.match(dump('everything', 'json'), /"node":\{"next":4772465598646917137,"handle"/);
  for (const map of Object.values(loaded.maps))
    JSON.parse(['queue', 'hash_of_maps'].includes(map.typeName) ? '0' : map.dump('json'));
});

test('few bytes that are described very many times are refused', () => {
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
  for (let type = 1; type < 60; type++) {
    const members = ['a', 'b'].map((name) => ({ name, type, bitOffset: 0, bitSize: 0 }));
    builder.add({ kind: 'union', name: '', size: 4, members });
  }
  const btf = readBtf(builder.build());
  const zeros = new Uint8Array(4);
  const types = { btf: () => btf, keyTypeId: 1, valueTypeId: 60 };
  assert.throws(
    () => [
      ...dumpMap({ keySize: 4, valueSize: 4, cpus: undefined, types, entries: [[zeros, zeros]] }, 'text'),
    ],
    /described too many times over/,
  );
});

const skip = whyNoLinux() || (spawnSync('bpftool', ['version']).status !== 0 && 'no bpftool');

test('on the running kernel, as bpftool', { skip }, () => {
  const kernel = new LinuxKernel();
  const loaded = kernel.load(object);
  fill(kernel, loaded);
  const maps: BpfMap[] = Object.values(loaded.maps).filter(({ typeName }) => typeName !== 'queue');
  const sizes = [
    [4, 17],
    [17, 4],
    [4, 20],
    [12, 13],
    [8, 16],
    [40, 33],
  ] as const;
  const cpus = kernel.sys.possibleCpus();
  for (const type of ['hash', 'percpu_hash'] as const) {
    for (const [keySize, valueSize] of sizes) {
      const map = kernel.createMap({ type, keySize, valueSize, maxEntries: 4 });
      const size = type === 'hash' ? valueSize : Math.ceil(valueSize / 8) * 8 * cpus;
      const keys = [1, 2].map((key) => bytes(keySize, (i) => i + key));
      for (const key of keys)
        map.setRawValue(
          key,
          bytes(size, (i) => i * 3),
        );
      maps.push(map);
    }
  }
  try {
    for (const map of maps) {
      for (const [format, options] of flags) {
        const { stdout } = spawnSync('bpftool', [...options, 'map', 'dump', 'id', String(map.id)], {
          encoding: 'utf8',
        });
        assert.equal(map.dump(format), stdout, `${map.typeName} ${map.name} ${format}`);
      }
    }
  } finally {
    for (const map of maps) map.close();
    loaded.close();
  }
});
