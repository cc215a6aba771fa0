/** Loading programs: arguments, the log buffer, info, tags, program arrays and who may load. */
import assert from 'node:assert/strict';
import { toHex } from '../../src/base/bytes.ts';
import type { BpfAttr } from '../../src/uapi/commands.ts';
import { mapTypes } from '../../src/uapi/map-types.ts';
import { progTypes } from '../../src/uapi/prog-types.ts';
import type { System } from '../../src/uapi/seam.ts';
import {
  type ContractTest,
  load,
  loadAttr,
  makeMap,
  outcome,
  progInfo,
  type Row,
  readU32,
  returnZero,
  tableTest,
  u32,
} from './harness.ts';

const rejected = 'exit';
const tailCall = (fd: number): string => `r2 = map[fd:${fd}]\nr3 = 0\ncall 12\nr0 = 0\nexit`;

const loading: readonly Row<System>[] = [
  { name: 'a program', call: (s) => load(s, returnZero), want: 'ok' },
  { name: 'one that the verifier rejects', call: (s) => load(s, rejected), want: 'EACCES' },
  { name: 'no instructions', call: (s) => load(s, returnZero, { insnCnt: 0 }), want: 'E2BIG' },
  { name: 'more than a million', call: (s) => load(s, returnZero, { insnCnt: 1_000_001 }), want: 'E2BIG' },
  { name: 'no buffer', call: (s) => load(s, returnZero, { insns: undefined }), want: 'EFAULT' },
  { name: 'no licence', call: (s) => load(s, returnZero, { license: undefined }), want: 'EFAULT' },
  { name: 'a long licence', call: (s) => load(s, returnZero, { license: 'x'.repeat(199) }), want: 'ok' },
  { name: 'no such type', call: (s) => load(s, returnZero, { progType: 99 }), want: 'EINVAL' },
  { name: 'type 0', call: (s) => load(s, returnZero, { progType: 0 }), want: 'EINVAL' },
  { name: 'unknown flags', call: (s) => load(s, returnZero, { progFlags: 1 << 12 }), want: 'EINVAL' },
  {
    name: 'a socket filter that sleeps',
    call: (s) => load(s, returnZero, { progFlags: 16 }),
    want: 'EINVAL',
  },
  { name: 'test flags', call: (s) => load(s, returnZero, { progFlags: 8 }), want: 'ok' },
  { name: 'a name with a dash', call: (s) => load(s, returnZero, { progName: 'a-b' }), want: 'EINVAL' },
  {
    name: 'any expected attach type',
    call: (s) => load(s, returnZero, { expectedAttachType: 999 }),
    want: 'ok',
  },
  { name: 'BTF that is not looked at', call: (s) => load(s, returnZero, { progBtfFd: 999 }), want: 'ok' },
  {
    name: 'func_info without BTF',
    call: (s) =>
      load(s, returnZero, {
        funcInfo: new Uint8Array(8),
        funcInfoCnt: 1,
        funcInfoRecSize: 8,
        progBtfFd: 999,
      }),
    want: 'EBADF',
  },
  { name: 'attach_btf_id', call: (s) => load(s, returnZero, { attachBtfId: 1 }), want: 'EINVAL' },
  { name: 'kern_version', call: (s) => load(s, returnZero, { kernVersion: 7 }), want: 'ok' },
  {
    name: 'fd_array with no fd',
    call: (s) => load(s, returnZero, { fdArray: u32(999), fdArrayCnt: 1 }),
    want: 'EBADF',
    since: '6.18',
  },
];

