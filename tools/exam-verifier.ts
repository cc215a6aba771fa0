/**
 * `npm run exam -- FILE.jsonl.gz… [--list laxer|stricter|crashed|slow|message|log|processed] [--only ID] [--json]
 * [--log2]`: runs recorded programs through the verifier and compares with what Linux answered. A record is a
 * line of JSON: the program, the maps that it names, the verdict, errno and log. Loads nothing into a kernel.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { fromHex } from '../src/base/index.ts';
import { readBtf } from '../src/btf/index.ts';
import type { Errno } from '../src/uapi/errno.ts';
import { errnos } from '../src/uapi/errno.ts';
import { type Capabilities, type MapFacts, type VerifierResult, verify } from '../src/verifier/index.ts';

interface RecordedMap {
  type: number;
  key_size: number;
  value_size: number;
  max_entries: number;
  flags: number;
  name?: string;
  btf?: string;
  btf_key_type_id?: number;
  btf_value_type_id?: number;
  inner?: RecordedMap;
  frozen?: boolean;
  init?: { key: string; value?: string }[];
}

interface Recorded {
  id: string;
  name: string;
  prog_type: number;
  expected_attach_type: number;
  prog_flags: number;
  license: string;
  insns: string;
  maps: RecordedMap[];
  btf?: string;
  func_info?: string;
  line_info?: string;
  attach_btf_id?: number;
  capabilities?: string[] | string;
  linux: {
    verdict: 'accept' | 'reject';
    errno: number;
    log1?: string;
    log1_tail?: string;
    log2?: string;
    processed: number;
  };
}

const { values: options, positionals: files } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: 'string' },
    only: { type: 'string' },
    json: { type: 'boolean' },
    log2: { type: 'boolean' },
    limit: { type: 'string' },
  },
});

const licences = [
  'GPL',
  'GPL v2',
  'GPL and additional rights',
  'Dual BSD/GPL',
  'Dual MIT/GPL',
  'Dual MPL/GPL',
];
const blobs = new Map<string, Uint8Array>();
const MAP_FD_BASE = 0;
/** Of the machine that recorded. */
const RECORDED_CPUS = 2;

function blob(folder: string, name: string): Uint8Array {
  const known = blobs.get(name);
  if (known !== undefined) return known;
  const bytes = new Uint8Array(readFileSync(join(folder, 'blobs', name)));
  blobs.set(name, bytes);
  return bytes;
}

function mapFacts(map: RecordedMap, at: { index: number; folder: string }): MapFacts {
  const address = 0x1000_0000 + at.index * 0x10_0000;
  const value = map.init?.[0]?.value;
  const bytes = value === undefined ? new Uint8Array(map.value_size) : fromHex(value);
  return {
    handle: map,
    id: at.index + 1,
    name: map.name ?? '',
    type: map.type,
    keySize: map.key_size,
    valueSize: map.value_size,
    maxEntries: map.max_entries,
    flags: map.flags,
    frozen: map.frozen === true,
    innerMap: map.inner === undefined ? undefined : mapFacts(map.inner, { ...at, index: at.index + 64 }),
    btf: map.btf === undefined ? undefined : readBtf(blob(at.folder, map.btf)),
    btfKeyTypeId: map.btf_key_type_id,
    btfValueTypeId: map.btf_value_type_id,
    address,
    valueAddress: map.type === 2 && map.max_entries === 1 ? address + 0x1000 : undefined,
    readConstant: (offset, size) =>
      offset >= 0 && offset + size <= bytes.length ? bytes.subarray(offset, offset + size) : undefined,
  };
}

let vmlinux: Uint8Array | undefined;

/** The BTF of the kernel that recorded, beside the exam. */
function kernelBtf(folder: string): Uint8Array | undefined {
  const file = join(folder, 'vmlinux-6.18.44.btf.gz');
  if (vmlinux === undefined && existsSync(file)) vmlinux = new Uint8Array(gunzipSync(readFileSync(file)));
  return vmlinux;
}

function capabilitiesOf(record: Recorded): Capabilities {
  const given = record.capabilities;
  if (given === undefined) return { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true };
  const has = (name: string): boolean => JSON.stringify(given).toUpperCase().includes(name);
  return { bpf: has('BPF'), perfmon: has('PERFMON'), netAdmin: has('NET_ADMIN'), sysAdmin: has('SYS_ADMIN') };
}

function run(record: Recorded, folder: string, logLevel: number): VerifierResult {
  const maps = record.maps.map((map, index) => mapFacts(map, { index, folder }));
  return verify({
    insns: fromHex(record.insns),
    progType: record.prog_type,
    expectedAttachType: record.expected_attach_type,
    progFlags: record.prog_flags,
    gplCompatible: licences.includes(record.license),
    capabilities: capabilitiesOf(record),
    resolveMap: (fd): MapFacts | Errno => maps[fd - MAP_FD_BASE] ?? (fd >= 0 && fd < 3 ? 'EINVAL' : 'EBADF'),
    btf: record.btf === undefined ? undefined : blob(folder, record.btf),
    funcInfo: record.func_info === undefined ? undefined : fromHex(record.func_info),
    lineInfo: record.line_info === undefined ? undefined : fromHex(record.line_info),
    attachBtfId: record.attach_btf_id,
    kernelBtf: kernelBtf(folder),
    logLevel,
    cpus: RECORDED_CPUS,
  });
}

