import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatTraceLine, type TraceMoment, TracePipe } from './trace-pipe.ts';

const moment: TraceMoment = {
  task: { pid: 25378, tgid: 25378, uid: 0, gid: 0, comm: 'p5' },
  cpu: 2,
  timeNs: 3488827169999n,
  flags: 'tracing',
};

test('a line is laid out as in trace_pipe', () => {
  const rows: { name: string; moment: TraceMoment; want: string }[] = [
    {
      name: 'a tracing program',
      moment,
      want: '              p5-25378   [002] ...2.  3488.827169: bpf_trace_printk: hi',
    },
    {
      name: 'a network program',
      moment: { ...moment, flags: 'network' },
      want: '              p5-25378   [002] b..11  3488.827169: bpf_trace_printk: hi',
    },
    {
      name: 'a long name, a late time',
      moment: {
        ...moment,
        task: { ...moment.task, comm: 'a-long-name-of-15', pid: 1 },
        timeNs: 12345678000001000n,
      },
      want: 'a-long-name-of-15-1       [002] ...2. 12345678.000001: bpf_trace_printk: hi',
    },
  ];
  for (const row of rows) assert.equal(formatTraceLine(row.moment, 'hi'), row.want, row.name);
});

test('with nobody reading, old lines make room', () => {
  const pipe = new TracePipe();
  for (let i = 0; i < 5000; i++) pipe.write(moment, String(i));
  const lines = pipe.take();
  assert.equal(lines.length + pipe.lost, 5000);
  assert.match(lines.at(-1) as string, /: 4999$/);
  assert.deepEqual(pipe.take(), [], 'a line is read once');
});

test('a reader gets the lines that were there, then those that come, until it is aborted', async () => {
  const pipe = new TracePipe();
  const controller = new AbortController();
  const got: string[] = [];
  pipe.write(moment, 'early');
  const reading = (async () => {
    for await (const line of pipe.lines({ signal: controller.signal })) {
      got.push(line.slice(line.lastIndexOf(' ') + 1));
      if (got.length === 1) queueMicrotask(() => pipe.write(moment, 'late'));
      if (got.length === 2) controller.abort();
    }
  })();
  await reading;
  assert.deepEqual(got, ['early', 'late']);
});