/** What 6.18 answers to settings of the log, for a good and for a bad program. */
const logSettings: readonly {
  name: string;
  level: number;
  size: number;
  buffer: boolean;
  want: 'EINVAL' | 'ENOSPC' | 'verdict';
}[] = [
  { name: 'nothing', level: 0, size: 0, buffer: false, want: 'verdict' },
  { name: 'a buffer without a level', level: 0, size: 1000, buffer: true, want: 'EINVAL' },
  { name: 'a level without a buffer', level: 1, size: 0, buffer: false, want: 'verdict' },
  { name: 'a buffer without a size', level: 1, size: 0, buffer: true, want: 'EINVAL' },
  { name: 'a size without a buffer', level: 1, size: 1000, buffer: false, want: 'EINVAL' },
  { name: 'a buffer', level: 1, size: 1000, buffer: true, want: 'verdict' },
  { name: 'a short buffer', level: 1, size: 20, buffer: true, want: 'ENOSPC' },
  { name: 'a buffer of one byte', level: 1, size: 1, buffer: true, want: 'ENOSPC' },
  { name: 'level 2', level: 2, size: 4096, buffer: true, want: 'verdict' },
  { name: 'statistics', level: 4, size: 4096, buffer: true, want: 'verdict' },
  { name: 'a fixed buffer', level: 9, size: 4096, buffer: true, want: 'verdict' },
  { name: 'an unknown level', level: 16, size: 4096, buffer: true, want: 'EINVAL' },
  { name: 'the largest size', level: 1, size: 0x3fffffff, buffer: true, want: 'verdict' },
  { name: 'a size above it', level: 1, size: 0x40000000, buffer: true, want: 'EINVAL' },
];

/** The text of a log buffer up to its NUL, which must be there. */
function logText(buffer: Uint8Array): string {
  const end = buffer.indexOf(0);
  assert.ok(end >= 0, 'the log ends in a NUL');
  return new TextDecoder().decode(buffer.subarray(0, end));
}

function withLog(s: System, text: string, attr: BpfAttr<'progLoad'>) {
  const made: BpfAttr<'progLoad'> = { ...loadAttr(text), ...attr, logTrueSize: 0 };
  const result = outcome(() => s.bpf('progLoad', made));
  return { result, trueSize: made.logTrueSize ?? 0 };
}