function masked(log: string): string {
  return log
    .replace(/\(18\) r(\d+) = (0x[0-9a-f]+|KADDR) */g, '(18) r$1 = KADDR ')
    .replace(/^(verification time|stack depth) .*\n/gm, '')
    .replace(/^processed (\d+) insns.*$/gm, 'processed $1 insns');
}

function lastMessage(log: string): string {
  const lines = masked(log)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('processed '));
  return lines[lines.length - 1] ?? '';
}

interface Tally {
  agreeAccept: number;
  agreeReject: number;
  laxer: string[];
  stricter: string[];
  crashed: string[];
  slow: string[];
  message: string[];
  log: string[];
  processed: string[];
  errno: number;
  ms: number;
}

function examine(file: string): Tally {
  const tally: Tally = {
    agreeAccept: 0,
    agreeReject: 0,
    laxer: [],
    stricter: [],
    crashed: [],
    slow: [],
    message: [],
    log: [],
    processed: [],
    errno: 0,
    ms: 0,
  };
  const folder = dirname(file);
  for (const line of gunzipSync(readFileSync(file)).toString('utf8').split('\n')) {
    if (line === '') continue;
    const record = JSON.parse(line) as Recorded;
    if (options.only !== undefined && record.id !== options.only) continue;
    grade(record, { folder, tally });
  }
  return tally;
}

function grade(record: Recorded, at: { folder: string; tally: Tally }): void {
  const { folder, tally } = at;
  const { linux } = record;
  const started = performance.now();
  let result: VerifierResult;
  try {
    result = run(
      record,
      folder,
      options.log2 ? 2 : linux.verdict === 'reject' || options.only !== undefined ? 1 : 0,
    );
  } catch (error) {
    tally.crashed.push(
      `${record.id} ${record.name}: ${error instanceof Error ? (error.stack ?? '').split('\n').slice(0, 4).join(' | ') : error}`,
    );
    return;
  }
  const ms = performance.now() - started;
  tally.ms += ms;
  if (ms > 10_000) tally.slow.push(record.id);
  if (options.only !== undefined) {
    console.log(
      `--- ours\n${result.log}--- Linux\n${options.log2 ? linux.log2 : (linux.log1 ?? linux.log1_tail)}`,
    );
  }
  const said = result.ok ? 'accepted' : `${result.errno}: ${result.message}`;
  const wanted = (options.log2 ? linux.log2 : undefined) ?? linux.log1 ?? linux.log1_tail ?? '';
  if (result.ok && linux.verdict === 'accept') {
    tally.agreeAccept++;
    if (options.log2 && linux.log2 !== undefined && masked(result.log) !== masked(linux.log2)) {
      tally.log.push(`${record.id} ${record.name}`);
    }
    if (result.stats.processed !== linux.processed) {
      tally.processed.push(
        `${record.id} ${record.name}: ${result.stats.processed}, Linux ${linux.processed}`,
      );
    }
  } else if (!result.ok && linux.verdict === 'reject') {
    tally.agreeReject++;
    if (errnos[result.errno] !== linux.errno) tally.errno++;
    if (lastMessage(result.log) !== lastMessage(wanted)) {
      tally.message.push(`${record.id} ${record.name}: ${said} | Linux: ${lastMessage(wanted)}`);
    }
    if (masked(result.log) !== masked(wanted))
      tally.log.push(`${record.id} ${record.name}: ${lastMessage(wanted)}`);
  } else if (result.ok) tally.laxer.push(`${record.id} ${record.name}: Linux: ${lastMessage(wanted)}`);
  else tally.stricter.push(`${record.id} ${record.name}: ${said}`);
}

const share = (part: number, all: number): string =>
  all === 0 ? '-' : `${((100 * part) / all).toFixed(1)} %`;

for (const file of files) {
  if (!existsSync(file)) {
    console.error(`exam: no file ${file}`);
    process.exitCode = 1;
    continue;
  }
  const tally = examine(file);
  const total =
    tally.agreeAccept + tally.agreeReject + tally.laxer.length + tally.stricter.length + tally.crashed.length;
  const agreed = tally.agreeAccept + tally.agreeReject;
  const figures = {
    file: basename(file),
    programs: total,
    agreeAccept: tally.agreeAccept,
    agreeReject: tally.agreeReject,
    sameVerdict: share(tally.agreeAccept + tally.agreeReject, total),
    laxer: tally.laxer.length,
    stricter: tally.stricter.length,
    crashed: tally.crashed.length,
    slow: tally.slow.length,
    messageEqual: share(tally.agreeReject - tally.message.length, tally.agreeReject),
    errnoEqual: share(tally.agreeReject - tally.errno, tally.agreeReject),
    logEqual: options.log2
      ? share(agreed - tally.log.length, agreed)
      : share(tally.agreeReject - tally.log.length, tally.agreeReject),
    processedEqual: share(tally.agreeAccept - tally.processed.length, tally.agreeAccept),
    msPerProgram: (tally.ms / Math.max(1, total)).toFixed(2),
  };
  if (options.json) console.log(JSON.stringify(figures));
  else console.table(figures);
  const list = options.list as keyof Tally | undefined;
  const rows = list === undefined ? [] : tally[list];
  if (Array.isArray(rows)) for (const row of rows.slice(0, Number(options.limit ?? 1e9))) console.log(row);
}