export const programs: readonly ContractTest[] = [
  tableTest('arguments', (m) => m.spawn(), loading),
  {
    name: 'settings of the log',
    since: '6.12',
    run: (machine) => {
      const s = machine.spawn();
      for (const [text, verdict] of [
        [returnZero, 'ok'],
        [rejected, 'EACCES'],
      ] as const) {
        for (const row of logSettings) {
          const logBuf = row.buffer ? new Uint8Array(Math.min(row.size || 100, 8192)) : undefined;
          const { result } = withLog(s, text, { logLevel: row.level, logSize: row.size, logBuf });
          assert.equal(result, row.want === 'verdict' ? verdict : row.want, `${row.name}, ${verdict}`);
        }
      }
    },
  },
  {
    name: 'the true size of a log counts its NUL, and fits',
    since: '6.12',
    run: (machine) => {
      const s = machine.spawn();
      const { trueSize } = withLog(s, rejected, { logLevel: 1 });
      const logBuf = new Uint8Array(trueSize);
      const fits = withLog(s, rejected, { logLevel: 1, logSize: trueSize, logBuf });
      assert.deepEqual(fits, { result: 'EACCES', trueSize });
      assert.equal(logText(logBuf).length, trueSize - 1);
      assert.match(logText(logBuf), /^R0 !read_ok$/m);
      const short = withLog(s, rejected, { logLevel: 1, logSize: trueSize - 1, logBuf });
      assert.deepEqual(short, { result: 'ENOSPC', trueSize });
    },
  },
  {
    name: 'a log needs the room of its true size, also where the program is good',
    since: '6.12',
    run: (machine) => {
      const s = machine.spawn();
      const { trueSize } = withLog(s, returnZero, { logLevel: 2 });
      const settings = { logLevel: 2, logBuf: new Uint8Array(trueSize) };
      assert.equal(withLog(s, returnZero, { ...settings, logSize: trueSize }).result, 'ok');
      assert.equal(withLog(s, returnZero, { ...settings, logSize: trueSize - 1 }).result, 'ENOSPC');
    },
  },
  {
    name: 'a log that is too long keeps its end, or its start where the buffer is fixed',
    since: '6.12',
    run: (machine) => {
      const s = machine.spawn();
      const whole = new Uint8Array(4096);
      withLog(s, rejected, { logLevel: 1, logSize: whole.length, logBuf: whole });
      const text = logText(whole);
      const part = new Uint8Array(20);
      withLog(s, rejected, { logLevel: 1, logSize: 20, logBuf: part });
      assert.equal(logText(part), text.slice(-19));
      withLog(s, rejected, { logLevel: 9, logSize: 20, logBuf: part });
      assert.equal(logText(part), text.slice(0, 19));
    },
  },
  {
    name: 'the info record: name, licence, instructions with map ids, and the maps',
    run: (machine) => {
      const s = machine.spawn();
      const array = makeMap(s, { mapType: mapTypes.prog_array.id });
      const fd = load(s, tailCall(array), {
        progType: progTypes.xdp.id,
        progName: 'jump',
        license: 'Dual MIT/GPL',
      });
      const xlatedProgInsns = new Uint8Array(48);
      const mapIds = new Uint8Array(16);
      const info = { kind: 'prog', xlatedProgInsns, xlatedProgLen: 48, mapIds, nrMapIds: 4 } as const;
      const filled: { -readonly [K in keyof typeof info]: (typeof info)[K] } & Record<string, unknown> = {
        ...info,
      };
      s.bpf('objGetInfoByFd', { bpfFd: fd, info: filled as never });
      const mapId = Number(readU32(mapIds));
      assert.equal(filled['name'], 'jump');
      assert.equal(filled['type'], progTypes.xdp.id);
      assert.equal((filled['bits'] as number) & 1, 1);
      assert.equal(filled['createdByUid'], 0);
      assert.equal(filled.nrMapIds as number, 1);
      assert.equal(filled.xlatedProgLen as number, 48);
      assert.deepEqual([...xlatedProgInsns.subarray(0, 8)], [0x18, 0x12, 0, 0, ...u32(mapId)]);
    },
  },
  {
    name: 'tags are those of Linux 6.18, whatever the fds',
    since: '6.18',
    run: (machine) => {
      const s = machine.spawn();
      const tag = (fd: number): string => toHex(progInfo(s, fd)['tag'] as Uint8Array);
      assert.equal(tag(load(s, returnZero)), '59f4a931744dcdc6');
      const array = makeMap(s, { mapType: mapTypes.prog_array.id });
      assert.equal(tag(load(s, tailCall(array))), 'bee9555f92c985df');
    },
  },
  {
    name: 'fd_array with a count binds every map of it',
    since: '6.18',
    run: (machine) => {
      const s = machine.spawn();
      const fdArray = Uint8Array.of(...u32(makeMap(s)), ...u32(makeMap(s)));
      const fd = load(s, returnZero, { fdArray, fdArrayCnt: 2 });
      assert.equal(progInfo(s, fd)['nrMapIds'], 2);
    },
  },
  {
    name: 'a program array belongs to the first type of program that uses it',
    run: (machine) => {
      const s = machine.spawn();
      const array = makeMap(s, { mapType: mapTypes.prog_array.id });
      load(s, tailCall(array), { progType: progTypes.xdp.id });
      assert.equal(
        outcome(() => load(s, tailCall(array))),
        'EINVAL',
      );
      const put = (fd: number) => () => s.bpf('mapUpdateElem', { mapFd: array, key: u32(0), value: u32(fd) });
      assert.equal(outcome(put(load(s, returnZero))), 'EINVAL');
      assert.equal(outcome(put(load(s, returnZero, { progType: progTypes.xdp.id }))), 'ok');
    },
  },
  {
    name: 'without capabilities',
    since: '6.12',
    run: (machine) => {
      const s = machine.spawn('unprivileged');
      assert.equal(
        outcome(() => makeMap(s)),
        'EPERM',
      );
      assert.equal(
        outcome(() => makeMap(s, { mapType: 99 })),
        'EINVAL',
      );
      assert.equal(
        outcome(() => makeMap(s, { mapName: 'a-b' })),
        'EPERM',
      );
      assert.equal(
        outcome(() => load(s, returnZero)),
        'EPERM',
      );
      assert.equal(
        outcome(() => load(s, returnZero, { insnCnt: 0 })),
        'EPERM',
      );
      assert.equal(
        outcome(() => load(s, returnZero, { progType: 99 })),
        'EPERM',
      );
      assert.equal(
        outcome(() => load(s, returnZero, { progFlags: 1 << 12 })),
        'EINVAL',
      );
      assert.equal(
        outcome(() => s.bpf('btfLoad', {})),
        'EPERM',
      );
      assert.equal(
        outcome(() => s.bpf('mapGetNextId', { startId: 0 })),
        'EPERM',
      );
      assert.equal(
        outcome(() => s.bpf('mapGetNextId', { startId: 0x7fffffff })),
        'EINVAL',
      );
      assert.equal(
        outcome(() => s.bpf('mapGetFdById', { mapId: 1 })),
        'EPERM',
      );
    },
  },
];
